//! Generations of a multi-Region key: rotated and imported at the primary key, and current everywhere at once.

use claviger_service::Moment;
use serde_json::{Value, json};

use crate::ledger::Fault;
use crate::material::Parameters;
use crate::multi_region::{AP, EU, check_opens, describe, encrypt, replicate, set, state};
use crate::multi_region_deletion::run_due;
use crate::world::{ALICE, Ask, DAY_MS, Key, REGION, World};

const ALL: [&str; 3] = [REGION, EU, AP];

/// What a member says of its rotation, whichever it is.
fn status(world: &World, region: &str, key: &Key) -> Value {
    world.succeed_in(region, ALICE, "GetKeyRotationStatus", json!({"KeyId": key.id}))
}

/// What a member says of its materials, whichever it is.
fn materials(world: &World, region: &str, key: &Key) -> Vec<Value> {
    let request = json!({"KeyId": key.id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let mut answer = world.succeed_in(region, ALICE, "ListKeyRotations", request);
    answer["Rotations"].as_array_mut().unwrap().drain(..).collect()
}

/// A member of each of its materials, in their order.
fn each(world: &World, region: &str, key: &Key, member: &str) -> Vec<String> {
    let text = |material: Value| material[member].as_str().unwrap_or("-").to_owned();
    materials(world, region, key).into_iter().map(text).collect()
}

fn current(world: &World, region: &str, key: &Key) -> Value {
    describe(world, region, key)["CurrentKeyMaterialId"].take()
}

/// All members have the same current material, these many in all; what one made the others open.
fn check_shared(world: &World, key: &Key, regions: &[&str], generations: usize) {
    let ids = each(world, regions[0], key, "KeyMaterialId");
    assert_eq!(ids.len(), generations);
    for region in regions {
        assert_eq!(each(world, region, key, "KeyMaterialId"), ids, "{region}");
        assert_eq!(materials(world, region, key), materials(world, regions[0], key), "{region}");
        assert_eq!(current(world, region, key), current(world, regions[0], key), "{region}");
        let blob = encrypt(world, region, key);
        regions.iter().for_each(|other| check_opens(world, other, &blob));
    }
}

/// Makes a call in a Region that must be refused there, with the text of a key that is no primary key.
fn check_no_primary(world: &World, region: &str, operation: &str, request: Value) {
    let answer = world.send(&Ask::new(ALICE, operation, request).region(region));
    assert_eq!(answer.code, Some("UnsupportedOperationException"), "{operation}");
    assert!(answer.body.ends_with(" is not a multi-region primary key.\"}"), "{}", answer.body);
}

#[test]
fn a_set_has_one_rotation() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let on_key = json!({"KeyId": key.id});
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        check_no_primary(&world, EU, operation, on_key.clone());
    }
    world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": key.id, "RotationPeriodInDays": 90}));
    replicate(&world, &key, AP);
    for region in ALL {
        let told = status(&world, region, &key);
        assert_eq!((&told["KeyRotationEnabled"], &told["RotationPeriodInDays"]), (&json!(true), &json!(90)));
        assert_eq!(told["NextRotationDate"].as_f64(), Some(world.later(90, 0).epoch()), "{region}");
    }
    let old = encrypt(&world, EU, &key);
    world.succeed(ALICE, "RotateKeyOnDemand", on_key.clone());
    check_shared(&world, &key, &ALL, 2);
    ALL.iter().for_each(|region| check_opens(&world, region, &old));
    // A replica that is made later has every generation.
    replicate(&world, &key, "us-west-2");
    check_shared(&world, &key, &[REGION, EU, AP, "us-west-2"], 2);
    check_opens(&world, "us-west-2", &old);
    world.succeed(ALICE, "DisableKeyRotation", on_key);
    assert!(ALL.iter().all(|region| status(&world, region, &key)["KeyRotationEnabled"] == false));
    assert_eq!(run_due(&world), None);
}

