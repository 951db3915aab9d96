//! What survives: effects with their events, once each, whatever fails in between.

use std::sync::Arc;

use claviger_service::ledger_end::{self, Mismatch};
use claviger_service::{Installation, Ledger as _, OpenError, Regions, outbox, schedule, writeback};
use claviger_store::{Commit, Embedded, Memory, Sealer, Store, Write};
use serde_json::{Value, json};

use crate::actor::{Actor, allow, trusts};
use crate::ledger::Fault;
use crate::vault::EngineVault;
use crate::world::{ALICE, Ask, DAY_MS, Key, START, World, block_on};

fn event_ids(world: &World) -> Vec<String> {
    let id = |event: &Vec<u8>| {
        serde_json::from_slice::<Value>(event).unwrap()["eventID"].as_str().unwrap().to_owned()
    };
    world.ledger.since(0).iter().map(id).collect()
}

fn outbox_len(world: &World) -> usize {
    world.content().iter().filter(|record| record.name.starts_with(b"outbox/")).count()
}

/// A process that dies between the commit and the event brings the event at the next start, once (invariant I4).
#[test]
fn an_effect_without_its_event_gets_it_at_the_next_start() {
    let mut world = World::new();
    let key = world.key(ALICE);
    let disable = Ask::new(ALICE, "DisableKey", json!({"KeyId": key.id}));
    world.ledger.set_fault(Fault::Append);
    let events = world.ledger.len();
    let handled = world.handle(&disable);
    assert_eq!(
        (handled.outgoing.status, handled.code),
        (500, Some("KMSInternalException")),
        "no reply without its event"
    );
    assert_eq!(handled.event, None);
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), 1);
    let brought = world.ledger.since(events);
    assert_eq!(brought.len(), 1);
    let event: Value = serde_json::from_slice(&brought[0]).unwrap();
    assert_eq!(
        (&event["eventName"], &event["requestID"]),
        (&json!("DisableKey"), &json!(handled.outgoing.request_id))
    );
    assert_eq!(event.get("errorCode"), None, "it took effect");
    assert_eq!(outbox_len(&world), 0);
    assert_eq!(world.restart(), 0);
    assert_eq!(
        world.succeed(ALICE, "DescribeKey", json!({"KeyId": key.id}))["KeyMetadata"]["KeyState"],
        "Disabled"
    );
}

/// So does every other kind of change, with as many events as it has.
#[test]
fn every_kind_of_change_gets_its_events_at_the_next_start() {
    let check = |operation: &str, more: Value, regions: &[&str]| {
        let mut world = World::new();
        let key = world.key_with(ALICE, json!({"MultiRegion": true}));
        if operation == "UpdatePrimaryRegion" {
            world.succeed(ALICE, "ReplicateKey", json!({"KeyId": key.id, "ReplicaRegion": "eu-west-1"}));
        }
        let mut request = json!({"KeyId": key.id});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ask = Ask::new(ALICE, operation, request);
        check_brought(&mut world, operation, regions, |world| world.handle(&ask).code.map(str::to_owned));
    };
    let root = "arn:aws:iam::111122223333:root";
    let tags = json!([{"TagKey": "k", "TagValue": "v"}]);
    check("TagResource", json!({"Tags": tags}), &["us-east-1"]);
    check("ScheduleKeyDeletion", json!({}), &["us-east-1"]);
    check("EnableKeyRotation", json!({}), &["us-east-1"]);
    check("RotateKeyOnDemand", json!({}), &["us-east-1", "us-east-1"]);
    check("CreateGrant", json!({"GranteePrincipal": root, "Operations": ["Encrypt"]}), &["us-east-1"]);
    // In the trail of either Region.
    check("ReplicateKey", json!({"ReplicaRegion": "eu-west-1"}), &["eu-west-1", "us-east-1"]);
    check("UpdatePrimaryRegion", json!({"PrimaryRegion": "eu-west-1"}), &["eu-west-1", "us-east-1"]);
}

