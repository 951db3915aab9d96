//! The rules of aliases.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::world::{ALICE, BOB, Transcript, World};

#[test]
fn aliases_come_move_and_go() {
    let world = World::new();
    let (one, two) = (world.key(ALICE), world.key(ALICE));
    let mut calls = Transcript::of(&world);
    let create = |name: &str, key: &str| json!({"AliasName": name, "TargetKeyId": key});
    calls.ask(ALICE, "CreateAlias", create("alias/app", &one.id));
    calls.ask(ALICE, "CreateAlias", create("alias/app/blue:v-1_x", &one.arn));
    calls.ask(ALICE, "ListAliases", json!({}));
    calls.note("A name is taken once, whatever its key; names are case-sensitive and belong to one account.");
    calls.ask(ALICE, "CreateAlias", create("alias/app", &one.id));
    calls.ask(ALICE, "CreateAlias", create("alias/app", &two.id));
    calls.ask(ALICE, "CreateAlias", create("alias/App", &two.id));
    let bobs = world.key(BOB);
    calls.ask(BOB, "CreateAlias", create("alias/app", &bobs.id));
    calls.note("An alias that moves keeps its creation date.");
    world.clock.advance(1_500);
    calls.ask(ALICE, "UpdateAlias", create("alias/app", &two.arn));
    calls.ask(ALICE, "UpdateAlias", create("alias/app", &two.id));
    calls.ask(ALICE, "ListAliases", json!({"KeyId": one.id}));
    calls.ask(ALICE, "ListAliases", json!({"KeyId": two.arn}));
    calls.ask(ALICE, "DescribeKey", json!({"KeyId": "alias/app"}));
    calls.note("One that is deleted can be made anew.");
    calls.ask(ALICE, "DeleteAlias", json!({"AliasName": "alias/app"}));
    calls.ask(ALICE, "DeleteAlias", json!({"AliasName": "alias/app"}));
    calls.ask(ALICE, "UpdateAlias", create("alias/app", &two.id));
    calls.ask(ALICE, "DescribeKey", json!({"KeyId": "alias/app"}));
    calls.ask(ALICE, "CreateAlias", create("alias/app", &one.id));
    calls.compare(&expect_file!["golden/aliases.txt"]);
}

