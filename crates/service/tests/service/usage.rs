//! What a key was last used for: what counts, what it costs, what survives.

use std::pin::pin;
use std::sync::Arc;

use claviger_service::{Moment, schedule, usage, writeback};
use claviger_store::{Commit, Memory, Write};
use serde_json::{Value, json};

use crate::policies::open_to;
use crate::vault::EngineVault;
use crate::world::{
    ALICE, Answer, Ask, BOB, DAY_MS, Key, ManualClock, REGION, START, World, advance, base64, block_on,
};

fn last_in(world: &World, region: &str, key: &Key) -> Value {
    world.succeed_in(region, ALICE, "GetKeyLastUsage", json!({"KeyId": key.id}))
}

/// The last use of a key, without what else is said of it.
fn last(world: &World, key: &Key) -> Value {
    last_in(world, REGION, key)["KeyLastUsage"].take()
}

/// A use as the event of its call tells it.
fn told(answer: &Answer, operation: &str, at: Moment) -> Value {
    json!({"Operation": operation, "Timestamp": at.seconds() as f64, "CloudTrailEventId": answer.event["eventID"],
        "KmsRequestId": answer.event["requestID"]})
}

fn encrypt(world: &World, key: &Key) -> Answer {
    let answer = world.send(&Ask::new(ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})));
    assert_eq!(answer.code, None);
    answer
}

fn stored(world: &World) -> Vec<String> {
    world.record_names().into_iter().filter(|name| name.starts_with("usage/")).collect()
}

#[test]
fn a_key_tells_of_its_last_use() {
    let world = World::new();
    world.clock.advance(1_234);
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let created = world.now().epoch();
    assert_eq!(
        last_in(&world, REGION, &key),
        json!({"KeyId": key.id, "KeyLastUsage": {}, "TrackingStartDate": created, "KeyCreationDate": created})
    );
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let on = |rest: Value| {
        let mut request = json!({"KeyId": key.id});
        request.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        request
    };
    for (operation, request) in [
        ("Encrypt", on(json!({"Plaintext": base64(b"x")}))),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", on(json!({"NumberOfBytes": 1}))),
        ("GenerateDataKeyWithoutPlaintext", on(json!({"NumberOfBytes": 1}))),
    ] {
        world.clock.advance(1_000);
        let answer = world.send(&Ask::new(ALICE, operation, request));
        assert_eq!(answer.code, None);
        assert_eq!(last(&world, &key), told(&answer, operation, world.now()));
    }
    assert_eq!(last(&world, &other), json!({}));
    // It is the last use of both.
    let request = json!({"CiphertextBlob": blob, "DestinationKeyId": other.id});
    let answer = world.send(&Ask::new(ALICE, "ReEncrypt", request));
    for key in [&key, &other] {
        assert_eq!(last(&world, key), told(&answer, "ReEncrypt", world.now()));
    }
}

/// A use is told in whole seconds, yet never as one from before the key.
#[test]
fn no_use_is_older_than_its_key() {
    let world = World::new();
    world.clock.advance(1_234);
    let key = world.key(ALICE);
    // After so many milliseconds: what is told then, in milliseconds after the key.
    for (later, told) in [(0, 0), (1, 0), (764, 0), (1, 766), (999, 766), (1, 1_766)] {
        world.clock.advance(later);
        encrypt(&world, &key);
        let answer = last_in(&world, REGION, &key);
        let used = answer["KeyLastUsage"]["Timestamp"].as_f64().unwrap();
        assert_eq!(used, Moment(START.0 + 1_234 + told).epoch(), "{later} later");
        assert!(used >= answer["KeyCreationDate"].as_f64().unwrap());
        assert!(used >= answer["TrackingStartDate"].as_f64().unwrap());
    }
}