/// The set rotates by itself, once, wherever its primary key is; the trail of the primary key's Region tells of it.
#[test]
fn rotation_follows_the_primary_key() {
    let world = World::new();
    let key = set(&world, &[EU, AP]);
    world.succeed(ALICE, "EnableKeyRotation", json!({"KeyId": key.id, "RotationPeriodInDays": 90}));
    let rotated_in = |world: &World| -> Vec<String> {
        let events = world.ledger.since(0);
        let events = events.iter().map(|event| serde_json::from_slice::<Value>(event).unwrap());
        let rotations = events.filter(|event| event["eventName"] == "RotateKey");
        rotations.map(|event| event["awsRegion"].as_str().unwrap().to_owned()).collect()
    };
    let due = world.later(90, 0);
    assert_eq!(run_due(&world), Some(due));
    world.clock.set(due);
    assert_eq!(run_due(&world), Some(world.later(90, 0)));
    check_shared(&world, &key, &ALL, 2);
    world.succeed(ALICE, "UpdatePrimaryRegion", json!({"KeyId": key.id, "PrimaryRegion": EU}));
    let due = world.later(90, 0);
    // The former primary key does not hold it up, nor any other replica.
    for region in [REGION, AP] {
        world.succeed_in(region, ALICE, "DisableKey", json!({"KeyId": key.id}));
    }
    world.clock.set(Moment(due.0 + DAY_MS));
    assert_eq!(run_due(&world), Some(Moment(due.0 + 90 * DAY_MS)));
    assert_eq!(rotated_in(&world), [REGION, EU]);
    for region in [REGION, AP] {
        world.succeed_in(region, ALICE, "EnableKey", json!({"KeyId": key.id}));
    }
    check_shared(&world, &key, &ALL, 3);
    let due: Vec<_> = world.record_names().into_iter().filter(|name| name.starts_with("due/")).collect();
    assert!(due.len() == 1 && due[0].contains(EU), "{due:?}");
}

/// Where the new material does not reach every Region, no member has it.
#[test]
fn a_generation_is_everywhere_or_nowhere() {
    let world = World::new();
    let key = set(&world, &[EU, AP]);
    let on_key = json!({"KeyId": key.id});
    // Made, and taken out of one Region and into another, twice.
    for commands in 0..5 {
        world.vault.cut_after(commands);
        assert_eq!(world.refuse(ALICE, "RotateKeyOnDemand", on_key.clone()), "DependencyTimeoutException");
        world.vault.cut(false);
        check_shared(&world, &key, &ALL, 1);
    }
    world.ledger.set_fault(Fault::Full);
    assert_eq!(world.refuse(ALICE, "RotateKeyOnDemand", on_key.clone()), "KMSInternalException");
    world.ledger.set_fault(Fault::None);
    check_shared(&world, &key, &ALL, 1);
    world.vault.cut_after(5);
    world.succeed(ALICE, "RotateKeyOnDemand", on_key);
    world.vault.cut(false);
    check_shared(&world, &key, &ALL, 2);
}

/// Members that are off or wait for their deletion get the new material all the same.
#[test]
fn members_that_are_off_are_not_left_behind() {
    let world = World::new();
    let key = set(&world, &[EU, AP]);
    world.succeed_in(EU, ALICE, "DisableKey", json!({"KeyId": key.id}));
    world.succeed_in(AP, ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    world.succeed(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    assert_eq!((&*state(&world, EU, &key), &*state(&world, AP, &key)), ("Disabled", "PendingDeletion"));
    world.succeed_in(AP, ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    for region in [EU, AP] {
        world.succeed_in(region, ALICE, "EnableKey", json!({"KeyId": key.id}));
    }
    check_shared(&world, &key, &ALL, 2);
}

/// Imports material at a member.
pub(crate) fn import(world: &World, region: &str, key: &Key, material: u8, more: Value) -> Value {
    let request = Parameters::of_member(world, region, key).request(key, &[material; 32], more);
    world.succeed_in(region, ALICE, "ImportKeyMaterial", request)["KeyMaterialId"].take()
}

/// A set whose material is imported in both Regions.
pub(crate) fn imported(world: &World) -> Key {
    let key = world.key_with(ALICE, json!({"MultiRegion": true, "Origin": "EXTERNAL"}));
    import(world, REGION, &key, 1, json!({"KeyMaterialDescription": "first"}));
    replicate(world, &key, EU);
    key
}

const BOTH: [&str; 2] = [REGION, EU];

/// A replica of an imported key waits for the same material.
#[test]
fn imported_material_does_not_travel() {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"MultiRegion": true, "Origin": "EXTERNAL"}));
    let replica = json!({"KeyId": key.id, "ReplicaRegion": EU});
    assert_eq!(world.refuse(ALICE, "ReplicateKey", replica.clone()), "KMSInvalidStateException");
    let id = import(&world, REGION, &key, 1, json!({"KeyMaterialDescription": "first"}));
    world.vault.forget_sent();
    let made = world.succeed(ALICE, "ReplicateKey", replica);
    assert_eq!(made["ReplicaKeyMetadata"]["KeyState"], "Creating");
    assert_eq!(state(&world, EU, &key), "PendingImport");
    let known = &materials(&world, EU, &key)[0];
    assert_eq!((&known["KeyMaterialId"], &known["ImportState"]), (&id, &json!("PENDING_IMPORT")));
    assert_eq!(known["KeyMaterialDescription"], "first");
    let blob = encrypt(&world, REGION, &key);
    let decrypt = json!({"CiphertextBlob": blob});
    assert_eq!(world.refuse_in(EU, ALICE, "Decrypt", decrypt), "KMSInvalidStateException");
    // Other material, and the same as if it were new.
    let parameters = Parameters::of_member(&world, EU, &key);
    let other = parameters.request(&key, &[2; 32], json!({}));
    let answer = world.handle(&Ask::new(ALICE, "ImportKeyMaterial", other).region(EU));
    assert_eq!(answer.code, Some("IncorrectKeyMaterialException"));
    let new = parameters.request(&key, &[2; 32], json!({"ImportType": "NEW_KEY_MATERIAL"}));
    let answer = world.handle(&Ask::new(ALICE, "ImportKeyMaterial", new).region(EU));
    assert_eq!(answer.code, Some("UnsupportedOperationException"));
    // What was agreed on for one member does not serve another.
    let elsewhere = Parameters::of(&world, &key).request(&key, &[1; 32], json!({}));
    let answer = world.handle(&Ask::new(ALICE, "ImportKeyMaterial", elsewhere).region(EU));
    assert_eq!(answer.code, Some("InvalidImportTokenException"));
    assert_eq!(import(&world, EU, &key, 1, json!({})), id);
    assert_eq!(state(&world, EU, &key), "Enabled");
    check_opens(&world, EU, &blob);
    check_opens(&world, REGION, &encrypt(&world, EU, &key));
}

