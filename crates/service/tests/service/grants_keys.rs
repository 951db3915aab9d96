//! Grants and their keys: states, deletion, replicas, kinds, and the lists.

use serde_json::{Value, json};

use crate::actor::new_user;
use crate::grants::{ALICES, DENIED, describe, encrypt, error, grant, granted, listed, revoke, user, wanted};
use crate::kinds::make;
use crate::world::{ALICE, Ask, BOB, DAY_MS, Key, World, block_on};

/// Attack E10: in which states of a key grants are made, and what becomes of those that there are.
#[test]
fn e10_grants_and_the_states_of_keys() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let to = user(ALICE, "Ann");
    let create = || world.refuse(ALICE, "CreateGrant", wanted(&key, &to, &["Encrypt"], json!({})));
    let made = grant(&world, &key, &to, &["Encrypt", "RetireGrant"], json!({"Name": "n"}));
    let other = grant(&world, &key, &to, &["DescribeKey"], json!({"RetiringPrincipal": to}));
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    assert_eq!(create(), "DisabledException");
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)).as_deref(), Some("DisabledException"));
    assert_eq!(listed(&world, &key, json!({})).len(), 2);
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)), None, "it survived");
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": 7}));
    assert_eq!(create(), "KMSInvalidStateException");
    assert_eq!(error(&world, &ann, "DescribeKey", &describe(&key)), None);
    revoke(&world, &key, &other);
    assert_eq!(error(&world, &ann, "DescribeKey", &describe(&key)).as_deref(), DENIED);
    world.succeed(ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)), None, "it survived");
    assert_eq!(error(&world, &ann, "RetireGrant", &json!({"GrantToken": made.token})), None);
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)).as_deref(), DENIED);
}

/// The grants of a key die with it, all of them and with every index.
#[test]
fn grants_die_with_their_key() {
    let world = World::new();
    let (doomed, kept) = (world.key(ALICE), world.key(ALICE));
    let ann = new_user(&world, ALICE, "Ann");
    let to = user(ALICE, "Ann");
    let more = |number: usize| json!({"RetiringPrincipal": to, "Name": format!("n{number}")});
    let request = |number: usize| wanted(&doomed, &to, &["Encrypt", "RetireGrant"], more(number));
    let asks: Vec<Ask> = (0..120).map(|number| Ask::new(ALICE, "CreateGrant", request(number))).collect();
    for ask in &asks {
        assert_eq!(world.handle(ask).code, None);
    }
    let left = grant(&world, &kept, &to, &["Encrypt"], more(0));
    let token = granted(&world.succeed(ALICE, "CreateGrant", request(0))).token;
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": doomed.id, "PendingWindowInDays": 7}));
    world.clock.advance(7 * DAY_MS);
    assert_eq!(world.run_due().failed, 0);
    let names = world.record_names();
    let remains: Vec<_> = names.iter().filter(|name| name.contains(&doomed.id)).collect();
    assert!(remains.is_empty(), "{remains:?}");
    assert_eq!(listed(&world, &kept, json!({}))[0]["GrantId"], left.id);
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&doomed)).as_deref(), Some("NotFoundException"));
    let retire = error(&world, &ann, "RetireGrant", &json!({"GrantToken": token}));
    assert_eq!(retire.as_deref(), Some("NotFoundException"));
    let retirable = world.succeed(ALICE, "ListRetirableGrants", json!({"RetiringPrincipal": to}));
    assert_eq!(retirable["Grants"].as_array().map(Vec::len), Some(1));
}

/// A replica has its own grants. One that takes the place of another gets none of the grants that were on that.
#[test]
fn grants_on_replicas_are_their_own() {
    let world = World::new();
    let primary = world.key_with(ALICE, json!({"MultiRegion": true}));
    let ireland = "eu-west-1";
    let replicate = json!({"KeyId": primary.id, "ReplicaRegion": ireland});
    world.succeed(ALICE, "ReplicateKey", replicate.clone());
    let bobs = "arn:aws:iam::444455556666:root";
    let replica = Key { id: primary.id.clone(), arn: primary.arn.replace("us-east-1", ireland) };
    let made = grant(&world, &primary, bobs, &["Encrypt"], json!({}));
    world.succeed(BOB, "Encrypt", encrypt(&primary));
    assert_eq!(world.refuse_in(ireland, BOB, "Encrypt", encrypt(&replica)), "AccessDeniedException");
    // A token is of the key in its Region.
    let mut with_token = encrypt(&replica);
    with_token["GrantTokens"] = json!([made.token]);
    assert_eq!(world.refuse_in(ireland, ALICE, "Encrypt", with_token), "InvalidGrantTokenException");
    let retire = json!({"GrantToken": made.token});
    assert_eq!(world.refuse_in(ireland, ALICE, "RetireGrant", retire), "InvalidGrantTokenException");
    world.succeed_in(ireland, ALICE, "CreateGrant", wanted(&replica, bobs, &["Encrypt"], json!({})));
    world.succeed_in(ireland, BOB, "Encrypt", encrypt(&replica));
    world.succeed_in(
        ireland,
        ALICE,
        "ScheduleKeyDeletion",
        json!({"KeyId": replica.id, "PendingWindowInDays": 7}),
    );
    world.clock.advance(7 * DAY_MS);
    assert_eq!(world.run_due().failed, 0);
    world.succeed(ALICE, "ReplicateKey", replicate);
    assert_eq!(world.refuse_in(ireland, BOB, "Encrypt", encrypt(&replica)), "AccessDeniedException");
    world.succeed(BOB, "Encrypt", encrypt(&primary));
}

