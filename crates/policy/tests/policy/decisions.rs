//! Who may do what: the rules of the decision, one table each.

use std::sync::Arc;

use claviger_policy::{
    Decision, Document, Grant, Grantor, Kind, Layer, Policies, Principal, Reason, Request, ResourceSide,
    Values, arn_like, decide, would_allow_put_key_policy,
};

use crate::support::{
    ALLOW_ALL, ALLOW_OTHER, AWAY, BOB, DENY_ALL, EVE, FEDERATED, HOME, KEY, Keys, ROOT, SERVICE, SESSION,
    allows, bare, document, grants, guarded, identity, key_policy, words,
};

fn ask(caller: Principal<'_>, policies: &Policies<'_>) -> String {
    let keys = Keys::default();
    let request = Request { principal: caller, action: "kms:Encrypt", resource: KEY, context: &keys };
    words(&decide(&request, policies))
}

fn shared(statements: &str) -> [Arc<Document>; 1] {
    [Arc::new(identity(statements))]
}

const BOB_ARN: &str = "arn:aws:iam::111122223333:user/bob";
const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/ops/admin";
const SESSION_ARN: &str = "arn:aws:sts::111122223333:assumed-role/admin/s1";
const FEDERATED_ARN: &str = "arn:aws:sts::111122223333:federated-user/fed";

#[test]
fn the_default_key_policy_serves_root_and_delegates() {
    let policy = key_policy(&grants("Allow", "arn:aws:iam::111122223333:root"));
    let all = shared(ALLOW_ALL);
    let with = Policies { identity: &all, ..guarded(&policy) };
    assert_eq!(ask(ROOT, &guarded(&policy)), "allow");
    for caller in [BOB, SESSION, FEDERATED] {
        assert_eq!(ask(caller, &guarded(&policy)), "deny implicit Identity");
        assert_eq!(ask(caller, &with), "allow");
    }
    assert_eq!(ask(EVE, &with), "deny implicit Resource");
    assert_eq!(ask(Principal::Root { account: AWAY }, &with), "deny implicit Resource");
    assert_eq!(ask(SERVICE, &with), "deny implicit Resource");
}