#[test]
fn every_kind_of_change_of_iam_gets_its_event_at_the_next_start() {
    let (user, role) = (("UserName", "Ann"), ("RoleName", "R"));
    let trust = trusts("arn:aws:iam::111122223333:root");
    let document = ("PolicyDocument", &*allow(&["kms:*"]));
    let changes: [(&str, &[(&str, &str)]); 6] = [
        ("CreateUser", &[("UserName", "Ben")]),
        ("CreateAccessKey", &[user]),
        ("PutUserPolicy", &[user, ("PolicyName", "p"), document]),
        ("CreatePolicy", &[("PolicyName", "p"), document]),
        ("CreateRole", &[role, ("AssumeRolePolicyDocument", &trust)]),
        ("DeleteUser", &[user]),
    ];
    for (action, members) in changes {
        let mut world = World::new();
        let root = Actor::from(ALICE);
        root.does(&world, "CreateUser", &[user]);
        let request = root.query(&world, "iam", action, members);
        check_brought(&mut world, action, &["us-east-1"], |world| {
            block_on(world.service.handle(&request, world.now())).code.map(str::to_owned)
        });
    }
}

/// What is due brings its event, too.
#[test]
fn what_became_due_gets_its_event_at_the_next_start() {
    let mut world = World::new();
    let key = world.key(ALICE);
    let every_90_days = json!({"KeyId": key.id, "RotationPeriodInDays": 90});
    world.succeed(ALICE, "EnableKeyRotation", every_90_days);
    world.clock.advance(90 * DAY_MS);
    check_brought(&mut world, "RotateKey", &["us-east-1"], |world| {
        let failed = world.run_due().failed;
        (failed > 0).then(|| failed.to_string())
    });
    let key = world.succeed(ALICE, "ListKeyRotations", json!({"KeyId": key.id}));
    assert_eq!(key["Rotations"].as_array().unwrap().len(), 1);
}

/// A change whose events the ledger does not take has happened, and brings them at the next start, once.
fn check_brought(
    world: &mut World,
    name: &str,
    regions: &[&str],
    change: impl FnOnce(&World) -> Option<String>,
) {
    world.restart();
    let (events, before) = (world.ledger.len(), world.content());
    world.ledger.set_fault(Fault::Append);
    let code = change(world);
    assert!(code.is_some(), "{name}: no answer without its event");
    assert_ne!(world.content(), before, "{name} has happened");
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), regions.len(), "{name}");
    let brought = world.ledger.since(events);
    let brought = brought.iter().map(|event| serde_json::from_slice::<Value>(event).unwrap());
    let mut seen: Vec<String> =
        brought.map(|event| event["awsRegion"].as_str().unwrap().to_owned()).collect();
    seen.sort();
    assert_eq!(seen, regions, "{name}");
    assert_eq!((world.restart(), outbox_len(world)), (0, 0));
}

/// A process that dies after the event but before the outbox is cleared does not write the event twice.
#[test]
fn an_event_that_is_there_is_not_written_again() {
    let mut world = World::new();
    let keys: Vec<Key> = (0..40).map(|_| world.key(ALICE)).collect();
    assert!(outbox_len(&world) > 0, "the newest are still there");
    let before = event_ids(&world);
    assert_eq!(world.restart(), 0);
    assert_eq!(event_ids(&world), before);
    assert_eq!(outbox_len(&world), 0);
    // A recovery that was itself cut short finds them again.
    for key in &keys {
        world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    }
    world.restart();
    world.restart();
    let mut ids = event_ids(&world);
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "no event stands twice");
}

/// Events of commits whose append failed are brought in any number, and a recovery that fails loses none of them.
#[test]
fn a_recovery_that_fails_is_tried_again() {
    let mut world = World::new();
    let keys: Vec<Key> = (0..5).map(|_| world.key(ALICE)).collect();
    world.restart();
    world.ledger.set_fault(Fault::Append);
    for key in &keys {
        assert_eq!(
            world.handle(&Ask::new(ALICE, "DisableKey", json!({"KeyId": key.id}))).outgoing.status,
            500
        );
    }
    for fault in [Fault::Append, Fault::Full] {
        world.ledger.set_fault(fault);
        assert!(block_on(outbox::recover(&world.installation, &*world.ledger)).is_err());
        assert_eq!(outbox_len(&world), keys.len());
    }
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), keys.len());
}

/// The outbox does not grow: what the ledger holds is cleared along with later commits.
#[test]
fn the_outbox_stays_small() {
    let world = World::new();
    let key = world.key(ALICE);
    for number in 0..100 {
        let request = json!({"KeyId": key.id, "Description": number.to_string()});
        world.succeed(ALICE, "UpdateKeyDescription", request);
    }
    assert_eq!(outbox_len(&world), 1);
}

