//! Keys go when their time has come: once, whole, and not before.

use std::pin::pin;
use std::sync::Arc;

use claviger_service::{Moment, schedule};
use claviger_store::{Commit, Write};
use serde_json::{Value, json};

use crate::world::{ALICE, Ask, BOB, DAY_MS, Key, START, World, advance, block_on};

/// Deletes what is due; answers when the next key will be.
fn delete_due(world: &World) -> Option<Moment> {
    let round = block_on(schedule::run_due(&world.service, world.now())).unwrap();
    assert_eq!(round.failed, 0);
    round.next
}

fn schedule(world: &World, key: &Key, days: i64) {
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": days}));
}

fn exists(world: &World, key: &Key) -> bool {
    match world.send(&Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id}))).code {
        None => true,
        Some("NotFoundException") => false,
        Some(other) => panic!("{other}"),
    }
}

/// ARNs of the keys whose deletion the ledger tells of.
fn deletions(world: &World) -> Vec<String> {
    let events = world.ledger.since(0);
    let events = events.iter().map(|event| serde_json::from_slice::<Value>(event).unwrap());
    let of_keys = events.filter(|event| event["eventName"] == "DeleteKey");
    of_keys.map(|event| event["resources"][0]["ARN"].as_str().unwrap().to_owned()).collect()
}

/// A key goes with its aliases, its material and every index of it; nothing else does.
#[test]
fn a_key_goes_whole_at_its_time() {
    let world = World::new();
    let (doomed, kept) = (world.key(ALICE), world.key(ALICE));
    let blob = world.encrypt(ALICE, &doomed, b"x", json!({}));
    for number in 0..50 {
        let name = format!("alias/doomed/{number}");
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": doomed.id}));
    }
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/kept", "TargetKeyId": kept.id}));
    assert_eq!(delete_due(&world), None);
    schedule(&world, &doomed, 7);
    let due = world.later(7, 0);
    assert_eq!(delete_due(&world), Some(due));
    world.clock.set(Moment(due.0 - 1));
    assert_eq!(delete_due(&world), Some(due));
    assert!(exists(&world, &doomed), "not before its time");
    world.clock.set(due);
    world.vault.forget_sent();
    assert_eq!(delete_due(&world), None);
    assert_eq!(world.vault.sent(), ["Evict"]);
    assert_eq!(deletions(&world), [&*doomed.arn]);
    assert!(!exists(&world, &doomed) && exists(&world, &kept));
    let names = world.record_names();
    let left: Vec<_> =
        names.iter().filter(|name| name.contains(&doomed.id) || name.contains("doomed")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("material/")).count(), 1);
    assert_eq!(world.refuse(ALICE, "Decrypt", json!({"CiphertextBlob": blob})), "AccessDeniedException");
    assert_eq!(world.refuse(ALICE, "CancelKeyDeletion", json!({"KeyId": doomed.id})), "NotFoundException");
    assert_eq!(world.refuse(ALICE, "DescribeKey", json!({"KeyId": "alias/doomed/7"})), "NotFoundException");
    let aliases = world.succeed(ALICE, "ListAliases", json!({}));
    assert_eq!(aliases["Aliases"].as_array().map(Vec::len), Some(1));
    // Its aliases are free again.
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/doomed/7", "TargetKeyId": kept.id}));
    assert_eq!(delete_due(&world), None);
    assert_eq!(deletions(&world).len(), 1);
}

#[test]
fn a_key_that_is_taken_back_stays() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    schedule(&world, &key, 7);
    world.clock.advance(7 * DAY_MS - 1);
    world.succeed(ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    world.clock.advance(30 * DAY_MS);
    assert_eq!(delete_due(&world), None);
    assert_eq!(deletions(&world), [""; 0]);
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    // The second schedule counts, not the first.
    schedule(&world, &key, 30);
    assert_eq!(delete_due(&world), Some(world.later(30, 0)));
}

#[test]
fn a_restart_forgets_no_deletion() {
    let mut world = World::new();
    let (one, two) = (world.key(ALICE), world.key(ALICE));
    schedule(&world, &one, 7);
    schedule(&world, &two, 8);
    world.restart();
    assert_eq!(delete_due(&world), Some(world.later(7, 0)));
    world.clock.advance(7 * DAY_MS);
    world.restart();
    assert_eq!(delete_due(&world), Some(world.later(1, 0)));
    assert!(!exists(&world, &one) && exists(&world, &two));
    world.restart();
    world.clock.advance(30 * DAY_MS);
    assert_eq!(delete_due(&world), None);
    world.restart();
    assert_eq!(deletions(&world), [&*one.arn, &*two.arn], "each event once");
}

