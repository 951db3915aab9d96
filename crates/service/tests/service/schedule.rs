//! What the service does by itself happens once, at its time, whatever dies or fails in between.

use std::pin::pin;
use std::sync::Arc;

use claviger_service::{Moment, schedule};
use claviger_store::{Commit, Write};
use serde_json::{Value, json};

use crate::ledger::Fault;
use crate::material::{Parameters, external, import, import_for, import_new, on};
use crate::world::{ALICE, Ask, DAY_MS, Key, ManualClock, START, World, advance, block_on};

/// A key for each kind of thing, all due after 90 days.
struct Due {
    rotates: Key,
    expires: Key,
    goes: Key,
}

impl Due {
    fn set_up(world: &World) -> Self {
        let due = Self { rotates: world.key(ALICE), expires: external(world), goes: world.key(ALICE) };
        world.succeed(
            ALICE,
            "EnableKeyRotation",
            json!({"KeyId": due.rotates.id, "RotationPeriodInDays": 90}),
        );
        import_for(world, &due.expires, &[1; 32], 90);
        world.clock.advance(60 * DAY_MS);
        world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": due.goes.id}));
        due
    }

    /// How often each has been done: by the events, which must say what the keys say.
    fn done(&self, world: &World) -> [usize; 3] {
        let names = ["RotateKey", "DeleteExpiredKeyMaterial", "DeleteKey"];
        let events = names.map(|name| world.service_events(name).len());
        let rotations = world.succeed(ALICE, "ListKeyRotations", json!({"KeyId": self.rotates.id}));
        let state = world.describe(&self.expires)["KeyState"].take();
        let kept = on(world, "DescribeKey", &self.goes).code.is_none();
        let effects = [
            rotations["Rotations"].as_array().unwrap().len(),
            usize::from(state == "PendingImport"),
            usize::from(!kept),
        ];
        assert_eq!(events, effects, "no effect without its event, no event without its effect");
        events
    }
}

/// Everything is done at its time, once, with restarts before, between and after.
#[test]
fn restarts_neither_lose_nor_repeat() {
    let mut world = World::new();
    let due = Due::set_up(&world);
    world.restart();
    assert_eq!(world.run_due().next, Some(world.later(30, 0)));
    assert_eq!(due.done(&world), [0, 0, 0]);
    world.clock.advance(30 * DAY_MS);
    world.restart();
    assert_eq!(world.run_due(), schedule::Round { next: Some(world.later(90, 0)), failed: 0 });
    assert_eq!(due.done(&world), [1, 1, 1]);
    let event = &world.service_events("DeleteExpiredKeyMaterial")[0];
    assert_eq!(event["serviceEventDetails"], json!({"keyId": due.expires.id}));
    assert_eq!(event["resources"][0]["ARN"], *due.expires.arn);
    world.restart();
    world.run_due();
    assert_eq!(due.done(&world), [1, 1, 1]);
}

/// A process that dies when the effect is committed and its event is not yet in the ledger brings it at the next start.
#[test]
fn a_death_between_effect_and_event_loses_neither() {
    let mut world = World::new();
    let due = Due::set_up(&world);
    world.clock.advance(30 * DAY_MS);
    world.ledger.set_fault(Fault::Append);
    assert_eq!(world.run_due().failed, 3);
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), 3);
    assert_eq!(due.done(&world), [1, 1, 1]);
    world.run_due();
    assert_eq!(due.done(&world), [1, 1, 1]);
}

/// Where the HSM cannot be reached a key does not rotate; expiry and deletion do not need it.
#[test]
fn one_that_cannot_be_done_keeps_no_other() {
    let world = World::new();
    let due = Due::set_up(&world);
    world.clock.advance(30 * DAY_MS);
    let mut task = pin!(schedule::run(&world.service, Arc::<ManualClock>::clone(&world.clock)));
    let mut run = || assert!(!advance(task.as_mut()), "the task never ends");
    world.vault.cut(true);
    run();
    world.vault.cut(false);
    assert_eq!(due.done(&world), [0, 1, 1]);
    run();
    assert_eq!(due.done(&world), [0, 1, 1], "it waits before it tries again");
    world.clock.advance(5_000);
    run();
    assert_eq!(due.done(&world), [1, 1, 1]);
}

/// Tries grow rarer while something cannot be done, but nothing else waits for them.
#[test]
fn tries_grow_rarer() {
    let world = World::new();
    let key = world.key(ALICE);
    world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": key.id, "RotationPeriodInDays": 90}));
    world.clock.advance(90 * DAY_MS);
    let mut task = pin!(schedule::run(&world.service, Arc::<ManualClock>::clone(&world.clock)));
    world.vault.cut(true);
    let mut tries = Vec::new();
    for second in 0..700 {
        world.vault.forget_sent();
        assert!(!advance(task.as_mut()));
        if world.vault.sent().contains(&"CreateKey") {
            tries.push(second);
        }
        world.clock.advance(1_000);
    }
    assert_eq!(tries, [0, 5, 15, 35, 75, 155, 315, 635]);
    // A clock that is set back does not put the next try off until it has caught up.
    world.vault.cut(false);
    world.vault.forget_sent();
    world.clock.advance(-5_000);
    assert!(!advance(task.as_mut()));
    assert_eq!(world.service_events("RotateKey").len(), 1);
}