/// What the service does by itself nobody follows with a change, nor the last change of a quiet day.
#[test]
fn what_nobody_follows_leaves_the_outbox_too() {
    let world = World::new();
    let keys: Vec<Key> = (0..40).map(|_| world.key(ALICE)).collect();
    for key in &keys {
        world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": key.id, "RotationPeriodInDays": 90}));
    }
    world.clock.advance(91 * DAY_MS);
    block_on(schedule::run_due(&world.service, world.now())).unwrap();
    assert_eq!(world.service_events("RotateKey").len(), keys.len());
    assert!(outbox_len(&world) > keys.len());
    assert!(block_on(outbox::needs_from(&world.service)).unwrap().is_none(), "the ledger has them all");
    assert_eq!(outbox_len(&world), 0);
    world.succeed(ALICE, "DisableKey", json!({"KeyId": keys[0].id}));
    block_on(writeback::write(&world.service)).unwrap();
    assert_eq!(outbox_len(&world), 0);
    // An event that the ledger does not have yet keeps what follows it.
    let events = world.ledger.len();
    world.ledger.set_fault(Fault::Append);
    world.handle(&Ask::new(ALICE, "EnableKey", json!({"KeyId": keys[0].id})));
    assert_eq!(block_on(outbox::needs_from(&world.service)).unwrap(), Some(u64::try_from(events).unwrap()));
}

/// Attack G: the store remembers how far the ledger had come, and the ledger that there was a store.
#[test]
fn a_store_and_a_ledger_know_of_each_other() {
    let world = World::new();
    let compare = |store: &dyn Store, last| block_on(ledger_end::compare(store, last)).unwrap();
    let last = || world.ledger.next_sequence() - 1;
    world.key(ALICE);
    assert_eq!(compare(&*world.store, 0), None, "not written yet");
    world.key(ALICE);
    block_on(writeback::write(&world.service)).unwrap();
    let known = last();
    assert_eq!(compare(&*world.store, known), None);
    world.key(ALICE);
    assert_eq!(compare(&*world.store, last()), None);
    for last in [0, known - 1] {
        assert_eq!(compare(&*world.store, last), Some(Mismatch::Shorter { last, known }));
    }
    block_on(ledger_end::accept(&*world.store, known - 1)).unwrap();
    assert_eq!(compare(&*world.store, known - 1), None);
    assert_eq!(compare(&Memory::new(), 0), None, "a new one");
    assert_eq!(compare(&Memory::new(), 7), Some(Mismatch::NoStore { last: 7 }));
}

/// Room is taken by the length of a body, and given back where its members need less: a caller who says nothing at length
/// does not keep it from others.
#[test]
fn a_long_body_keeps_no_more_room_than_its_event_needs() {
    let world = World::new();
    let key = world.key(ALICE);
    let room = |operation: &str, request: String| {
        let answer = world.send(&Ask::raw(ALICE, operation, &request));
        assert_eq!(answer.status, 200);
        (world.ledger.last_room(), answer.event)
    };
    let short = json!({"KeyId": key.id}).to_string();
    let (least, _) = room("DescribeKey", short.clone());
    for (operation, body) in [
        ("DescribeKey", short.clone() + &" ".repeat(100_000)),
        ("DescribeKey", short.replace('}', &format!(r#","Unknown":"{}"}}"#, "x".repeat(100_000)))),
        ("DisableKey", short.clone() + &" ".repeat(100_000)),
    ] {
        let (taken, event) = room(operation, body);
        assert!(taken < least + 1024, "{operation}: {taken} {least}");
        assert_eq!(event["requestParameters"]["keyId"], key.id);
    }
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    let context: serde_json::Map<String, Value> =
        (0..40).map(|number| (number.to_string(), json!("c".repeat(150)))).collect();
    let request = json!({"KeyId": key.id, "Plaintext": "eA==", "EncryptionContext": context});
    let (taken, event) = room("Encrypt", request.to_string());
    assert!(taken > least + 6_000);
    assert_eq!(event["requestParameters"]["encryptionContext"], Value::Object(context));
}

/// Where the ledger has no room, nothing happens: no effect, no command to the HSM, no event.
#[test]
fn a_full_ledger_refuses_everything() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    world.ledger.set_fault(Fault::Full);
    let (before, events) = (world.content(), world.ledger.len());
    for (operation, request) in [
        ("CreateKey", json!({})),
        ("DisableKey", json!({"KeyId": key.id})),
        ("ScheduleKeyDeletion", json!({"KeyId": key.id})),
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": 32})),
        ("DescribeKey", json!({"KeyId": key.id})),
        ("NoSuchOperation", json!({})),
    ] {
        world.vault.forget_sent();
        let handled = world.handle(&Ask::new(ALICE, operation, request));
        assert_eq!(
            (handled.outgoing.status, handled.code),
            (500, Some("KMSInternalException")),
            "{operation}"
        );
        assert_eq!(&handled.outgoing.body[..], br#"{"__type":"KMSInternalException"}"#);
        assert_eq!(world.vault.sent(), [""; 0], "{operation}");
    }
    assert_eq!((world.content(), world.ledger.len()), (before, events));
    world.ledger.set_fault(Fault::None);
    world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
}

/// No plaintext leaves when its event cannot be kept, although the HSM has given it.
#[test]
fn a_plaintext_does_not_leave_without_its_event() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"a plaintext", json!({}));
    world.ledger.set_fault(Fault::Append);
    let handled = world.handle(&Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob})));
    assert_eq!(&handled.outgoing.body[..], br#"{"__type":"KMSInternalException"}"#);
}

