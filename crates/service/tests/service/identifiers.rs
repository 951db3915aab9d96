//! How requests name keys: ids, ARNs, aliases, and what is not one.

use expect_test::expect_file;
use serde_json::json;

use crate::world::{ALICE, Ask, BOB, NO_KEY, Transcript, World};

#[test]
fn keys_answer_to_their_names_and_to_no_other() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    calls.ask(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
    let alias_arn = "arn:aws:kms:us-east-1:111122223333:alias/app";

    calls.note("Four names of one key.");
    for name in [&*key.id, &*key.arn, "alias/app", alias_arn] {
        calls.ask(ALICE, "DescribeKey", json!({"KeyId": name}));
    }
    calls.note("Names of nothing.");
    for name in [
        NO_KEY,
        "fake-key-id",
        "mrk-fake-key-id",
        "1234ABCD-12ab-34cd-56ef-1234567890ab",
        "1234abcd12ab34cd56ef1234567890ab",
        "alias/none",
        "alias/APP",
        &key.arn.replace(&key.id, NO_KEY),
        "arn:aws:kms:us-east-1:111122223333:alias/none",
        "arn:aws:kms:us-east-1:111122223333:key/nope",
        "arn:aws:kms:us-east-1:111122223333:alias/",
        "arn:aws:kms:us-east-1::key/nope",
        "arn:aws:kms:eu-west-1:111122223333:alias/app",
        "arn:aws-cn:kms:us-east-1:111122223333:alias/app",
        "arn:aws:s3:::bucket",
        "arn:",
        "a\u{0}\u{1b}[31m\"\\",
    ] {
        calls.ask(ALICE, "DescribeKey", json!({"KeyId": name}));
    }
    calls.note("Management takes no aliases.");
    for name in ["alias/app", alias_arn] {
        calls.ask(ALICE, "DisableKey", json!({"KeyId": name}));
    }
    calls.note("Regions and accounts share nothing.");
    for name in [&key.id, &key.arn] {
        calls.send(&Ask::new(ALICE, "DescribeKey", json!({"KeyId": name})).region("eu-west-1"));
        calls.ask(BOB, "DescribeKey", json!({"KeyId": name}));
    }
    calls.send(&Ask::new(ALICE, "DescribeKey", json!({"KeyId": "alias/app"})).region("eu-west-1"));
    calls.ask(BOB, "DescribeKey", json!({"KeyId": "alias/app"}));
    calls.ask(BOB, "DescribeKey", json!({"KeyId": alias_arn}));
    calls.compare(&expect_file!["golden/identifiers.txt"]);
}

#[test]
fn a_region_that_is_none_is_not_served() {
    let world = World::new();
    let answer = world.send(&Ask::new(ALICE, "ListKeys", json!({})).region("mars-north-one"));
    assert_eq!(answer.code, Some("InvalidSignatureException"));
    assert!(answer.event.is_null());
}