/// What has expired is refused at once, also where the scheduler has not come to it, and stays refused when the clock is
/// set back.
#[test]
fn expired_material_does_not_come_back() {
    let mut world = World::new();
    let key = external(&world);
    import_for(&world, &key, &[1; 32], 1);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let decrypt = Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    world.clock.advance(DAY_MS - 1);
    assert_eq!(world.send(&decrypt).code, None);
    world.clock.advance(1);
    for back in [0, 1, DAY_MS / 2] {
        world.clock.advance(-back);
        assert_eq!(world.send(&decrypt).code, Some("KMSInvalidStateException"), "{back}");
        assert_eq!(world.describe(&key)["KeyState"], "PendingImport");
    }
    assert_eq!(world.service_events("DeleteExpiredKeyMaterial").len(), 0, "nobody came to it yet");
    // Changed meanwhile, it is still dropped with its event.
    world.succeed(ALICE, "UpdateKeyDescription", json!({"KeyId": key.id, "Description": "d"}));
    world.clock.set(Moment(START.0 + DAY_MS));
    world.run_due();
    assert_eq!(world.service_events("DeleteExpiredKeyMaterial").len(), 1);
    world.clock.set(START);
    world.restart();
    assert_eq!(world.send(&decrypt).code, Some("KMSInvalidStateException"), "the material is gone");
    import(&world, &key, &[1; 32], json!({}));
    assert_eq!(world.send(&decrypt).code, None);
}

/// A request that meets expired material has it dropped at once, before the clock can be set back and the host started
/// anew; what is due for other reasons waits for the clock.
#[test]
fn a_clock_set_back_and_a_restart_bring_nothing_back() {
    let mut world = World::new();
    let (key, other) = (external(&world), world.key(ALICE));
    import_for(&world, &key, &[1; 32], 8);
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": other.id, "PendingWindowInDays": 7}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let decrypt = Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    {
        let mut task = pin!(schedule::run(&world.service, Arc::<ManualClock>::clone(&world.clock)));
        assert!(!advance(task.as_mut()));
        world.clock.advance(8 * DAY_MS);
        assert_eq!(world.send(&decrypt).code, Some("KMSInvalidStateException"));
        world.clock.set(START);
        assert!(!advance(task.as_mut()));
        // Nor is material taken in that would be dropped at once.
        let gone = json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": world.later(7, 0).seconds()});
        let request = Parameters::of(&world, &key).request(&key, &[1; 32], gone);
        let answer = world.send(&Ask::new(ALICE, "ImportKeyMaterial", request));
        assert_eq!(answer.code, Some("ValidationException"), "{}", answer.body);
    }
    let event = &world.service_events("DeleteExpiredKeyMaterial")[0];
    assert_eq!(event["eventTime"], START.iso(), "the event has the clock's time");
    assert_eq!(world.service_events("DeleteExpiredKeyMaterial").len(), 1);
    assert_eq!(world.service_events("DeleteKey").len(), 0, "a clock that is set back puts deletions off");
    world.restart();
    assert_eq!(world.send(&decrypt).code, Some("KMSInvalidStateException"));
    assert_eq!(world.describe(&key)["KeyState"], "PendingImport");
    assert_eq!(world.describe(&other)["KeyState"], "PendingDeletion");
    world.clock.advance(7 * DAY_MS);
    world.run_due();
    assert_eq!(world.service_events("DeleteKey").len(), 1);
}

/// Material that waits for its rotation expires without a trace, and without harm to the key.
#[test]
fn waiting_material_expires_alone() {
    let world = World::new();
    let key = external(&world);
    import(&world, &key, &[1; 32], json!({}));
    let more = json!({"ImportType": "NEW_KEY_MATERIAL", "ExpirationModel": "KEY_MATERIAL_EXPIRES",
        "ValidTo": world.later(1, 0).seconds()});
    let waiting = import(&world, &key, &[2; 32], more);
    // Nor does a clock that is set back make it current.
    for at in [DAY_MS, 0, DAY_MS] {
        world.clock.set(Moment(START.0 + at));
        assert_eq!(on(&world, "RotateKeyOnDemand", &key).code, Some("KMSInvalidStateException"), "{at}");
    }
    world.encrypt(ALICE, &key, b"x", json!({}));
    world.run_due();
    assert_eq!(world.describe(&key)["KeyState"], "Enabled");
    assert_eq!(world.service_events("DeleteExpiredKeyMaterial").len(), 1);
    assert!(!world.record_names().iter().any(|name| name.contains(&waiting)));
    import_new(&world, &key, &[3; 32]);
}

