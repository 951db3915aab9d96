//! What each state of a key allows: a table of all operations and states.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::policies::{open_to, policy};
use crate::world::{ALICE, Ask, Key, World, base64};

/// How a key gets into each state.
const STATES: [(&str, &[&str]); 3] =
    [("Enabled", &[]), ("Disabled", &["DisableKey"]), ("PendingDeletion", &["ScheduleKeyDeletion"])];

/// A request of each operation about a key, whose blob and alias are there.
fn requests(key: &Key, other: &Key, blob: &str) -> Vec<(&'static str, Value)> {
    let (id, other) = (&key.id, &other.id);
    let on_key = json!({"KeyId": id});
    let plaintext = base64(b"x");
    let own_policy = policy(open_to(ALICE.account));
    vec![
        ("DescribeKey", on_key.clone()),
        ("GetKeyPolicy", on_key.clone()),
        ("ListAliases", on_key.clone()),
        ("ListKeyPolicies", on_key.clone()),
        ("ListResourceTags", on_key.clone()),
        ("Encrypt", json!({"KeyId": id, "Plaintext": plaintext})),
        ("Encrypt (dry run)", json!({"KeyId": id, "Plaintext": plaintext, "DryRun": true})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("Decrypt (dry run)", json!({"CiphertextBlob": blob, "DryRun": true})),
        ("GenerateDataKey", json!({"KeyId": id, "NumberOfBytes": 8})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": id, "NumberOfBytes": 8})),
        ("ReEncrypt (from)", json!({"CiphertextBlob": blob, "DestinationKeyId": other})),
        ("ReEncrypt (to)", json!({"CiphertextBlob": blob, "DestinationKeyId": id})),
        ("CreateAlias", json!({"AliasName": "alias/new", "TargetKeyId": id})),
        ("UpdateAlias (from)", json!({"AliasName": "alias/old", "TargetKeyId": other})),
        ("UpdateAlias (to)", json!({"AliasName": "alias/other", "TargetKeyId": id})),
        ("DeleteAlias", json!({"AliasName": "alias/old"})),
        ("PutKeyPolicy", json!({"KeyId": id, "Policy": own_policy})),
        ("TagResource", json!({"KeyId": id, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"KeyId": id, "TagKeys": ["a"]})),
        ("UpdateKeyDescription", json!({"KeyId": id, "Description": "d"})),
        ("EnableKey", on_key.clone()),
        ("DisableKey", on_key.clone()),
        ("CancelKeyDeletion", on_key.clone()),
        ("ScheduleKeyDeletion", on_key),
    ]
}

/// One row: what a fresh world answers to one operation on a key in each state.
fn row(number: usize) -> String {
    let mut row = String::new();
    for (state, steps) in STATES {
        let world = World::new();
        let (key, other) = (world.key(ALICE), world.key(ALICE));
        for (name, target) in [("alias/old", &key), ("alias/other", &other)] {
            world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": target.id}));
        }
        let blob = world.encrypt(ALICE, &key, b"x", json!({}));
        let (label, request) = requests(&key, &other, &blob).swap_remove(number);
        let request = match label {
            "ReEncrypt (to)" => {
                json!({"CiphertextBlob": world.encrypt(ALICE, &other, b"x", json!({})), "DestinationKeyId": key.id})
            }
            _ => request,
        };
        for step in steps {
            world.succeed(ALICE, step, json!({"KeyId": key.id}));
        }
        let operation = label.split_once(' ').map_or(label, |(name, _)| name);
        let answer = world.send(&Ask::new(ALICE, operation, request));
        let message = serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["message"].take();
        let said = message.as_str().map_or_else(String::new, |text| format!(": {}", world.normalize(text)));
        if row.is_empty() {
            row = format!("{label}\n");
        }
        row.push_str(&format!("    {state:<16}{}{said}\n", answer.code.unwrap_or("ok")));
    }
    row
}

#[test]
fn every_state_allows_what_awss_table_says() {
    let key = Key { id: String::new(), arn: String::new() };
    let table: String = (0..requests(&key, &key, "").len()).map(row).collect();
    expect_file!["golden/states.txt"].assert_eq(&table);
}
