//! Key policies: what is accepted, what is refused and in which words, and the lockout safety check.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::world::{ALICE, Ask, BOB, Key, Transcript, World};

/// A policy with one statement.
pub(crate) fn policy(statement: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Allows everything to an account's root.
pub(crate) fn open_to(account: &str) -> Value {
    json!({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"})
}

fn put(key: &Key, policy: &str) -> Value {
    json!({"KeyId": key.id, "Policy": policy})
}

#[test]
fn policies_are_kept_as_they_were_put() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    calls.ask(ALICE, "GetKeyPolicy", json!({"KeyId": key.id}));
    calls.ask(ALICE, "ListKeyPolicies", json!({"KeyId": key.id}));
    let odd = format!("{{ \"Statement\":\t[{}\n], \"Version\" :\"2008-10-17\"}}", open_to(ALICE.account));
    calls.ask(ALICE, "PutKeyPolicy", put(&key, &odd));
    let got = calls.ask(ALICE, "GetKeyPolicy", json!({"KeyId": key.arn, "PolicyName": "default"}));
    assert_eq!(serde_json::from_str::<Value>(&got.body).unwrap()["Policy"], odd);
    calls.note("Only `default` exists.");
    calls.ask(ALICE, "GetKeyPolicy", json!({"KeyId": key.id, "PolicyName": "other"}));
    calls.ask(ALICE, "GetKeyPolicy", json!({"KeyId": key.id, "PolicyName": "not a name"}));
    for name in ["other", "AWS_RAM"] {
        calls.ask(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "PolicyName": name, "Policy": odd}));
    }
    calls.note("Made with a policy.");
    let made = calls.ask(ALICE, "CreateKey", json!({"Policy": policy(open_to("*"))}));
    let id = serde_json::from_str::<Value>(&made.body).unwrap()["KeyMetadata"]["KeyId"].clone();
    calls.ask(ALICE, "GetKeyPolicy", json!({"KeyId": id}));
    calls.compare(&expect_file!["golden/policies.txt"]);
}

#[test]
fn malformed_policies_are_refused_in_awss_words() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    let root = open_to(ALICE.account);
    let with =
        |statement: Value| json!({"Version": "2012-10-17", "Statement": [root, statement]}).to_string();
    let principal = |principal: Value| {
        with(json!({"Effect": "Allow", "Principal": principal, "Action": "kms:Encrypt", "Resource": "*"}))
    };
    let condition = |condition: Value| {
        let everyone = json!({"AWS": "*"});
        with(json!({"Effect": "Allow", "Principal": everyone, "Action": "kms:Encrypt", "Resource": "*",
            "Condition": condition}))
    };
    for text in [
        String::new(),
        "x".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}"#.to_owned(),
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","\u0045ffect":"Allow"}]}"#.to_owned(),
        format!(r#"{{"Version":"2013-10-17","Statement":[{root}]}}"#),
        with(json!({"Effect": "allow", "Principal": "*", "Action": "kms:*", "Resource": "*"})),
        with(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})),
        with(json!({"Effect": "Allow", "Principal": "*", "Action": "Encrypt", "Resource": "*"})),
        principal(json!({})),
        principal(json!({"AWS": "12345"})),
        principal(json!({"AWS": "arn:aws:iam::111122223333:*"})),
        principal(json!({"AWS": "arn:aws:iam::111122223333:user/nobody"})),
        principal(json!({"AWS": "AIDACKCEVSQ6C2EXAMPLE"})),
        condition(json!({"StringEqual": {"kms:ViaService": "x"}})),
        condition(json!({"ForAllValues:StringEquals": {"kms:EncryptionContext:a": "b"}})),
        condition(json!({"IpAddress": {"aws:SourceIp": "not an address"}})),
        policy(json!("\u{3b1}")).replace('"', "\u{3b1}"),
    ] {
        calls.ask(ALICE, "PutKeyPolicy", put(&key, &text));
        let made = world.send(&Ask::new(ALICE, "CreateKey", json!({"Policy": text})));
        assert_ne!(made.code, None, "{text}");
    }
    calls.compare(&expect_file!["golden/malformed_policies.txt"]);
}