/// What an import finds expired it drops, as the scheduler would have done.
#[test]
fn what_expired_before_an_import_leaves_its_event() {
    let world = World::new();
    let key = external(&world);
    let expired = || world.service_events("DeleteExpiredKeyMaterial").len();
    // These calls have an event besides their own.
    let import_beside = |material: &[u8], more: Value| {
        let request = Parameters::of(&world, &key).request(&key, material, more);
        assert_eq!(world.handle(&Ask::new(ALICE, "ImportKeyMaterial", request)).code, None);
    };
    import_for(&world, &key, &[1; 32], 1);
    world.clock.advance(DAY_MS);
    assert_eq!(world.describe(&key)["KeyState"], "PendingImport");
    import_beside(&[1; 32], json!({}));
    assert_eq!((expired(), world.describe(&key)["KeyState"].as_str()), (1, Some("Enabled")));
    let more = json!({"ImportType": "NEW_KEY_MATERIAL", "ExpirationModel": "KEY_MATERIAL_EXPIRES",
        "ValidTo": world.later(1, 0).seconds()});
    import(&world, &key, &[2; 32], more);
    world.clock.advance(DAY_MS);
    import_beside(&[3; 32], json!({"ImportType": "NEW_KEY_MATERIAL"}));
    assert_eq!(expired(), 2);
    world.run_due();
    assert_eq!(expired(), 2);
    assert_eq!(on(&world, "RotateKeyOnDemand", &key).code, None);
}

/// A clock that was ahead for a while lets nobody import for longer than a year.
#[test]
fn a_year_is_counted_from_what_the_clock_shows() {
    let world = World::new();
    let key = external(&world);
    import_for(&world, &key, &[1; 32], 300);
    world.clock.advance(100 * DAY_MS);
    world.describe(&key);
    world.clock.set(START);
    for (days, code) in [(99, Some("ValidationException")), (366, Some("ValidationException")), (365, None)] {
        let model =
            json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": world.later(days, 0).seconds()});
        let request = Parameters::of(&world, &key).request(&key, &[1; 32], model);
        assert_eq!(world.send(&Ask::new(ALICE, "ImportKeyMaterial", request)).code, code, "{days}");
    }
}

/// The scheduler wakes for what is due earlier than it meant to sleep, for a clock that is set forward, and sleeps
/// through one that is set back.
#[test]
fn the_scheduler_sleeps_until_something_is_due() {
    let world = World::new();
    let key = external(&world);
    let rotates = world.key(ALICE);
    let mut task = pin!(schedule::run(&world.service, Arc::<ManualClock>::clone(&world.clock)));
    let mut run = || assert!(!advance(task.as_mut()), "the task never ends");
    run();
    world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": rotates.id}));
    run();
    import_for(&world, &key, &[1; 32], 2);
    run();
    world.clock.set(Moment(START.0 - 100 * DAY_MS));
    run();
    assert_eq!(world.service_events("DeleteExpiredKeyMaterial").len(), 0);
    world.clock.set(Moment(START.0 + 2 * DAY_MS));
    run();
    assert_eq!(world.service_events("DeleteExpiredKeyMaterial").len(), 1);
    world.clock.set(Moment(START.0 + 5_000 * DAY_MS));
    run();
    assert_eq!(world.service_events("RotateKey").len(), 1);
}

/// Two hosts that find the same things due do each once.
#[test]
fn two_hosts_do_everything_once() {
    let world = World::new();
    let due = Due::set_up(&world);
    world.clock.advance(30 * DAY_MS);
    let other = world.another_host();
    let now = world.now();
    std::thread::scope(|scope| {
        for host in [&other, &world.service] {
            scope.spawn(move || block_on(schedule::run_due(host, now)).unwrap());
        }
    });
    assert_eq!(due.done(&world), [1, 1, 1]);
}

/// Entries that say what is no longer so, of keys that are not there, and of tasks that nobody knows.
#[test]
fn stale_entries_go_and_damaged_ones_are_told() {
    let world = World::new();
    let key = world.key(ALICE);
    let now = format!("{:016x}", START.0);
    let of = |id: &str, more: &str| format!("due/{now}/{}/us-east-1/{id}{more}", ALICE.account);
    let stale =
        [of(&key.id, ""), of(&key.id, "/rotation"), of(&key.id, "/expiry"), of(crate::world::NO_KEY, "")];
    let damaged = [of(&key.id, "/party"), of(&key.id, "/rotation/x"), "due/xyz".to_owned()];
    let put = |name: &String| Write::Put { name: name.clone().into_bytes(), value: Vec::new() };
    let writes = stale.iter().chain(&damaged).map(put).collect();
    block_on(world.store.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
    let events = world.ledger.len();
    assert_eq!(world.run_due().failed, damaged.len());
    assert_eq!(world.ledger.len(), events);
    let left: Vec<String> =
        world.record_names().into_iter().filter(|name| name.starts_with("due/")).collect();
    assert_eq!(left.len(), damaged.len(), "{left:?}");
    assert_eq!(world.describe(&key)["KeyState"], json!("Enabled") as Value);
}
