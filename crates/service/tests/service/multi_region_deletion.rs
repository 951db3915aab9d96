//! Members of a multi-Region set go one by one: replicas first, the primary key last.

use claviger_service::{Moment, schedule};
use serde_json::{Value, json};

use crate::multi_region::{AP, EU, check_opens, describe, encrypt, members, set, state, told};
use crate::world::{ALICE, DAY_MS, Key, REGION, World, block_on};

/// Does what is due; answers when the next thing will be.
pub(crate) fn run_due(world: &World) -> Option<Moment> {
    let round = block_on(schedule::run_due(&world.service, world.now())).unwrap();
    assert_eq!(round.failed, 0);
    round.next
}

pub(crate) fn doom(world: &World, region: &str, key: &Key) -> Value {
    let request = json!({"KeyId": key.id, "PendingWindowInDays": 7});
    world.succeed_in(region, ALICE, "ScheduleKeyDeletion", request)
}

/// Replicas go first: a primary key begins its waiting period when the last of them is really gone.
#[test]
fn a_primary_key_waits_for_its_replicas() {
    let world = World::new();
    let key = set(&world, &[EU, AP]);
    let blob = encrypt(&world, REGION, &key);
    let answer = doom(&world, REGION, &key);
    assert_eq!(
        answer,
        json!({"KeyId": key.arn, "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 7})
    );
    let told_of = describe(&world, REGION, &key);
    assert_eq!(told_of["PendingDeletionWindowInDays"], 7);
    assert_eq!(told_of.get("DeletionDate"), None);
    world.clock.advance(100 * DAY_MS);
    assert_eq!(run_due(&world), None, "it waits for its replicas, however long");
    assert_eq!(
        world.refuse(ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})),
        "KMSInvalidStateException"
    );
    check_opens(&world, EU, &blob);
    doom(&world, EU, &key);
    world.clock.advance(DAY_MS);
    doom(&world, AP, &key);
    world.clock.advance(6 * DAY_MS);
    assert_eq!(run_due(&world), Some(world.later(1, 0)));
    assert_eq!(members(&world, &key, &[REGION, AP]), told(REGION, &[AP]));
    assert_eq!(state(&world, REGION, &key), "PendingReplicaDeletion");
    world.clock.advance(DAY_MS);
    let due = world.later(7, 0);
    assert_eq!(run_due(&world), Some(due), "now its own period begins");
    let told_of = describe(&world, REGION, &key);
    assert_eq!(told_of["KeyState"], "PendingDeletion");
    assert_eq!(told_of["DeletionDate"].as_f64(), Some(due.epoch()));
    assert_eq!(told_of.get("PendingDeletionWindowInDays"), None);
    world.clock.set(due);
    assert_eq!(run_due(&world), None);
    assert_eq!(world.refuse(ALICE, "DescribeKey", json!({"KeyId": key.id})), "NotFoundException");
    let left: Vec<_> = world.record_names().into_iter().filter(|name| name.contains(&key.id)).collect();
    assert_eq!(left, [""; 0], "nothing is left of it");
    assert!(!world.record_names().iter().any(|name| name.starts_with("material/")));
}

#[test]
fn a_primary_key_that_waits_is_taken_back() {
    let world = World::new();
    let key = set(&world, &[EU]);
    doom(&world, REGION, &key);
    world.succeed(ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    let told_of = describe(&world, REGION, &key);
    assert_eq!(
        (&told_of["KeyState"], told_of.get("PendingDeletionWindowInDays")),
        (&json!("Disabled"), None)
    );
    doom(&world, EU, &key);
    world.clock.advance(30 * DAY_MS);
    assert_eq!(run_due(&world), None);
    assert_eq!(
        state(&world, REGION, &key),
        "Disabled",
        "the period of a key that was taken back never begins"
    );
    // Without replicas it is deleted as any other key.
    assert_eq!(doom(&world, REGION, &key)["KeyState"], "PendingDeletion");
    assert_eq!(run_due(&world), Some(world.later(7, 0)));
}

/// A replica that was deleted can be made again, with all that its set shares.
#[test]
fn a_deleted_replica_is_made_again() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let blob = encrypt(&world, EU, &key);
    doom(&world, EU, &key);
    let again = json!({"KeyId": key.id, "ReplicaRegion": EU});
    assert_eq!(world.refuse(ALICE, "ReplicateKey", again.clone()), "AlreadyExistsException");
    world.succeed_in(EU, ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    doom(&world, EU, &key);
    world.clock.advance(7 * DAY_MS);
    assert_eq!(run_due(&world), None);
    assert_eq!(members(&world, &key, &[REGION]), told(REGION, &[]));
    let decrypt = json!({"CiphertextBlob": blob});
    assert_eq!(world.refuse_in(EU, ALICE, "Decrypt", decrypt), "AccessDeniedException");
    check_opens(&world, REGION, &blob);
    world.succeed(ALICE, "ReplicateKey", again);
    assert_eq!(members(&world, &key, &[REGION, EU]), told(REGION, &[EU]));
    assert_eq!(describe(&world, EU, &key)["CreationDate"].as_f64(), Some(world.now().epoch()));
    check_opens(&world, EU, &blob);
}