/// New material is imported at the primary key, then the same in every other Region; then the set can be rotated.
#[test]
fn new_material_waits_until_it_is_everywhere() {
    let world = World::new();
    let key = imported(&world);
    import(&world, EU, &key, 1, json!({}));
    let old = encrypt(&world, EU, &key);
    let new = import(
        &world,
        REGION,
        &key,
        2,
        json!({"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialDescription": "second"}),
    );
    let waiting = |world: &World, expected: &str| {
        for region in BOTH {
            assert_eq!(each(world, region, &key, "KeyMaterialState"), ["CURRENT", expected], "{region}");
            assert_eq!(state(world, region, &key), "Enabled");
        }
    };
    waiting(&world, "PENDING_MULTI_REGION_IMPORT_AND_ROTATION");
    assert_eq!(each(&world, EU, &key, "KeyMaterialDescription"), ["first", "second"]);
    let rotate = json!({"KeyId": key.id});
    let refused = world.send(&Ask::new(ALICE, "RotateKeyOnDemand", rotate.clone()));
    assert!(refused.body.contains("No available key material pending rotation for the key: "), "{refused:?}");
    import(&world, EU, &key, 2, json!({"ImportType": "EXISTING_KEY_MATERIAL"}));
    waiting(&world, "PENDING_ROTATION");
    check_no_primary(&world, EU, "RotateKeyOnDemand", rotate.clone());
    world.succeed(ALICE, "RotateKeyOnDemand", rotate);
    assert_eq!(BOTH.map(|region| current(&world, region, &key)), [new.clone(), new]);
    for region in BOTH {
        assert_eq!(each(&world, region, &key, "KeyMaterialState"), ["NON_CURRENT", "CURRENT"]);
        check_opens(&world, region, &old);
        let blob = encrypt(&world, region, &key);
        BOTH.iter().for_each(|other| check_opens(&world, other, &blob));
    }
}

fn delete(world: &World, region: &str, key: &Key, id: &Value) {
    let request = json!({"KeyId": key.id, "KeyMaterialId": id});
    world.succeed_in(region, ALICE, "DeleteImportedKeyMaterial", request);
}

