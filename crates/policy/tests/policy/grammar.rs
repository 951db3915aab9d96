//! What is refused at the door, and what is not.

use claviger_policy::{Document, Kind, Malformed, PrincipalName};

use crate::support::{BOB, Keys, allows, key_policy};

const BOB_ALLOW: &str = r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"}"#;

fn parse(text: &str) -> Result<Document, Malformed> {
    Document::parse(text, Kind::Key)
}

fn with_statement(statement: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
}

/// Refused with a cause that has `cause` in it.
fn check_refused(text: &str, cause: &str) {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(found) => assert!(found.to_string().contains(cause), "{text}: {found}"),
    }
}

fn check_statement_refused(statement: &str, cause: &str) {
    check_refused(&with_statement(statement), cause);
}

fn check_condition_refused(condition: &str, cause: &str) {
    for effect in ["Allow", "Deny"] {
        let statement = format!(
            r#"{{"Effect":"{effect}","Principal":"*","Action":"*","Resource":"*","Condition":{condition}}}"#
        );
        check_statement_refused(&statement, cause);
    }
}

fn check_principal(principal: &str, ok: bool) {
    let statement = format!(r#"{{"Effect":"Deny","Principal":{principal},"Action":"*","Resource":"*"}}"#);
    match parse(&with_statement(&statement)) {
        Ok(_) => assert!(ok, "accepted: {principal}"),
        Err(found) => {
            assert!(!ok, "{principal}: {found}");
            let message = "Policy contains a statement with one or more invalid principals.";
            assert_eq!(found.message(), message, "{principal}");
        }
    }
}

#[test]
fn b01_duplicate_names_are_refused_at_every_level() {
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},"Effect":"Deny"}}"#), "duplicate name `Effect`");
    check_refused(r#"{"Version":"2012-10-17","Statement":[],"Statement":[]}"#, "duplicate name `Statement`");
    check_condition_refused(r#"{"Bool":{"x:a":"true"},"Bool":{"x:b":"true"}}"#, "duplicate name `Bool`");
    check_condition_refused(r#"{"Bool":{"x:a":"true","x:a":"false"}}"#, "duplicate name `x:a`");
    check_condition_refused(r#"{"Bool":{"x:a":"true","\u0078:a":"false"}}"#, "duplicate name `x:a`");
    check_statement_refused(
        r#"{"Effect":"Allow","Principal":{"AWS":"111122223333","AWS":"*"},"Action":"*","Resource":"*"}"#,
        "duplicate name `AWS`",
    );
}

#[test]
fn b02_unknown_and_exclusive_elements_are_refused() {
    let rest = r#""Action":"kms:*","Resource":"*""#;
    check_statement_refused(
        &format!(r#"{{{BOB_ALLOW},{rest},"Conditions":{{}}}}"#),
        "unknown element `Conditions`",
    );
    check_statement_refused(
        &format!(r#"{{{BOB_ALLOW},{rest},"effect":"Deny"}}"#),
        "unknown element `effect`",
    );
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},{rest},"NotAction":"s3:*"}}"#), "exclude each other");
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},{rest},"NotResource":"*"}}"#), "exclude each other");
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},{rest},"NotPrincipal":"*"}}"#), "exclude each other");
    check_statement_refused(r#"{"Principal":"*","Action":"*","Resource":"*"}"#, "`Effect` is missing");
    check_statement_refused(r#"{"Effect":"allow","Principal":"*"}"#, "unknown effect `allow`");
    check_statement_refused("{}", "`Effect` is missing");
    check_statement_refused("7", "`Statement` must be an object");
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},"NotAction":[],"Resource":"*"}}"#), "`Action` must be");
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},"Action":[1],"Resource":"*"}}"#), "`Action` must be");
    check_statement_refused(&format!(r#"{{{BOB_ALLOW},{rest},"Condition":[]}}"#), "`Condition` must be");
    check_refused(r#"{"Version":"2012-10-17","Statement":[]}"#, "`Statement` must be at least one");
    check_refused(r#"{"Version":"2012-10-17"}"#, "`Statement` is missing");
    check_refused(r#"{"Version":"2012-10-18","Statement":{}}"#, "unknown version");
    check_refused(r#"{"Statement":{}}"#, "`Version` is missing");
    check_refused(r#"{"Version":"2012-10-17","Statements":{}}"#, "unknown element `Statements`");
    check_refused("[]", "must be an object");
}

#[test]
fn b03_unknown_operators_and_keys_are_refused() {
    for operator in [
        "StringEqual",
        "stringEquals",
        "StringEqualsIfExist",
        "IfExistsStringEquals",
        "ForAllValue:StringEquals",
        "foranyvalue:StringEquals",
        "ForAnyValue:ForAllValues:StringEquals",
        "ForAnyValue:",
        "NullIfExists",
        "ForAnyValue:Null",
        "StringLikeIgnoreCase",
        "NotBool",
        "BinaryNotEquals",
        "",
    ] {
        check_condition_refused(
            &format!(r#"{{"{operator}":{{"aws:username":"true"}}}}"#),
            "unknown condition operator",
        );
    }
    for key in ["", "username", "aws:", ":x", "aws: x", "a b:c", "aws:${x}"] {
        check_condition_refused(&format!(r#"{{"StringEquals":{{"{key}":"x"}}}}"#), "is not a condition key");
    }
    check_condition_refused(r#"{"StringEquals":{"x:a":[]}}"#, "never without values");
    check_condition_refused(r#"{"StringEquals":{"x:a":null}}"#, "cannot compare with `null`");
    check_condition_refused(r#"{"StringEquals":{"x:a":[["b"]]}}"#, "cannot compare with `an array`");
    check_condition_refused(r#"{"StringEquals":{"x:a":1.5}}"#, "cannot compare with `1.5`");
    check_condition_refused(r#"{"StringEquals":"x"}"#, "an object of objects");
    check_condition_refused(r#"{"StringEquals":{"x:a":"${aws:username"}}"#, "invalid policy variable");
}

#[test]
fn b04_what_is_not_plain_json_of_bounded_size_is_refused() {
    let whole = with_statement(&format!(r#"{{{BOB_ALLOW},"Action":"kms:*","Resource":"*"}}"#));
    assert!(parse(&whole).is_ok());
    check_refused(&format!("\u{feff}{whole}"), "U+FEFF at byte 0");
    check_refused(&format!("{whole}//"), "trailing");
    check_refused(&format!("{whole}{whole}"), "trailing");
    check_refused(&format!("{whole}\0"), "U+0000");
    check_refused(&whole.replace("bob", "b\u{212a}"), "U+212A");
    check_refused(&whole.replace("kms:*", "kms:\\u212a"), "is not an action");
    check_refused("", "EOF");
    check_refused(&"[".repeat(30_000), "nested deeper");
    check_refused(&"{\"a\":".repeat(6_000), "nested deeper");
    check_condition_refused(r#"{"NumericEquals":{"x:a":NaN}}"#, "expected value");
    let padded = |bytes: usize| format!("{whole}{}", " ".repeat(bytes - whole.len()));
    assert!(parse(&padded(32_768)).is_ok());
    for bytes in [32_769, 10_000_000] {
        assert_eq!(parse(&padded(bytes)).unwrap_err(), Malformed::TooLong { bytes, limit: 32_768 });
    }
}

#[test]
fn b21_values_that_cannot_be_compared_are_refused() {
    for value in [r#""1e309""#, r#""NaN""#, r#""0x10""#, r#""""#, r#""1e3""#, "1e30"] {
        check_condition_refused(&format!(r#"{{"NumericLessThan":{{"x:a":{value}}}}}"#), "cannot compare");
    }
    check_condition_refused(r#"{"NumericLessThan":{"x:a":1e309}}"#, "out of range");
    for value in ["1969-12-31T23:59:59Z", "-1", "2026-02-30", "tomorrow"] {
        check_condition_refused(&format!(r#"{{"DateLessThan":{{"x:a":"{value}"}}}}"#), "cannot compare");
    }
    for value in ["10.0.0.0/33", "010.0.0.1", "::/129", "10.0.0.0/", "*"] {
        check_condition_refused(&format!(r#"{{"IpAddress":{{"x:a":"{value}"}}}}"#), "cannot compare");
    }
    for value in ["yes", "1", "", "*"] {
        check_condition_refused(&format!(r#"{{"Bool":{{"x:a":"{value}"}}}}"#), "cannot compare");
        check_condition_refused(&format!(r#"{{"Null":{{"x:a":"{value}"}}}}"#), "cannot compare");
    }
    check_condition_refused(r#"{"Null":{"x:a":"${x:b}"}}"#, "cannot compare");
    for value in ["AB==", "AA", "-_-_", "${x:b}"] {
        check_condition_refused(&format!(r#"{{"BinaryEquals":{{"x:a":"{value}"}}}}"#), "cannot compare");
    }
    for value in ["arn:aws:iam", "bob", "", "*:*:*:*:*:*"] {
        check_condition_refused(&format!(r#"{{"ArnLike":{{"x:a":"{value}"}}}}"#), "cannot compare");
    }
}

#[test]
fn b28_principals_that_cannot_be_one_are_refused() {
    for ok in [
        r#""*""#,
        r#"{"AWS":"*"}"#,
        r#"{"AWS":"111122223333"}"#,
        r#"{"AWS":["arn:aws:iam::111122223333:root","AIDABOBBOBBOBBOBBOBB"],"Service":"ec2.amazonaws.com"}"#,
        r#"{"AWS":"arn:aws-us-gov:iam::111122223333:user/a/b/c@d"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/R"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/R/s"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:federated-user/n"}"#,
    ] {
        check_principal(ok, true);
    }
    for invalid in [
        "11112222333",
        "1111222233334",
        "0x1122223333",
        "\\u0661\\u0661\\u0661\\u0661\\u0662\\u0662",
        "\\u06611112222333",
        " 111122223333",
        "arn:aws:iam::11112222333:root",
        "arn:aws:iam::0111122223333:root",
        "arn:aws:iam::\\u066111122223333:root",
        "arn:aws:iam::*:root",
        "arn:aws:iam::111122223333:user/*",
        "arn:aws:iam::111122223333:user/b?b",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user",
        "arn:aws:iam::111122223333:root/x",
        "arn:aws:iam::111122223333:Root",
        "arn:aws:iam::111122223333:group/g",
        "arn:aws:iam:us-east-1:111122223333:user/bob",
        "arn:aws:sts::111122223333:assumed-role/R",
        "arn:aws:sts::111122223333:assumed-role/R/*",
        "arn:aws:sts::111122223333:assumed-role/p/R/s",
        "arn:aws:kms::111122223333:user/bob",
        "arn:*:iam::111122223333:user/bob",
        "arn::iam::111122223333:user/bob",
        "AGPAGROUPGROUPGROUP1",
        "AIDAlowercase1234567",
        "${aws:username}",
        "",
    ] {
        check_principal(&format!(r#"{{"AWS":"{invalid}"}}"#), false);
    }
    for invalid in [
        r#""111122223333""#,
        r#"{"Federated":"cognito-identity.amazonaws.com"}"#,
        r#"{"CanonicalUser":"79a59df900b949e55d96a1e698fbaced"}"#,
        r#"{"aws":"*"}"#,
        r#"{"Service":"*"}"#,
        r#"{"Service":"ec2"}"#,
        r#"{"AWS":[7]}"#,
    ] {
        check_principal(invalid, false);
    }
}

#[test]
fn messages_are_aws_texts() {
    let check = |statement: &str, message: &str| {
        assert_eq!(parse(&with_statement(statement)).unwrap_err().message(), message, "{statement}");
    };
    let no_principal = "Policy contains a statement with no principal.";
    check(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, no_principal);
    check(r#"{"Effect":"Allow","Principal":{},"Action":"*","Resource":"*"}"#, no_principal);
    check(r#"{"Effect":"Allow","Principal":{"AWS":[]},"Action":"*","Resource":"*"}"#, no_principal);
    check("{}", "Policy document is malformed.");
    let condition = |operator: &str, key: &str| {
        let condition = format!(r#""Condition":{{"{operator}":{{"{key}":"x"}}}}"#);
        with_statement(&format!(r#"{{{BOB_ALLOW},"Action":"*","Resource":"*",{condition}}}"#))
    };
    let overly = |label: &str, subject: &str| {
        format!(
            "OverlyPermissiveCondition:{label}: Using the ForAllValues set operator with a single-valued condition \
             key matches requests without the specified {subject} or with an unspecified {subject}. To fix, remove \
             ForAllValues."
        )
    };
    let context = parse(&condition("ForAllValues:StringEquals", "kms:EncryptionContext:Dept")).unwrap_err();
    assert_eq!(context.message(), overly("EncryptionContext", "encryption context"));
    for key in ["aws:RequestTag/a", "AWS:resourceTag/a", "aws:PrincipalTag/a"] {
        let found = parse(&condition("ForAllValues:StringLikeIfExists", key)).unwrap_err();
        assert_eq!(found.message(), overly("Tag", "tag"));
    }
    assert!(parse(&condition("ForAllValues:StringEquals", "kms:EncryptionContextKeys")).is_ok());
    assert!(parse(&condition("ForAnyValue:StringEquals", "kms:EncryptionContext:Dept")).is_ok());
    assert!(parse(&condition("StringEquals", "kms:EncryptionContext:Dept")).is_ok());
}

#[test]
fn a_key_policy_statement_without_action_or_resource_has_no_effect() {
    for rest in ["", r#","Action":"kms:*""#, r#","Resource":"*""#, r#","Action":[],"Resource":"*""#] {
        assert!(!allows(&format!("{{{BOB_ALLOW}{rest}}}"), BOB, &Keys::default()), "{rest}");
    }
    assert!(allows(&format!(r#"{{{BOB_ALLOW},"Action":"kms:*","Resource":"*"}}"#), BOB, &Keys::default()));
    assert!(allows(
        &format!(r#"{{{BOB_ALLOW},"NotAction":"s3:*","NotResource":"arn:aws:s3:::x"}}"#),
        BOB,
        &Keys::default()
    ));
}

#[test]
fn each_kind_has_its_grammar() {
    let check = |kind: Kind, statement: &str, ok: bool| {
        assert_eq!(Document::parse(&with_statement(statement), kind).is_ok(), ok, "{kind:?} {statement}");
    };
    let plain = r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"}"#;
    let named = r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#;
    let trust = r#"{"Effect":"Allow","Principal":{"Federated":"x.example"},"Action":"sts:*"}"#;
    for (kind, plain_ok, named_ok, trust_ok) in [
        (Kind::Key, false, true, false),
        (Kind::Identity, true, false, false),
        (Kind::Endpoint, false, true, false),
        (Kind::Trust, false, false, true),
    ] {
        check(kind, plain, plain_ok);
        check(kind, named, named_ok);
        check(kind, trust, trust_ok);
    }
    check(Kind::Identity, r#"{"Effect":"Allow","Action":"kms:*"}"#, false);
    check(Kind::Identity, r#"{"Effect":"Allow","Resource":"*"}"#, false);
    check(Kind::Identity, r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#, false);
    check(Kind::Identity, &format!("{plain},{plain}"), true);
    let with_sid = |sid: &str| format!(r#"{{"Sid":"{sid}","Effect":"Allow","Action":"*","Resource":"*"}}"#);
    check(Kind::Identity, &with_sid("Two words"), false);
    check(Kind::Identity, &format!("{},{}", with_sid("A"), with_sid("B")), true);
    check(Kind::Identity, &format!("{},{}", with_sid("A"), with_sid("A")), false);
    check(Kind::Identity, &format!("{},{}", with_sid(""), with_sid("")), true);
    for action in ["kms", "kms:", ":x", "k*:x", "kms:a b", "kms:${x:a}"] {
        check(Kind::Identity, &plain.replace("kms:*", action), false);
    }
    for resource in ["kms", "arn:*", "arn:aws", "arn:aws:kms:${x:a}:1:key/x", "key/*"] {
        check(Kind::Identity, &plain.replace(r#""*""#, &format!(r#""{resource}""#)), false);
    }
}

#[test]
fn names_and_ids_can_be_listed_and_bound() {
    let bob = r#"{"AWS":["arn:aws:iam::111122223333:user/bob","111122223333"]}"#;
    let policy = key_policy(&format!(
        r#"{{"Sid":"Two words","Effect":"Allow","Principal":{bob},"Action":"*","Resource":"*"}},
           {{"Effect":"Deny","NotPrincipal":{{"Service":"ec2.amazonaws.com"}},"Action":"*","Resource":"*"}}"#
    ));
    assert_eq!(policy.statement_ids().collect::<Vec<_>>(), [Some("Two words"), None]);
    let user = PrincipalName::User { arn: "arn:aws:iam::111122223333:user/bob".into(), id: None };
    let service = PrincipalName::Service("ec2.amazonaws.com".into());
    let expected = [user.clone(), PrincipalName::Account("111122223333".into()), service];
    assert_eq!(policy.principals().cloned().collect::<Vec<_>>(), expected);
    let refused = policy.clone().bind(|name| {
        assert_eq!(*name, user);
        None
    });
    let message = "Policy contains a statement with one or more invalid principals.";
    assert_eq!(refused.unwrap_err().message(), message);
    let bound = policy.bind(|_| Some("AIDASOMEBODYELSE1234".into())).unwrap();
    assert!(
        bound.principals().any(
            |it| matches!(it, PrincipalName::User { id: Some(id), .. } if &**id == "AIDASOMEBODYELSE1234")
        )
    );
}
