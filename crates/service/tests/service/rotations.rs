//! Rotations: when they happen, what they leave, and what they refuse.

use serde_json::{Value, json};

use crate::material::{external, import, on};
use crate::world::{ALICE, Ask, DAY_MS, Key, START, World, unbase64};

fn enable(world: &World, key: &Key, days: u16) {
    world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": key.id, "RotationPeriodInDays": days}));
}

fn status(world: &World, key: &Key) -> Value {
    world.succeed(ALICE, "GetKeyRotationStatus", json!({"KeyId": key.id}))
}

fn rotations(world: &World, key: &Key) -> Vec<Value> {
    let list = world.succeed(ALICE, "ListKeyRotations", json!({"KeyId": key.id, "Limit": 1000}));
    list["Rotations"].as_array().unwrap().clone()
}

fn check_decrypts(world: &World, blob: &str, expected: &[u8]) {
    let opened = world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(unbase64(&opened["Plaintext"]), expected);
}

/// What is on, and from when the next date counts.
#[test]
fn the_status_says_what_was_asked() {
    let world = World::new();
    let key = world.key(ALICE);
    let off = json!({"KeyRotationEnabled": false, "KeyId": key.id});
    let on = |period: u16, from: i64| {
        let next = (START.0 + (from + i64::from(period)) * DAY_MS) as f64 / 1000.0;
        json!({"KeyRotationEnabled": true, "KeyId": key.id, "RotationPeriodInDays": period, "NextRotationDate": next})
    };
    assert_eq!(status(&world, &key), off);
    world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": key.id}));
    assert_eq!(status(&world, &key), on(365, 0), "a year unless said otherwise");
    world.clock.advance(10 * DAY_MS);
    enable(&world, &key, 365);
    assert_eq!(status(&world, &key), on(365, 0), "nothing new was said");
    enable(&world, &key, 90);
    assert_eq!(status(&world, &key), on(90, 10), "another period counts from when it was said");
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    assert_eq!(status(&world, &key), on(90, 10), "a disabled key keeps its setting");
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    assert_eq!(status(&world, &key), off);
    world.succeed(ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    assert_eq!(status(&world, &key), on(90, 10));
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    for _ in 0..2 {
        world.succeed(ALICE, "DisableKeyRotation", json!({"KeyId": key.id}));
        assert_eq!(status(&world, &key), off);
    }
    world.clock.advance(4_000 * DAY_MS);
    assert_eq!(world.run_due().next, None);
    assert_eq!(rotations(&world, &key), [] as [Value; 0]);
    for days in [89, 2561] {
        let request = json!({"KeyId": key.id, "RotationPeriodInDays": days});
        assert_eq!(world.refuse(ALICE, "EnableKeyRotation", request), "ValidationException");
    }
}

/// A key rotates at its time, once a period; what was encrypted before still opens.
#[test]
fn a_key_rotates_by_itself() {
    let world = World::new();
    let key = world.key(ALICE);
    enable(&world, &key, 90);
    let first = world.describe(&key)["CurrentKeyMaterialId"].take();
    let old = world.encrypt(ALICE, &key, b"old", json!({}));
    world.clock.advance(90 * DAY_MS - 1);
    assert_eq!(world.run_due().next, Some(world.later(0, 1)));
    assert_eq!(rotations(&world, &key).len(), 0, "not before its time");
    world.clock.advance(60_001);
    let due = world.run_due();
    assert_eq!(due.next, Some(world.later(90, -60_000)), "the schedule does not drift");
    let second = world.describe(&key)["CurrentKeyMaterialId"].take();
    assert_ne!(first, second);
    let entry = json!({"KeyId": key.id, "KeyMaterialId": second, "KeyMaterialState": "CURRENT",
        "RotationDate": world.now().epoch(), "RotationType": "AUTOMATIC"});
    assert_eq!(rotations(&world, &key), [entry]);
    let event = &world.service_events("RotateKey")[0];
    let details = json!({"keyId": key.id, "rotationType": "AUTOMATIC", "keyOrigin": "AWS_KMS",
        "previousKeyMaterialId": first, "currentKeyMaterialId": second});
    assert_eq!(event["serviceEventDetails"], details);
    assert_eq!(
        (&event["eventType"], &event["userIdentity"]["invokedBy"]),
        (&json!("AwsServiceEvent"), &json!("AWS Internal"))
    );
    check_decrypts(&world, &old, b"old");
    let new = world.encrypt(ALICE, &key, b"new", json!({}));
    let opened = world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": new}));
    assert_eq!(opened["KeyMaterialId"], second, "the newest encrypts");
    // What was missed for years is made up for once.
    world.clock.advance(1_000 * DAY_MS);
    assert_eq!(world.run_due().next, Some(world.later(90, 0)));
    assert_eq!(rotations(&world, &key).len(), 2);
}

/// A disabled key is passed over, and rotates when it is enabled again.
#[test]
fn a_disabled_key_rotates_when_it_is_enabled() {
    let world = World::new();
    let key = world.key(ALICE);
    enable(&world, &key, 90);
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    world.clock.advance(100 * DAY_MS);
    assert_eq!((world.run_due().next, rotations(&world, &key).len()), (None, 0));
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    let next = Some(world.later(90, 0));
    assert_eq!(world.run_due().next, next, "the period begins with the rotation that was late");
    assert_eq!(rotations(&world, &key).len(), 1);
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    assert_eq!(world.run_due().next, next, "not overdue, so not at once");
    assert_eq!(rotations(&world, &key).len(), 1);
}

/// On demand a key rotates at once, up to 25 times, without moving its schedule.
#[test]
fn a_key_rotates_on_demand() {
    let world = World::new();
    let key = world.key(ALICE);
    enable(&world, &key, 90);
    let before = status(&world, &key);
    for number in 1..=25 {
        let answer = world.succeed(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
        assert_eq!(answer, json!({"KeyId": key.arn}));
        let all = rotations(&world, &key);
        assert_eq!((all.len(), &all[number - 1]["RotationType"]), (number, &json!("ON_DEMAND")));
        assert_eq!(all.iter().filter(|entry| entry["KeyMaterialState"] == "CURRENT").count(), 1);
    }
    assert_eq!(status(&world, &key), before);
    assert_eq!(world.service_events("RotateKey").len(), 25);
    let refused = on(&world, "RotateKeyOnDemand", &key);
    let expected = format!(
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be \
         performed for this key: {}",
        key.arn
    );
    assert_eq!(refused.code, Some("LimitExceededException"));
    assert!(refused.body.contains(&expected), "{}", refused.body);
    // Automatic rotations go on, and do not count.
    world.clock.advance(90 * DAY_MS);
    world.run_due();
    assert_eq!(rotations(&world, &key).len(), 26);
}

/// Twenty minutes before an automatic rotation none is taken on demand.
#[test]
fn rotations_do_not_meet() {
    let world = World::new();
    let key = world.key(ALICE);
    enable(&world, &key, 90);
    world.clock.advance(90 * DAY_MS - 20 * 60_000);
    let request = json!({"KeyId": key.id});
    assert_eq!(world.refuse(ALICE, "RotateKeyOnDemand", request.clone()), "ConflictException");
    world.clock.advance(-1);
    world.succeed(ALICE, "RotateKeyOnDemand", request.clone());
    world.clock.advance(100 * DAY_MS);
    assert_eq!(world.refuse(ALICE, "RotateKeyOnDemand", request), "ConflictException", "it is overdue");
}

/// Imported keys rotate on demand only, and say so.
#[test]
fn imported_keys_do_not_rotate_by_themselves() {
    let world = World::new();
    let key = external(&world);
    import(&world, &key, &[1; 32], json!({}));
    for operation in ["EnableKeyRotation", "DisableKeyRotation"] {
        let answer = on(&world, operation, &key);
        let expected = format!("{} origin is EXTERNAL which is not valid for this operation.", key.arn);
        assert!(answer.body.contains(&expected) && answer.code == Some("UnsupportedOperationException"));
    }
    assert_eq!(status(&world, &key)["KeyRotationEnabled"], json!(false));
}

/// Pages of a list join without a gap, also when it grows meanwhile, and markers serve their own list only.
#[test]
fn rotations_are_listed_in_pages() {
    let world = World::new();
    let key = world.key(ALICE);
    let rotate = || world.succeed(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    (0..5).for_each(|_| drop(rotate()));
    let page = |marker: Option<&Value>, include: &str| {
        let request = json!({"KeyId": key.id, "Limit": 2, "Marker": marker, "IncludeKeyMaterial": include});
        world.send(&Ask::new(ALICE, "ListKeyRotations", request))
    };
    let (mut found, mut marker, mut pages) = (Vec::new(), None, 0);
    loop {
        let answer: Value = serde_json::from_str(&page(marker.as_ref(), "ALL_KEY_MATERIAL").body).unwrap();
        let entries = answer["Rotations"].as_array().unwrap().iter();
        found.extend(entries.map(|entry| entry["KeyMaterialId"].as_str().unwrap().to_owned()));
        pages += 1;
        marker = answer.get("NextMarker").cloned();
        assert_eq!(answer["Truncated"], json!(marker.is_some()));
        if pages == 2 {
            rotate();
            assert_eq!(page(marker.as_ref(), "ROTATIONS_ONLY").code, Some("InvalidMarkerException"));
        }
        if marker.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (7, 4));
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 7, "each once");
}

/// A thousand generations: each still opens what it encrypted, and the key can still be deleted whole.
#[test]
fn a_thousand_generations_decrypt() {
    const GENERATIONS: usize = 1_000;
    let mut world = World::new();
    let key = world.key(ALICE);
    enable(&world, &key, 90);
    let mut blobs = Vec::new();
    for number in 0..GENERATIONS {
        blobs.push(world.encrypt(ALICE, &key, &number.to_be_bytes(), json!({})));
        world.clock.advance(90 * DAY_MS);
        assert_eq!(world.run_due().failed, 0);
        if number == GENERATIONS / 2 {
            world.restart();
        }
    }
    assert_eq!(world.service_events("RotateKey").len(), GENERATIONS);
    assert_eq!(rotations(&world, &key).len(), GENERATIONS);
    for (number, blob) in blobs.iter().enumerate() {
        check_decrypts(&world, blob, &number.to_be_bytes());
    }
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    world.clock.advance(30 * DAY_MS);
    assert_eq!(world.run_due(), claviger_service::schedule::Round::default());
    let left: Vec<_> =
        world.record_names().into_iter().filter(|name| name.starts_with("material/")).collect();
    assert_eq!(left, [""; 0], "in as many commits as it takes");
}

/// What a key that cannot rotate has of material is not listed.
#[test]
fn all_material_is_listed_of_keys_that_rotate() {
    let world = World::new();
    for (spec, usage) in [("RSA_2048", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")] {
        let key = world.key_with(ALICE, json!({"KeySpec": spec, "KeyUsage": usage}));
        let listed = world.succeed(ALICE, "ListKeyRotations", json!({"KeyId": key.id}));
        assert_eq!(listed["Rotations"], json!([]));
        for include in ["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"] {
            let request = json!({"KeyId": key.id, "IncludeKeyMaterial": include});
            assert_eq!(world.refuse(ALICE, "ListKeyRotations", request), "UnsupportedOperationException");
        }
    }
}
