//! Making keys, describing them, switching them on and off.

use expect_test::expect_file;
use serde_json::json;

use crate::world::{ALICE, Ask, Transcript, World};

#[test]
fn keys_are_made_as_asked_or_refused() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    calls.ask(ALICE, "CreateKey", json!({}));
    calls.ask(
        ALICE,
        "CreateKey",
        json!({"Description": "for \"tests\" \u{e9}\u{1f511}", "KeySpec": "SYMMETRIC_DEFAULT",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS",
            "MultiRegion": false, "BypassPolicyLockoutSafetyCheck": false, "Unknown": {"a": [1]}, "Policy": null}),
    );
    let set = calls.ask(ALICE, "CreateKey", json!({"MultiRegion": true}));
    let id = serde_json::from_str::<serde_json::Value>(&set.body).unwrap()["KeyMetadata"]["KeyId"].clone();
    assert!(id.as_str().unwrap().starts_with("mrk-") && id.as_str().unwrap().len() == 36, "{id}");
    calls.note("What does not fit together.");
    for request in [
        json!({"KeySpec": "RSA_2048"}),
        json!({"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "SIGN_VERIFY"}),
        json!({"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_3072", "KeyUsage": "SIGN_VERIFY"}),
        json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}),
        json!({"XksKeyId": "a"}),
    ] {
        calls.ask(ALICE, "CreateKey", request);
    }
    calls.note("What this version does not serve says so.");
    for request in [json!({"Origin": "AWS_CLOUDHSM"}), json!({"Origin": "EXTERNAL_KEY_STORE"})] {
        calls.ask(ALICE, "CreateKey", request);
    }
    calls.ask(ALICE, "ConnectCustomKeyStore", json!({}));
    calls.ask(ALICE, "NoSuchOperation", json!({}));
    calls.note("Members of the wrong type, and out of bounds.");
    for request in [
        json!({"Description": 1}),
        json!({"Description": ["a"]}),
        json!({"Description": "d".repeat(8193)}),
        json!({"MultiRegion": "perhaps"}),
        json!({"MultiRegion": 1}),
        json!({"KeySpec": "AES_256", "KeyUsage": "x", "Origin": "y"}),
        json!({"Tags": {}}),
    ] {
        calls.ask(ALICE, "CreateKey", request);
    }
    calls.note("Bodies that are no requests.");
    for body in ["", "[]", "{", r#"{"Description":"a","Description":"b"}"#, "{\"Description\":\"\u{1}\"}"] {
        calls.send(&Ask::raw(ALICE, "CreateKey", body));
    }
    calls.compare(&expect_file!["golden/create_key.txt"]);
}

#[test]
fn keys_are_switched_described_and_deleted() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    let on_key = json!({"KeyId": key.arn});
    calls.ask(ALICE, "UpdateKeyDescription", json!({"KeyId": key.id, "Description": "new"}));
    calls.ask(ALICE, "UpdateKeyDescription", json!({"KeyId": key.id, "Description": "d".repeat(8193)}));
    calls.ask(ALICE, "UpdateKeyDescription", json!({"KeyId": key.id}));
    for operation in ["DisableKey", "DisableKey", "DescribeKey", "EnableKey", "EnableKey", "DescribeKey"] {
        calls.ask(ALICE, operation, on_key.clone());
    }
    calls.note("The waiting period.");
    for days in [json!(0), json!(1), json!(6), json!(31), json!(365), json!(366), json!("7")] {
        calls.ask(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": days}));
    }
    calls.ask(ALICE, "CancelKeyDeletion", on_key.clone());
    calls.ask(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": 7.9}));
    calls.ask(ALICE, "ScheduleKeyDeletion", on_key.clone());
    calls.ask(ALICE, "DescribeKey", on_key.clone());
    calls.ask(ALICE, "CancelKeyDeletion", on_key.clone());
    calls.ask(ALICE, "DescribeKey", on_key.clone());
    calls.ask(ALICE, "EnableKey", on_key.clone());
    calls.ask(ALICE, "ScheduleKeyDeletion", on_key.clone());
    calls.ask(ALICE, "ListKeys", json!({}));
    calls.compare(&expect_file!["golden/keys.txt"]);
}