/// What the primary key gives up of what waits, all give up; what a replica does is its own.
#[test]
fn material_that_waits_goes_with_the_primary_keys() {
    let world = World::new();
    let key = imported(&world);
    import(&world, EU, &key, 1, json!({}));
    let as_new = json!({"ImportType": "NEW_KEY_MATERIAL"});
    let id = import(&world, REGION, &key, 2, as_new.clone());
    import(&world, EU, &key, 2, json!({}));
    delete(&world, EU, &key, &id);
    let states = ["CURRENT", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"];
    for region in BOTH {
        assert_eq!(each(&world, region, &key, "KeyMaterialState"), states);
        assert_eq!(state(&world, region, &key), "Enabled");
    }
    assert_eq!(each(&world, EU, &key, "ImportState"), ["IMPORTED", "PENDING_IMPORT"]);
    assert_eq!(each(&world, REGION, &key, "ImportState"), ["IMPORTED", "IMPORTED"]);
    // It can be imported again there.
    import(&world, EU, &key, 2, json!({}));
    delete(&world, REGION, &key, &id);
    for region in BOTH {
        assert_eq!(each(&world, region, &key, "KeyMaterialState"), ["CURRENT"]);
    }
    let indexed = world.record_names().into_iter().filter(|name| name.starts_with("material/")).count();
    assert_eq!(indexed, 2, "nothing is left of it");
    // Other material may wait then.
    import(&world, REGION, &key, 3, as_new);
    assert_eq!(materials(&world, EU, &key).len(), 2);
}

/// Also what a new primary key only knows of, because the one before it imported it.
#[test]
fn material_that_waits_elsewhere_goes_with_the_primary_keys() {
    let world = World::new();
    let key = imported(&world);
    import(&world, EU, &key, 1, json!({}));
    let as_new = json!({"ImportType": "NEW_KEY_MATERIAL"});
    let id = import(&world, REGION, &key, 2, as_new.clone());
    world.succeed(ALICE, "UpdatePrimaryRegion", json!({"KeyId": key.id, "PrimaryRegion": EU}));
    assert_eq!(each(&world, EU, &key, "ImportState"), ["IMPORTED", "PENDING_IMPORT"]);
    let other = Parameters::of_member(&world, EU, &key).request(&key, &[3; 32], as_new.clone());
    assert_eq!(world.refuse_in(EU, ALICE, "ImportKeyMaterial", other), "KMSInvalidStateException");
    delete(&world, EU, &key, &id);
    for region in BOTH {
        assert_eq!(each(&world, region, &key, "KeyMaterialState"), ["CURRENT"], "{region}");
    }
    import(&world, EU, &key, 3, as_new);
}

/// What has encrypted is each member's own to delete, and to let expire.
#[test]
fn material_goes_and_expires_in_each_region_by_itself() {
    let world = World::new();
    let key = imported(&world);
    let valid_to = world.later(10, 0).seconds();
    let id =
        import(&world, EU, &key, 1, json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": valid_to}));
    assert_eq!(describe(&world, REGION, &key)["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    let blob = encrypt(&world, EU, &key);
    world.clock.advance(10 * DAY_MS);
    // Also before the scheduler has come to it.
    let promote = Ask::new(ALICE, "UpdatePrimaryRegion", json!({"KeyId": key.id, "PrimaryRegion": EU}));
    assert_eq!(world.send(&promote).code, Some("KMSInvalidStateException"));
    assert_eq!(run_due(&world), None);
    assert_eq!((&*state(&world, EU, &key), &*state(&world, REGION, &key)), ("PendingImport", "Enabled"));
    check_opens(&world, REGION, &blob);
    import(&world, EU, &key, 1, json!({}));
    check_opens(&world, EU, &blob);
    delete(&world, REGION, &key, &id);
    assert_eq!((&*state(&world, EU, &key), &*state(&world, REGION, &key)), ("Enabled", "PendingImport"));
    check_opens(&world, EU, &blob);
}

/// Material that expires at the primary key before its rotation waits nowhere any longer; at a replica it is imported
/// again.
#[test]
fn material_that_waits_expires() {
    let world = World::new();
    let key = imported(&world);
    import(&world, EU, &key, 1, json!({}));
    let expiring = |days: i64| json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": world.later(days, 0).seconds()});
    let mut as_new = expiring(20);
    as_new["ImportType"] = json!("NEW_KEY_MATERIAL");
    import(&world, REGION, &key, 2, as_new);
    import(&world, EU, &key, 2, expiring(10));
    world.clock.advance(10 * DAY_MS);
    run_due(&world);
    assert_eq!(each(&world, EU, &key, "ImportState"), ["IMPORTED", "PENDING_IMPORT"]);
    let refused = world.refuse(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    assert_eq!(refused, "KMSInvalidStateException");
    import(&world, EU, &key, 2, json!({}));
    assert_eq!(each(&world, EU, &key, "KeyMaterialState"), ["CURRENT", "PENDING_ROTATION"]);
    world.clock.advance(10 * DAY_MS);
    assert_eq!(run_due(&world), None);
    for region in BOTH {
        assert_eq!(each(&world, region, &key, "KeyMaterialState"), ["CURRENT"], "{region}");
    }
}

/// The primary key moves with imported material too; what waits then belongs to the new one.
#[test]
fn imported_keys_move_their_primary_key() {
    let world = World::new();
    let key = imported(&world);
    let to = |region: &str| json!({"KeyId": key.id, "PrimaryRegion": region});
    assert_eq!(world.refuse(ALICE, "UpdatePrimaryRegion", to(EU)), "KMSInvalidStateException");
    import(&world, EU, &key, 1, json!({}));
    world.succeed(ALICE, "UpdatePrimaryRegion", to(EU));
    import(&world, EU, &key, 2, json!({"ImportType": "NEW_KEY_MATERIAL"}));
    import(&world, REGION, &key, 2, json!({}));
    check_no_primary(&world, REGION, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    world.succeed_in(EU, ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    assert_eq!(current(&world, REGION, &key), current(&world, EU, &key));
    check_opens(&world, REGION, &encrypt(&world, EU, &key));
}