/// An HSM that does not answer is an error that says so, with an event, and nothing else.
#[test]
fn a_silent_hsm_is_a_dependency_that_timed_out() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    world.vault.cut(true);
    for (operation, request) in [
        ("CreateKey", json!({})),
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key.id})),
        ("GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": 32})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key.id, "NumberOfBytes": 32})),
        ("GenerateRandom", json!({"NumberOfBytes": 32})),
    ] {
        let before = world.content();
        let answer = world.send(&Ask::new(ALICE, operation, request));
        assert_eq!((answer.status, answer.code), (500, Some("DependencyTimeoutException")), "{operation}");
        assert_eq!(answer.event["errorCode"], "DependencyTimeoutException");
        assert_eq!(before, world.content());
    }
    // What needs no HSM goes on.
    world.succeed(ALICE, "DescribeKey", json!({"KeyId": key.id}));
    // On a new day nobody can be authenticated without it: no event, since nobody is known to have asked.
    world.clock.advance(DAY_MS);
    let answer = world.send(&Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id})));
    assert_eq!((answer.status, answer.code), (500, Some("DependencyTimeoutException")));
    assert!(answer.event.is_null());
    world.vault.cut(false);
    world.vault.restart();
    world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
}

/// An installation in a file: what was acknowledged is there when the file is opened again, by an HSM of its domain.
#[test]
fn an_installation_lives_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let sealer = Sealer::new([7; 32]).unwrap();
        Arc::new(Embedded::open(&folder.path().join("store"), sealer).unwrap()) as Arc<dyn Store>
    };
    let vault = Arc::new(EngineVault::new());
    let (blob, key, content) = {
        let world = World::over(open(), Arc::clone(&vault));
        let key =
            world.key_with(ALICE, json!({"Description": "kept", "Tags": [{"TagKey": "a", "TagValue": "b"}]}));
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
        let blob = world.encrypt(ALICE, &key, b"x", json!({"a": "b"}));
        world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
        world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
        (blob, key, world.content())
    };
    vault.restart();
    let mut world = World::over(open(), vault);
    let names =
        |records: &[claviger_store::Record]| records.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&content), names(&world.content()));
    // The ledger is another one, so it lacks what the outbox still holds.
    assert!(world.restart() > 0);
    let request = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}, "KeyId": "alias/app"});
    assert_eq!(world.succeed(ALICE, "Decrypt", request)["KeyId"], key.arn);
    let shown = world.succeed(ALICE, "DescribeKey", json!({"KeyId": key.id}));
    assert_eq!(shown["KeyMetadata"]["Description"], "kept");
}

#[test]
fn a_store_of_another_domain_or_of_a_newer_program_is_not_opened() {
    let world = World::new();
    let open = |store: &Arc<dyn Store>, vault: &EngineVault| {
        let opened = Installation::open(Arc::clone(store), vault, vault.domain(), Regions::Any, START);
        block_on(opened).err()
    };
    assert_eq!(open(&world.store, &EngineVault::new()), Some(OpenError::ForeignDomain));
    assert_eq!(open(&world.store, &world.vault), None);
    let newer: Arc<dyn Store> = Arc::new(Memory::new());
    let mut record = world.content().into_iter().find(|record| record.name == b"installation").unwrap();
    // The first number of the record's array is the format.
    assert_eq!(record.value[2], 1);
    record.value[2] = 2;
    let writes = vec![Write::Put { name: record.name, value: record.value }];
    block_on(newer.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
    assert_eq!(open(&newer, &world.vault), Some(OpenError::Newer(2)));
}