/// While the grants of a deleted replica are not all gone, no other takes its place.
#[test]
fn no_replica_inherits_grants() {
    let world = World::new();
    let primary = world.key_with(ALICE, json!({"MultiRegion": true}));
    let count = format!("grant-count/{}/eu-west-1/{}", ALICE.account, primary.id);
    let put = claviger_store::Write::Put { name: count.clone().into_bytes(), value: vec![4, 0x81, 1] };
    let commit = |write| claviger_store::Commit { preconditions: Vec::new(), writes: vec![write] };
    block_on(world.store.commit(commit(put))).unwrap();
    let replicate = json!({"KeyId": primary.id, "ReplicaRegion": "eu-west-1"});
    assert_eq!(world.refuse(ALICE, "ReplicateKey", replicate.clone()), "DependencyTimeoutException");
    block_on(world.store.commit(commit(claviger_store::Write::Delete(count.into_bytes())))).unwrap();
    world.succeed(ALICE, "ReplicateKey", replicate);
}

/// The lists, page by page, whatever the size of the page.
#[test]
fn lists_of_grants_are_whole_at_every_size() {
    let world = World::new();
    let key = world.key(ALICE);
    new_user(&world, ALICE, "Ann");
    let ann = user(ALICE, "Ann");
    for number in 0..5 {
        let more = json!({"RetiringPrincipal": ann, "Name": format!("n{number}")});
        grant(&world, &key, if number % 2 == 0 { ALICES } else { &ann }, &["Encrypt"], more);
    }
    let lists = [
        ("ListGrants", json!({"KeyId": key.id}), 5),
        ("ListGrants", json!({"KeyId": key.id, "GranteePrincipal": ann}), 2),
        ("ListRetirableGrants", json!({"RetiringPrincipal": ann}), 5),
    ];
    for (operation, request, expected) in lists {
        for limit in 1..=6 {
            let (mut ids, mut marker) = (Vec::new(), Value::Null);
            loop {
                let mut page = request.clone();
                page["Limit"] = json!(limit);
                page["Marker"] = marker;
                let answer = world.succeed(ALICE, operation, page);
                let grants = answer["Grants"].as_array().unwrap();
                ids.extend(grants.iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned()));
                assert!(grants.len() <= limit && ids.len() <= expected);
                if answer["Truncated"] == false {
                    break;
                }
                marker = answer["NextMarker"].clone();
            }
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), expected, "{operation} by {limit}");
        }
        let mut largest = request;
        largest["Limit"] = json!(1000);
        world.succeed(ALICE, operation, largest);
    }
}

/// Grants on keys of every kind allow what those keys do, and nothing else can be granted on them.
#[test]
fn each_kind_of_key_has_its_operations() {
    let world = World::new();
    let all = [
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
        "Sign",
        "Verify",
        "GetPublicKey",
        "CreateGrant",
        "RetireGrant",
        "DescribeKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "VerifyMac",
        "DeriveSharedSecret",
        "Encapsulate",
        "Decapsulate",
    ];
    let encrypts = "Decrypt Encrypt ReEncryptFrom ReEncryptTo";
    let data_keys = "GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair \
                     GenerateDataKeyPairWithoutPlaintext";
    for (spec, usage, own) in [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", format!("{encrypts} {data_keys}")),
        ("RSA_2048", "ENCRYPT_DECRYPT", format!("{encrypts} GetPublicKey")),
        ("ECC_NIST_P256", "SIGN_VERIFY", "Sign Verify GetPublicKey".to_owned()),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "GenerateMac VerifyMac".to_owned()),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "DeriveSharedSecret GetPublicKey".to_owned()),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", "Encapsulate Decapsulate GetPublicKey".to_owned()),
    ] {
        let key = make(&world, spec, usage);
        let every = format!("{own} CreateGrant RetireGrant DescribeKey");
        let fits = |operation: &str| every.split_whitespace().any(|own| own == operation);
        for operation in all {
            // CreateGrant does not stand alone.
            let request = wanted(&key, ALICES, &[operation, "DescribeKey"], json!({}));
            let code = world.send(&Ask::new(ALICE, "CreateGrant", request)).code;
            assert_eq!(
                code,
                if fits(operation) { None } else { Some("ValidationException") },
                "{spec} {operation}"
            );
        }
        let constrained =
            json!({"Constraints": {"SourceArn": "arn:aws:ec2:us-east-1:111122223333:volume/v"}});
        grant(&world, &key, ALICES, &["DescribeKey"], constrained);
    }
}