#[test]
fn keys_that_are_due_together_go_together() {
    let world = World::new();
    let (one, two, bobs) = (world.key(ALICE), world.key(ALICE), world.key(BOB));
    schedule(&world, &one, 7);
    schedule(&world, &two, 7);
    world.succeed(BOB, "ScheduleKeyDeletion", json!({"KeyId": bobs.id, "PendingWindowInDays": 7}));
    world.clock.advance(7 * DAY_MS);
    assert_eq!(delete_due(&world), None);
    let mut expected = [one.arn, two.arn, bobs.arn];
    expected.sort();
    let mut found = deletions(&world);
    found.sort();
    assert_eq!(found, expected);
    let events = world.ledger.since(0);
    let owner = |event: &[u8]| serde_json::from_slice::<Value>(event).unwrap()["recipientAccountId"].clone();
    assert!(events[events.len() - 3..].iter().any(|event| owner(event) == BOB.account));
}

/// Two hosts that find the same key due delete it once.
#[test]
fn two_hosts_delete_a_key_once() {
    let world = World::new();
    let keys: Vec<Key> = (0..10).map(|_| world.key(ALICE)).collect();
    keys.iter().for_each(|key| schedule(&world, key, 7));
    world.clock.advance(7 * DAY_MS);
    let other = world.another_host();
    std::thread::scope(|scope| {
        for host in [&other, &world.service] {
            let now = world.now();
            scope.spawn(move || block_on(schedule::run_due(host, now)).unwrap());
        }
    });
    assert_eq!(deletions(&world).len(), keys.len());
}

/// The task sleeps until the next key is due, and wakes for keys that are scheduled or taken back meanwhile, and for
/// clocks that are set forward; a clock that is set back only makes it sleep longer.
#[test]
fn the_task_follows_the_clock_and_the_keys() {
    let world = World::new();
    let (one, two) = (world.key(ALICE), world.key(ALICE));
    let mut task = pin!(schedule::run(&world.service, Arc::<crate::world::ManualClock>::clone(&world.clock)));
    let mut run = || assert!(!advance(task.as_mut()), "the task never ends");
    run();
    schedule(&world, &one, 10);
    run();
    schedule(&world, &two, 8);
    run();
    world.clock.set(Moment(START.0 - 400 * DAY_MS));
    run();
    world.clock.set(Moment(START.0 + 8 * DAY_MS));
    run();
    assert!(exists(&world, &one) && !exists(&world, &two));
    world.succeed(ALICE, "CancelKeyDeletion", json!({"KeyId": one.id}));
    run();
    world.clock.set(Moment(START.0 + 4_000 * DAY_MS));
    run();
    assert!(exists(&world, &one));
    schedule(&world, &one, 7);
    world.clock.advance(7 * DAY_MS);
    run();
    assert!(!exists(&world, &one));
    assert_eq!(deletions(&world), [&*two.arn, &*one.arn]);
}

/// Where there is no room for its event, a key is not deleted; the task tries again, and does it once there is.
#[test]
fn no_key_is_deleted_without_its_event() {
    use crate::ledger::Fault;
    let world = World::new();
    let key = world.key(ALICE);
    schedule(&world, &key, 7);
    world.clock.advance(7 * DAY_MS);
    world.ledger.set_fault(Fault::Full);
    let before = world.content();
    let mut task = pin!(schedule::run(&world.service, Arc::<crate::world::ManualClock>::clone(&world.clock)));
    assert!(!advance(task.as_mut()));
    assert_eq!(world.content(), before);
    world.ledger.set_fault(Fault::None);
    assert!(!advance(task.as_mut()));
    assert!(exists(&world, &key), "it waits before it tries again");
    world.clock.advance(5_000);
    assert!(!advance(task.as_mut()));
    assert!(!exists(&world, &key));
    assert_eq!(deletions(&world), [&*key.arn]);
}

/// One key that cannot be deleted, and one entry of the index that cannot be read, keep nobody else.
#[test]
fn a_damaged_key_keeps_no_other_from_its_deletion() {
    let world = World::new();
    let (damaged, sound) = (world.key(ALICE), world.key(ALICE));
    schedule(&world, &damaged, 7);
    schedule(&world, &sound, 8);
    let name = format!("key/{}/us-east-1/{}", ALICE.account, damaged.id).into_bytes();
    let names = [name, b"due/0000/of-nobody".to_vec()];
    let writes = names.map(|name| Write::Put { name, value: vec![0xff] }).to_vec();
    block_on(world.store.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
    world.clock.set(world.later(9, 0));
    let round = block_on(schedule::run_due(&world.service, world.now())).unwrap();
    assert_eq!(round, schedule::Round { next: None, failed: 2 });
    assert!(!exists(&world, &sound));
    assert_eq!(deletions(&world), [&*sound.arn]);
}