/// Only what succeeds is a use, and only what uses key material.
#[test]
fn nothing_else_is_a_use() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"x", json!({"tenant": "a"}));
    let before = last(&world, &key);
    world.clock.advance(1_000);
    let on_key = json!({"KeyId": key.id});
    for (caller, operation, request) in [
        (ALICE, "DescribeKey", on_key.clone()),
        (ALICE, "GetKeyLastUsage", on_key.clone()),
        (ALICE, "UpdateKeyDescription", json!({"KeyId": key.id, "Description": "d"})),
        (ALICE, "GenerateRandom", json!({"NumberOfBytes": 1})),
        (ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA==", "DryRun": true})),
        (ALICE, "Decrypt", json!({"CiphertextBlob": blob})),
        (BOB, "Encrypt", json!({"KeyId": key.arn, "Plaintext": "eA=="})),
        (ALICE, "DisableKey", on_key.clone()),
        (ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})),
        (ALICE, "EnableKey", on_key),
    ] {
        world.send(&Ask::new(caller, operation, request));
        assert_eq!(last(&world, &key), before, "{operation}");
    }
    assert_eq!(world.refuse(BOB, "GetKeyLastUsage", json!({"KeyId": key.arn})), "AccessDeniedException");
    assert_eq!(world.refuse(ALICE, "GetKeyLastUsage", json!({"KeyId": "alias/a"})), "NotFoundException");
}

/// Uses cost no commit; a minute later they are in the store, many with one.
#[test]
fn uses_are_written_together() {
    let world = World::new();
    let keys: Vec<Key> = (0..200).map(|_| world.key(ALICE)).collect();
    let before = world.content();
    let uses: Vec<Answer> = keys.iter().map(|key| encrypt(&world, key)).collect();
    assert_eq!(world.content(), before, "no use is a commit");
    let mut task = pin!(writeback::run(
        &world.service,
        Arc::<ManualClock>::clone(&world.clock),
        writeback::WRITE_SECONDS
    ));
    let mut run = || assert!(!advance(task.as_mut()), "the task never ends");
    run();
    world.clock.advance(59_999);
    run();
    assert_eq!(stored(&world), [""; 0]);
    world.clock.advance(1);
    run();
    assert_eq!(stored(&world).len(), keys.len());
    let revisions: std::collections::BTreeSet<u64> = world
        .content()
        .into_iter()
        .filter(|record| record.name.starts_with(b"usage/"))
        .map(|record| record.revision)
        .collect();
    assert!(revisions.len() <= 3, "{} commits", revisions.len());
    for (key, used) in keys.iter().zip(&uses) {
        assert_eq!(last(&world, key), told(used, "Encrypt", START));
    }
    // Only that the ledger has come further, which those questions did.
    world.clock.advance(60_000);
    run();
    // Nothing new, nothing written.
    let before = world.content();
    world.clock.advance(60_000);
    run();
    assert_eq!(world.content(), before);
}

/// What was written survives; what was not is forgotten by a process that is killed, and the use before it is told.
#[test]
fn a_restart_knows_what_was_written() {
    let mut world = World::new();
    let key = world.key(ALICE);
    let first = encrypt(&world, &key);
    block_on(usage::write(&world.service)).unwrap();
    world.restart();
    assert_eq!(last(&world, &key), told(&first, "Encrypt", START));
    world.clock.advance(30_000);
    encrypt(&world, &key);
    world.restart();
    assert_eq!(last(&world, &key), told(&first, "Encrypt", START));
}

/// Of two hosts that used a key, the later use counts, whichever is written last.
#[test]
fn the_later_use_counts_on_every_host() {
    let world = World::new();
    let key = world.key(ALICE);
    let other = world.another_host();
    encrypt(&world, &key);
    world.clock.advance(1_000);
    let ask = Ask::new(ALICE, "GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": 1}));
    assert_eq!(block_on(other.handle(&ask.incoming(world.now()), world.now())).code, None);
    assert_eq!(last(&world, &key)["Operation"], "Encrypt", "the other host has not written yet");
    block_on(usage::write(&other)).unwrap();
    assert_eq!(last(&world, &key)["Operation"], "GenerateDataKey");
    block_on(usage::write(&world.service)).unwrap();
    assert_eq!(last(&world, &key)["Operation"], "GenerateDataKey");
}