/// 32,768 bytes are the quota; a text of the shape's 131,072 characters is refused before.
#[test]
fn policies_have_a_size() {
    let world = World::new();
    let key = world.key(ALICE);
    let padded = |bytes: usize| {
        let text = policy(open_to(ALICE.account));
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    world.succeed(ALICE, "PutKeyPolicy", put(&key, &padded(32_768)));
    for (bytes, code) in [
        (32_769, "LimitExceededException"),
        (131_072, "LimitExceededException"),
        (131_073, "ValidationException"),
    ] {
        assert_eq!(world.refuse(ALICE, "PutKeyPolicy", put(&key, &padded(bytes))), code);
        assert_eq!(world.refuse(ALICE, "CreateKey", json!({"Policy": padded(bytes)})), code);
    }
}

/// Attack B16: a policy that would lock its author out is refused unless the author insists, and that is recorded.
#[test]
fn b16_nobody_locks_themselves_out_by_accident() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    let denied = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:PutKeyPolicy", "Resource": "*"});
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), denied]}).to_string();
    let mut encrypt_only = open_to(ALICE.account);
    encrypt_only["Action"] = json!("kms:Encrypt");
    for text in [policy(open_to(BOB.account)), both.clone(), policy(encrypt_only)] {
        calls.ask(ALICE, "PutKeyPolicy", put(&key, &text));
        calls.ask(ALICE, "CreateKey", json!({"Policy": text}));
    }
    calls.note("With the bypass.");
    let request = json!({"KeyId": key.id, "Policy": both, "BypassPolicyLockoutSafetyCheck": true});
    let answer = calls.ask(ALICE, "PutKeyPolicy", request.clone());
    assert_eq!(answer.event["requestParameters"]["bypassPolicyLockoutSafetyCheck"], true);
    calls.ask(ALICE, "PutKeyPolicy", request);
    calls.compare(&expect_file!["golden/lockout.txt"]);
}

/// The lockout safety check sees the key as the next PutKeyPolicy would.
#[test]
fn b16_conditions_on_the_key_itself_lock_out_too() {
    let world = World::new();
    let tags = json!([{"TagKey": "Team", "TagValue": "a"}]);
    let key = world.key_with(ALICE, json!({"Tags": tags}));
    let check = |condition: &str, value: &str, matches: bool| {
        let condition = json!({"StringEquals": {condition: value}});
        let mut denied =
            json!({"Effect": "Deny", "Principal": "*", "Action": "kms:PutKeyPolicy", "Resource": "*"});
        denied["Condition"] = condition.clone();
        let statements = [open_to(ALICE.account), denied];
        let denying = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let mut only = open_to(ALICE.account);
        only["Condition"] = condition.clone();
        for (text, locks_out) in [(denying, matches), (policy(only), !matches)] {
            let answer = world.send(&Ask::new(ALICE, "PutKeyPolicy", put(&key, &text)));
            let expected = locks_out.then_some("MalformedPolicyDocumentException");
            assert_eq!(answer.code, expected, "{condition} {text}");
            // What is accepted does not lock out.
            world.succeed(ALICE, "PutKeyPolicy", put(&key, &policy(open_to(ALICE.account))));
        }
    };
    for (name, value) in [
        ("kms:KeyOrigin", "AWS_KMS"),
        ("kms:KeySpec", "SYMMETRIC_DEFAULT"),
        ("kms:KeyUsage", "ENCRYPT_DECRYPT"),
        ("aws:ResourceAccount", ALICE.account),
        ("kms:CallerAccount", ALICE.account),
    ] {
        check(name, value, true);
        check(name, "another", false);
    }
}