#[test]
fn names_match_who_they_name() {
    let check = |principal: &str, named: &[Principal<'_>]| {
        for caller in [ROOT, BOB, SESSION, FEDERATED, EVE, SERVICE] {
            let statement =
                format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"kms:*","Resource":"*"}}"#);
            // Identity policies allow nothing, so that only naming in person counts.
            assert_eq!(
                allows(&statement, caller, &Keys::default()),
                named.contains(&caller),
                "{principal} {caller:?}"
            );
        }
    };
    check(r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#, &[BOB, FEDERATED]);
    check(r#"{"AWS":"arn:aws:iam::111122223333:user/Bob"}"#, &[]);
    check(r#"{"AWS":"AIDABOBBOBBOBBOBBOBB"}"#, &[BOB, FEDERATED]);
    check(r#"{"AWS":"arn:aws:iam::111122223333:role/ops/admin"}"#, &[SESSION]);
    check(r#"{"AWS":"arn:aws:iam::111122223333:role/admin"}"#, &[]);
    check(r#"{"AWS":"AROAADMINADMINADMIN1"}"#, &[SESSION]);
    check(r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/admin/s1"}"#, &[SESSION]);
    check(r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/admin/s2"}"#, &[]);
    check(r#"{"AWS":"arn:aws:sts::111122223333:federated-user/fed"}"#, &[FEDERATED]);
    check(r#"{"AWS":"111122223333"}"#, &[ROOT]);
    check(r#"{"Service":"ec2.amazonaws.com"}"#, &[SERVICE]);
    check(r#"{"Service":"s3.amazonaws.com"}"#, &[]);
    check(r#""*""#, &[ROOT, BOB, SESSION, FEDERATED, SERVICE]);
}

/// The table of principal forms: what an implicit deny of a cap does to each.
#[test]
fn principals_named_in_person_are_not_capped() {
    let other = shared(ALLOW_OTHER);
    let boundary = identity(ALLOW_OTHER);
    let check = |caller: Principal<'_>, principal: &str, boundary_says: &str, session_says: &str| {
        let policy = key_policy(&grants("Allow", principal));
        let plain = guarded(&policy);
        assert_eq!(
            ask(caller, &Policies { boundary: Some(&boundary), ..plain }),
            boundary_says,
            "{principal}"
        );
        assert_eq!(ask(caller, &Policies { session: Some(&other), ..plain }), session_says, "{principal}");
        assert_eq!(ask(caller, &Policies { session: Some(&[]), ..plain }), session_says, "{principal}");
        assert_eq!(ask(caller, &Policies { endpoint: Some(&boundary), ..plain }), "deny implicit Endpoint");
    };
    let (boundary_caps, session_caps) = ("deny implicit Boundary", "deny implicit Session");
    check(BOB, BOB_ARN, "allow", "allow");
    check(SESSION, SESSION_ARN, "allow", "allow");
    check(FEDERATED, FEDERATED_ARN, "allow", "allow");
    check(SESSION, ROLE_ARN, boundary_caps, session_caps);
    check(FEDERATED, BOB_ARN, boundary_caps, session_caps);
    check(BOB, "*", boundary_caps, session_caps);
    check(ROOT, HOME, boundary_caps, session_caps);
    check(BOB, HOME, "deny implicit Identity", "deny implicit Identity");
    let pinned = key_policy(&format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*",
            "Condition":{{"ArnLike":{{"aws:PrincipalArn":"{BOB_ARN}"}}}}}}"#
    ));
    let keys = Keys::one("aws:principalarn", BOB_ARN);
    let request = Request { principal: BOB, action: "kms:Encrypt", resource: KEY, context: &keys };
    assert!(decide(&request, &Policies { boundary: Some(&boundary), ..guarded(&pinned) }).is_allow());
}

/// Attack B9.
#[test]
fn b09_an_explicit_deny_wins_from_every_layer() {
    let allowing = key_policy(&format!("{},{}", grants("Allow", BOB_ARN), grants("Allow", HOME)));
    let denying_key = key_policy(&format!("{},{}", grants("Allow", BOB_ARN), grants("Deny", "*")));
    let all = shared(ALLOW_ALL);
    let none = [Arc::new(identity(ALLOW_ALL)), Arc::new(identity(DENY_ALL))];
    let allow_all = identity(ALLOW_ALL);
    let deny_all = identity(&format!("{ALLOW_ALL},{DENY_ALL}"));
    for grant in [Grant::None, Grant::ToAccount, Grant::ToCaller] {
        let open = Policies {
            grant,
            identity: &all,
            boundary: Some(&allow_all),
            session: Some(&all),
            endpoint: Some(&allow_all),
            ..guarded(&allowing)
        };
        assert_eq!(ask(BOB, &open), "allow");
        assert_eq!(
            ask(BOB, &Policies { resource: guarded(&denying_key).resource, ..open }),
            "deny explicit Resource"
        );
        assert_eq!(ask(BOB, &Policies { identity: &none, ..open }), "deny explicit Identity");
        assert_eq!(ask(BOB, &Policies { boundary: Some(&deny_all), ..open }), "deny explicit Boundary");
        assert_eq!(ask(BOB, &Policies { session: Some(&none), ..open }), "deny explicit Session");
        assert_eq!(ask(BOB, &Policies { endpoint: Some(&deny_all), ..open }), "deny explicit Endpoint");
        let closed = Policies { session: Some(&none), identity: &none, ..open };
        assert_eq!(ask(BOB, &closed), "deny explicit Session");
    }
}

/// Attack B17.
#[test]
fn b17_identity_policies_need_the_key_and_strangers_need_both_sides() {
    let all = shared(ALLOW_ALL);
    let other = shared(ALLOW_OTHER);
    let eve_arn = "arn:aws:iam::444455556666:user/eve";
    let check = |caller, principal: &str, policies: &Policies<'_>, expected: &str| {
        let policy = key_policy(&grants("Allow", principal));
        let resource = ResourceSide::Guarded { policy: &policy, account: HOME };
        assert_eq!(ask(caller, &Policies { resource, ..*policies }), expected, "{principal}");
    };
    let unused = bare(ResourceSide::Unguarded);
    let with_all = Policies { identity: &all, ..unused };
    check(BOB, ROLE_ARN, &with_all, "deny implicit Resource");
    check(ROOT, BOB_ARN, &with_all, "deny implicit Resource");
    for principal in [eve_arn, AWAY, "*"] {
        check(EVE, principal, &unused, "deny implicit Identity");
        check(EVE, principal, &Policies { identity: &other, ..unused }, "deny implicit Identity");
        check(EVE, principal, &with_all, "allow");
        let boundary = identity(ALLOW_OTHER);
        check(EVE, principal, &Policies { boundary: Some(&boundary), ..with_all }, "deny implicit Boundary");
        check(EVE, principal, &Policies { session: Some(&other), ..with_all }, "deny implicit Session");
    }
    check(EVE, BOB_ARN, &with_all, "deny implicit Resource");
}

/// `RetireGrant`: the key policy can only deny; grants and what accounts delegate allow.
#[test]
fn a_policy_that_only_denies_allows_nothing() {
    let all = shared(ALLOW_ALL);
    let allowing = key_policy(&format!("{},{}", grants("Allow", BOB_ARN), grants("Allow", HOME)));
    let denying = key_policy(&format!("{},{}", grants("Allow", BOB_ARN), grants("Deny", "*")));
    let check = |policy, caller, grant, identity: &[Arc<Document>], expected: &str| {
        let resource = ResourceSide::Denying { policy };
        assert_eq!(ask(caller, &Policies { grant, identity, ..bare(resource) }), expected, "{grant:?}");
    };
    for caller in [BOB, EVE, SESSION] {
        check(&allowing, caller, Grant::None, &all, "deny implicit Resource");
        check(&allowing, caller, Grant::ToCaller, &[], "allow");
        check(&allowing, caller, Grant::ToAccount, &[], "deny implicit Identity");
        check(&allowing, caller, Grant::ToAccount, &all, "allow");
        check(&denying, caller, Grant::ToCaller, &all, "deny explicit Resource");
    }
    check(&allowing, ROOT, Grant::None, &all, "deny implicit Resource");
    check(&allowing, ROOT, Grant::ToAccount, &[], "allow");
}

#[test]
fn arns_compare_part_by_part() {
    const VOLUME: &str = "arn:aws:ec2:us-east-1:111122223333:volume/vol-1";
    for (pattern, expected) in [
        (VOLUME, true),
        ("arn:aws:ec2:*:111122223333:volume/*", true),
        ("arn:aws:ec2:us-east-1:111122223333:volume/vol-?", true),
        ("arn:aws:ec2:us-east-1:444455556666:volume/*", false),
        ("arn:aws:ec2:*:volume/vol-1", false),
        ("arn:aws:ec2:us-east-1:111122223333:Volume/vol-1", false),
        ("*", true),
        ("", false),
        ("vol-1", false),
    ] {
        assert_eq!(arn_like(pattern, VOLUME), expected, "{pattern}");
    }
    assert!(!arn_like("arn:aws:*:*:*:*", "vol-1"));
}

#[test]
fn grants_allow_whom_they_name() {
    let check = |caller, grant, identity: &[Arc<Document>], expected: &str| {
        let policy = key_policy(&grants("Allow", ROLE_ARN));
        assert_eq!(ask(caller, &Policies { grant, identity, ..guarded(&policy) }), expected);
    };
    let all = shared(ALLOW_ALL);
    for caller in [BOB, EVE] {
        check(caller, Grant::None, &all, "deny implicit Resource");
        check(caller, Grant::ToCaller, &[], "allow");
        check(caller, Grant::ToAccount, &[], "deny implicit Identity");
        check(caller, Grant::ToAccount, &all, "allow");
    }
}

#[test]
fn without_a_key_identity_policies_decide() {
    let all = shared(ALLOW_ALL);
    let other = identity(ALLOW_OTHER);
    let unguarded = bare(ResourceSide::Unguarded);
    assert_eq!(ask(ROOT, &unguarded), "allow");
    assert_eq!(ask(BOB, &unguarded), "deny implicit Identity");
    assert_eq!(ask(SERVICE, &unguarded), "deny implicit Identity");
    assert_eq!(ask(BOB, &Policies { identity: &all, ..unguarded }), "allow");
    assert_eq!(ask(BOB, &Policies { grant: Grant::ToCaller, ..unguarded }), "deny implicit Identity");
    let capped = Policies { identity: &all, boundary: Some(&other), ..unguarded };
    assert_eq!(ask(BOB, &capped), "deny implicit Boundary");
}

#[test]
fn not_principal() {
    let denied = |listed: &str, caller| {
        let everyone = grants("Allow", "*");
        let deny = grants("Deny", "x")
            .replace(r#""Principal":{"AWS":"x"}"#, &format!(r#""NotPrincipal":{{"AWS":{listed}}}"#));
        !allows(&format!("{everyone},{deny}"), caller, &Keys::default())
    };
    let bob = format!(r#"["{BOB_ARN}","{HOME}"]"#);
    assert!(!denied(&bob, BOB));
    assert!(!denied(&bob, ROOT));
    assert!(denied(&bob, SESSION));
    assert!(denied(&format!(r#""{BOB_ARN}""#), BOB), "the account is not listed");
    let role = format!(r#"["{ROLE_ARN}","{HOME}"]"#);
    assert!(denied(&role, SESSION), "the session is not listed");
    assert!(!denied(&format!(r#"["{ROLE_ARN}","{HOME}","{SESSION_ARN}"]"#), SESSION));
    assert!(denied(&format!(r#"["{HOME}","{SESSION_ARN}"]"#), SESSION), "the role is not listed");
    let allowed = |listed: &str, caller| {
        let allow = format!(
            r#"{{"Effect":"Allow","NotPrincipal":{{"AWS":{listed}}},"Action":"kms:*","Resource":"*"}}"#
        );
        allows(&allow, caller, &Keys::default())
    };
    assert!(allowed(&format!(r#""{BOB_ARN}""#), SESSION));
    assert!(!allowed(&format!(r#""{BOB_ARN}""#), BOB));
    assert!(!allowed(&format!(r#""{HOME}""#), BOB));
    assert!(!allowed(&format!(r#""{ROLE_ARN}""#), SESSION));
}

fn check_match(action: &str, resource: &str, asked: (&str, &str), expected: bool) {
    let statement = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#);
    let documents = shared(&statement);
    let keys = Keys::one("aws:username", "b*b");
    let request = Request { principal: BOB, action: asked.0, resource: asked.1, context: &keys };
    let policies = Policies { identity: &documents, ..bare(ResourceSide::Unguarded) };
    assert_eq!(decide(&request, &policies).is_allow(), expected, "{action} {resource} {asked:?}");
}

#[test]
fn b05_actions_fold_ascii_case_only() {
    for (pattern, action, expected) in [
        ("KMS:decrypt", "kms:Decrypt", true),
        ("kms:*Crypt", "kms:Encrypt", true),
        ("kms:*Crypt", "kms:Sign", false),
        ("kms:ReEncrypt*", "kms:ReEncryptTo", true),
        ("kms:?ncrypt", "kms:Encrypt", true),
        ("kms:?ncrypt", "kms:ncrypt", false),
        ("kms:*", "s3:GetObject", false),
        ("kms:*", "kmsx:Encrypt", false),
        ("*", "kms:Encrypt", true),
        ("kms:*", "\u{212a}ms:Encrypt", false),
        ("kms:Sign", "kms:\u{17f}ign", false),
        ("kms:Sign", "kms:S\u{131}gn", false),
    ] {
        check_match(pattern, "*", (action, KEY), expected);
    }
}

#[test]
fn b06_resources_match_component_by_component() {
    let key = |account: &str, rest: &str| format!("arn:aws:kms:us-east-1:{account}:{rest}");
    for (pattern, resource, expected) in [
        ("arn:aws:kms:*:111122223333:key/*", KEY.to_owned(), true),
        ("arn:aws:kms:*:111122223333:key/*", key("444455556666", "key/1"), false),
        ("arn:aws:kms:*:111122223333:key/*", key("444455556666", "x:111122223333:key/1"), false),
        ("arn:aws:kms:*:111122223333:key/*", key("111122223333", "alias/key/1"), false),
        ("arn:aws:kms:us-east-1:*:key/1", key("444455556666", "key/1"), true),
        ("arn:aws:kms:*:key/1", key("111122223333", "key/1"), false),
        ("arn:aws:k*:*:*:key/*", KEY.to_owned(), true),
        ("arn:aws:s*:*:*:key/*", KEY.to_owned(), false),
        ("arn:*:kms:*:*:*", KEY.to_owned(), true),
        ("arn:aws:kms", KEY.to_owned(), true),
        ("arn:aws:kms:us-east-1:444455556666", KEY.to_owned(), false),
        ("arn:aws:kms:*:*:*", "*".to_owned(), false),
        ("*", "*".to_owned(), true),
        ("arn:aws:kms:*:*:key/*", key("111122223333", "key/a:b/c"), true),
        ("arn:aws:kms:*:*:key/1234ABCD", KEY.to_owned(), false),
        ("arn:aws:kms:*:*:key/${aws:username}", key("111122223333", "key/b*b"), true),
        ("arn:aws:kms:*:*:key/${aws:username}", key("111122223333", "key/bob"), false),
        ("arn:aws:kms:*:*:key/${aws:none}", key("111122223333", "key/"), false),
        ("arn:aws:kms:*:*:key/${*}", key("111122223333", "key/1"), false),
    ] {
        check_match("kms:*", pattern, ("kms:Encrypt", &resource), expected);
    }
}

#[test]
fn version_2008_has_no_variables() {
    let text = r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"kms:*",
                   "Resource":"arn:aws:kms:*:*:key/${aws:username}"}}"#;
    let documents = [Arc::new(Document::parse(text, Kind::Identity).unwrap())];
    let keys = Keys::one("aws:username", "bob");
    let policies = Policies { identity: &documents, ..bare(ResourceSide::Unguarded) };
    for (id, expected) in [("bob", false), ("${aws:username}", true)] {
        let resource = format!("arn:aws:kms:us-east-1:111122223333:key/{id}");
        let request = Request { principal: BOB, action: "kms:Encrypt", resource: &resource, context: &keys };
        assert_eq!(decide(&request, &policies).is_allow(), expected, "{id}");
    }
}

/// Attack B15.
#[test]
fn a_bound_user_who_is_made_again_is_somebody_else() {
    let bind =
        |id: &'static str| key_policy(&grants("Allow", BOB_ARN)).bind(move |_| Some(id.into())).unwrap();
    assert_eq!(ask(BOB, &guarded(&bind("AIDABOBBOBBOBBOBBOBB"))), "allow");
    assert_eq!(ask(BOB, &guarded(&bind("AIDATHEOLDBOB1234567"))), "deny implicit Resource");
}

/// Attack B16.
#[test]
fn a_key_policy_must_let_its_author_put_another() {
    let check = |statements: &str, caller, expected: bool| {
        let keys = Keys::default();
        let request = Request { principal: caller, action: "kms:CreateKey", resource: KEY, context: &keys };
        assert_eq!(would_allow_put_key_policy(&key_policy(statements), &request), expected, "{statements}");
    };
    check(&grants("Allow", HOME), ROOT, true);
    check(&grants("Allow", HOME), BOB, true);
    check(&grants("Allow", BOB_ARN), BOB, true);
    check(&grants("Allow", BOB_ARN), ROOT, false);
    check(&grants("Allow", ROLE_ARN), SESSION, true);
    check(&grants("Allow", ROLE_ARN), BOB, false);
    check(&grants("Allow", AWAY), BOB, false);
    check(&grants("Allow", HOME).replace("kms:*", "kms:Put*"), BOB, true);
    check(&grants("Allow", HOME).replace("kms:*", "kms:CreateKey"), BOB, false);
    check(&format!("{},{}", grants("Allow", HOME), grants("Deny", BOB_ARN)), BOB, false);
    check(&format!("{},{}", grants("Allow", HOME), grants("Deny", BOB_ARN)), ROOT, true);
}

#[test]
fn the_decision_names_its_statement() {
    let policy = key_policy(&format!(
        r#"{},{{"Sid":"Let Bob","Effect":"Allow","Principal":{{"AWS":"{BOB_ARN}"}},"Action":"kms:*","Resource":"*"}},
           {{"Sid":"Not sign","Effect":"Deny","Principal":"*","Action":"kms:Sign","Resource":"*"}}"#,
        grants("Allow", HOME)
    ));
    let keys = Keys::default();
    let request = Request { principal: BOB, action: "kms:Encrypt", resource: KEY, context: &keys };
    let Decision::Allow(Grantor::Statement(by)) = decide(&request, &guarded(&policy)) else {
        panic!("denied")
    };
    assert_eq!((by.layer, by.document, by.statement, by.sid), (Layer::Resource, 0, 1, Some("Let Bob")));
    let request = Request { action: "kms:Sign", ..request };
    let Decision::Deny(Reason::Explicit(by)) = decide(&request, &guarded(&policy)) else { panic!("allowed") };
    assert_eq!((by.layer, by.document, by.statement, by.sid), (Layer::Resource, 0, 2, Some("Not sign")));
    let endpoint = document(Kind::Endpoint, &grants("Allow", HOME));
    assert_eq!(ask(BOB, &Policies { endpoint: Some(&endpoint), ..guarded(&policy) }), "allow");
}

/// Attack B22, through a variable in a resource.
#[test]
fn b22_an_ambiguous_variable_in_a_resource_fails_closed() {
    let ask = |effect: &str, keys: &Keys| {
        let statement = format!(
            r#"{{"Effect":"{effect}","Action":"kms:*","Resource":"arn:aws:kms:*:*:key/${{aws:principaltag/team}}"}}"#
        );
        let documents = [Arc::new(identity(&statement)), Arc::new(identity(ALLOW_ALL))];
        let used = if effect == "Deny" { &documents[..] } else { &documents[..1] };
        let policies = Policies { identity: used, ..bare(ResourceSide::Unguarded) };
        let resource = "arn:aws:kms:us-east-1:111122223333:key/red";
        let request = Request { principal: BOB, action: "kms:Encrypt", resource, context: keys };
        words(&decide(&request, &policies))
    };
    let red = Keys::one("aws:principaltag/team", "red");
    assert_eq!(ask("Allow", &red), "allow");
    assert_eq!(ask("Deny", &red), "deny explicit Identity");
    let conflicting = Keys::conflicting("aws:principaltag/team", &["red", "blue"]);
    assert_eq!(ask("Allow", &conflicting), "deny implicit Identity");
    assert_eq!(ask("Deny", &conflicting), "deny explicit Identity");
    assert_eq!(ask("Deny", &Keys::default()), "allow");
}

/// Tags and aliases of a key are condition keys of IAM policies: a key policy that asks for them finds none.
#[test]
fn a_key_policy_does_not_see_the_keys_tags_and_aliases() {
    let keys = Keys(vec![
        ("aws:resourcetag/team".to_owned(), Values::One("a".into())),
        ("kms:resourcealiases".to_owned(), Values::Set(vec!["alias/app".into()])),
    ]);
    let asks = |effect: &str, condition: &str| {
        format!(
            r#"{{"Effect":"{effect}","Principal":{{"AWS":"{BOB_ARN}"}},"Action":"kms:*","Resource":"*","Condition":{condition}}}"#
        )
    };
    let everything = grants("Allow", BOB_ARN);
    for (present, absent) in [
        (r#"{"StringEquals":{"aws:ResourceTag/team":"a"}}"#, r#"{"Null":{"aws:ResourceTag/team":"true"}}"#),
        (
            r#"{"ForAnyValue:StringLike":{"kms:ResourceAliases":"alias/*"}}"#,
            r#"{"Null":{"kms:ResourceAliases":"true"}}"#,
        ),
    ] {
        assert!(!allows(&asks("Allow", present), BOB, &keys), "{present}");
        assert!(allows(&asks("Allow", absent), BOB, &keys), "{absent}");
        assert!(allows(&format!("{everything},{}", asks("Deny", present)), BOB, &keys), "{present}");
        assert!(!allows(&format!("{everything},{}", asks("Deny", absent)), BOB, &keys), "{absent}");
        let identity =
            shared(&asks("Allow", present).replace(&format!(r#""Principal":{{"AWS":"{BOB_ARN}"}},"#), ""));
        let policy = key_policy(&grants("Allow", HOME));
        let policies = Policies { identity: &identity, ..guarded(&policy) };
        let request = Request { principal: BOB, action: "kms:Encrypt", resource: KEY, context: &keys };
        assert!(decide(&request, &policies).is_allow(), "{present}");
    }
}