/// Members of a set tell of their own uses; a deleted key leaves nothing, and a replica that is made again begins anew.
#[test]
fn each_region_tells_of_its_own() {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"MultiRegion": true}));
    let replicate = json!({"KeyId": key.id, "ReplicaRegion": "eu-west-1"});
    world.succeed(ALICE, "ReplicateKey", replicate.clone());
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let unused = |world: &World| last_in(world, "eu-west-1", &key)["KeyLastUsage"].take() == json!({});
    assert!(unused(&world));
    world.succeed_in("eu-west-1", ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(last_in(&world, "eu-west-1", &key)["KeyLastUsage"]["Operation"], "Decrypt");
    assert_eq!(last(&world, &key)["Operation"], "Encrypt");
    for write_before in [true, false] {
        if write_before {
            block_on(usage::write(&world.service)).unwrap();
            assert_eq!(stored(&world).len(), 2);
        } else {
            world.succeed_in("eu-west-1", ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
        }
        let doomed = json!({"KeyId": key.id, "PendingWindowInDays": 7});
        world.succeed_in("eu-west-1", ALICE, "ScheduleKeyDeletion", doomed);
        world.clock.advance(7 * DAY_MS);
        block_on(schedule::run_due(&world.service, world.now())).unwrap();
        block_on(usage::write(&world.service)).unwrap();
        assert_eq!(stored(&world).len(), 1, "only the primary key's");
        world.succeed(ALICE, "ReplicateKey", replicate.clone());
        assert!(unused(&world));
    }
}

/// Tracking begins with the store, also for keys that are older.
#[test]
fn older_keys_say_since_when_they_are_watched() {
    let store = Arc::new(Memory::new());
    let vault = Arc::new(EngineVault::new());
    let world = World::over(Arc::<Memory>::clone(&store), Arc::clone(&vault));
    world.clock.set(Moment(START.0 - 10 * DAY_MS));
    let key = world.key(ALICE);
    let answer = last_in(&world, REGION, &key);
    assert_eq!(answer["TrackingStartDate"].as_f64(), Some(START.epoch()));
    assert_eq!(answer["KeyCreationDate"].as_f64(), Some(world.now().epoch()));
    // A store that an older program made begins to be watched when it is opened.
    let commit = Commit { preconditions: Vec::new(), writes: vec![Write::Delete(b"usage-since".to_vec())] };
    block_on(world.store.commit(commit)).unwrap();
    let mut world = world;
    world.restart();
    assert_eq!(last_in(&world, REGION, &key)["TrackingStartDate"].as_f64(), Some(START.epoch()));
    assert!(world.record_names().contains(&"usage-since".to_owned()));
}

/// Denies an operation to whoever uses the key still; answers whether it was denied, so many days after its last use.
fn denied(operation: &str, used: bool, days: i64, limit: u32) -> bool {
    let world = World::new();
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": format!("kms:{operation}"), "Resource": "*",
        "Condition": {"NumericLessThan": {"kms:TrailingDaysWithoutKeyUsage": limit.to_string()}}});
    let policy = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), deny]}).to_string();
    let key = world.key_with(ALICE, json!({"Policy": policy}));
    if used {
        world.clock.advance(100 * DAY_MS);
        encrypt(&world, &key);
        block_on(usage::write(&world.service)).unwrap();
    }
    world.clock.advance(days * DAY_MS - 1);
    assert_eq!(world.refuse(ALICE, operation, json!({"KeyId": key.id})), "AccessDeniedException");
    world.clock.advance(1);
    match world.send(&Ask::new(ALICE, operation, json!({"KeyId": key.id}))).code {
        None => false,
        Some("AccessDeniedException") => true,
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn keys_in_use_can_be_kept_from_being_switched_off() {
    for operation in ["DisableKey", "ScheduleKeyDeletion"] {
        for used in [false, true] {
            assert!(!denied(operation, used, 30, 30), "{operation} {used}");
            assert!(denied(operation, used, 30, 31), "{operation} {used}");
        }
    }
}

/// A last use that cannot be read is a fault, not an unused key.
#[test]
fn a_damaged_last_use_is_not_taken_for_none() {
    let world = World::new();
    let key = world.key(ALICE);
    let name = format!("usage/{}/{REGION}/{}", ALICE.account, key.id).into_bytes();
    for value in [vec![0xff], vec![2, 0x84, 0x61, b'x', 0, 0x60, 0x60]] {
        let commit =
            Commit { preconditions: Vec::new(), writes: vec![Write::Put { name: name.clone(), value }] };
        block_on(world.store.commit(commit)).unwrap();
        assert_eq!(world.refuse(ALICE, "GetKeyLastUsage", json!({"KeyId": key.id})), "KMSInternalException");
    }
}