#[test]
fn names_and_targets_follow_rules() {
    let world = World::new();
    let (key, bobs) = (world.key(ALICE), world.key(BOB));
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
    let mut calls = Transcript::of(&world);
    calls.note("Names.");
    for name in ["app", "ALIAS/app", "alias/aws/s3", "alias/", "alias/ä", "alias/a b", ""] {
        calls.ask(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": key.id}));
    }
    for operation in ["UpdateAlias", "DeleteAlias"] {
        for name in ["app", "alias/aws/s3"] {
            calls.ask(ALICE, operation, json!({"AliasName": name, "TargetKeyId": key.id}));
        }
    }
    calls.note("Targets.");
    let elsewhere = key.arn.replace("us-east-1", "eu-west-1");
    for operation in ["CreateAlias", "UpdateAlias"] {
        let name = if operation == "CreateAlias" { "alias/new" } else { "alias/app" };
        for target in
            ["alias/app", "arn:aws:kms:us-east-1:111122223333:alias/app", "nope", &elsewhere, &bobs.arn]
        {
            calls.ask(ALICE, operation, json!({"AliasName": name, "TargetKeyId": target}));
        }
    }
    calls.compare(&expect_file!["golden/alias_rules.txt"]);
}

/// A key has at most 50 aliases, however they come to it; otherwise its deletion could outgrow a commit.
#[test]
fn the_quota_holds_for_aliases_that_are_made_and_that_are_moved() {
    let world = World::new();
    let (one, two) = (world.key(ALICE), world.key(ALICE));
    for number in 0..50 {
        let name = format!("alias/{number}");
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": one.id}));
    }
    let one_more = json!({"AliasName": "alias/more", "TargetKeyId": one.id});
    assert_eq!(world.refuse(ALICE, "CreateAlias", one_more.clone()), "LimitExceededException");
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/more", "TargetKeyId": two.id}));
    assert_eq!(world.refuse(ALICE, "UpdateAlias", one_more.clone()), "LimitExceededException");
    // An alias that stays where it is needs no room.
    world.succeed(ALICE, "UpdateAlias", json!({"AliasName": "alias/7", "TargetKeyId": one.id}));
    world.succeed(ALICE, "DeleteAlias", json!({"AliasName": "alias/7"}));
    world.succeed(ALICE, "UpdateAlias", one_more);
    let listed = world.succeed(ALICE, "ListAliases", json!({"KeyId": one.id, "Limit": 100}));
    assert_eq!(listed["Aliases"].as_array().map(Vec::len), Some(50));
}

/// Two aliases for the last place: one gets it.
#[test]
fn racing_calls_do_not_exceed_the_quota() {
    let world = World::new();
    let key = world.key(ALICE);
    let make = |number: usize| {
        let request = json!({"AliasName": format!("alias/{number}"), "TargetKeyId": key.id});
        world.handle(&crate::world::Ask::new(ALICE, "CreateAlias", request)).outgoing.status
    };
    for number in 0..48 {
        assert_eq!(make(number), 200);
    }
    std::thread::scope(|scope| {
        for number in 48..56 {
            scope.spawn(move || make(number));
        }
    });
    let listed = world.succeed(ALICE, "ListAliases", json!({"KeyId": key.id, "Limit": 100}));
    assert_eq!(listed["Aliases"].as_array().map(Vec::len), Some(50), "{listed}");
}

/// Listing the aliases of another account's key tells nothing, not even whether there is such a key (O5).
#[test]
fn aliases_of_another_accounts_key_are_not_listed() {
    let world = World::new();
    let key = world.key(ALICE);
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
    let unknown = key.arn.replace(&key.id, crate::world::NO_KEY);
    let ask = |name: &str| world.send(&crate::world::Ask::new(BOB, "ListAliases", json!({"KeyId": name})));
    let (known, unknown) = (ask(&key.arn), ask(&unknown));
    assert_eq!((known.status, known.body), (400, unknown.body));
    assert_eq!(known.code, Some("AccessDeniedException"));
    let all = world.succeed(BOB, "ListAliases", Value::Object(serde_json::Map::new()));
    assert_eq!(all["Aliases"], json!([]));
}

/// An alias goes to keys of the type and usage that its key has, whatever their spec (API reference, "UpdateAlias").
#[test]
fn an_alias_stays_with_its_kind() {
    let world = World::new();
    let key = |spec: &str, usage: &str| world.key_with(ALICE, json!({"KeySpec": spec, "KeyUsage": usage}));
    let kinds = [
        [key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")],
        [key("RSA_2048", "SIGN_VERIFY"), key("ECC_NIST_P256", "SIGN_VERIFY")],
        [key("HMAC_256", "GENERATE_VERIFY_MAC"), key("HMAC_512", "GENERATE_VERIFY_MAC")],
        [key("ECC_NIST_P256", "KEY_AGREEMENT"), key("ECC_NIST_P384", "KEY_AGREEMENT")],
        [key("RSA_2048", "ENCRYPT_DECRYPT"), key("RSA_2048", "ENCRYPT_DECRYPT")],
    ];
    for (place, [from, _]) in kinds.iter().enumerate() {
        let name = format!("alias/{place}");
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": from.id}));
        for (other, [_, to]) in kinds.iter().enumerate() {
            let request = json!({"AliasName": name, "TargetKeyId": to.id});
            if other == place {
                world.succeed(ALICE, "UpdateAlias", request);
            } else {
                assert_eq!(
                    world.refuse(ALICE, "UpdateAlias", request),
                    "ValidationException",
                    "{place} {other}"
                );
            }
        }
    }
}
