//! Imported key material: what is taken in, what is refused, and what becomes of it.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::material::{Parameters, external, import, import_for, import_new, on};
use crate::world::{ALICE, Ask, DAY_MS, Key, REGION, Transcript, World, base64, unbase64};

const FIRST: [u8; 32] = [1; 32];
const SECOND: [u8; 32] = [2; 32];
const THIRD: [u8; 32] = [3; 32];

fn state(world: &World, key: &Key) -> String {
    world.describe(key)["KeyState"].as_str().unwrap().to_owned()
}

fn materials(world: &World, key: &Key) -> Vec<Value> {
    let request = json!({"KeyId": key.id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    world.succeed(ALICE, "ListKeyRotations", request)["Rotations"].as_array().unwrap().clone()
}

fn decrypts(world: &World, blob: &str) -> bool {
    let answer = world.send(&Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob})));
    match answer.code {
        None => true,
        Some("KMSInvalidStateException") => false,
        Some(other) => panic!("{other}"),
    }
}

/// The member and its value, and the error that it makes of an import that would succeed.
fn check_refused(world: &World, request: &Value, change: Value, code: &str) {
    let mut changed = request.clone();
    changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    assert_eq!(world.refuse(ALICE, "ImportKeyMaterial", changed), code, "{change:.200}");
}

/// A key without material is described as such; its first material makes it usable.
#[test]
fn the_first_material_enables_a_key() {
    let world = World::new();
    let key = external(&world);
    let made = world.describe(&key);
    assert_eq!((&made["KeyState"], &made["Enabled"]), (&json!("PendingImport"), &json!(false)));
    for absent in ["CurrentKeyMaterialId", "ExpirationModel", "ValidTo"] {
        assert_eq!(made.get(absent), None, "{absent}");
    }
    assert_eq!(materials(&world, &key), [] as [Value; 0]);
    let id = import_for(&world, &key, &FIRST, 10);
    let imported = world.describe(&key);
    assert_eq!(imported["KeyState"], "Enabled");
    assert_eq!(imported["CurrentKeyMaterialId"], *id);
    assert_eq!(imported["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
    assert_eq!(imported["ValidTo"], json!(world.later(10, 0).epoch()));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    assert!(decrypts(&world, &blob), "found by its material alone");
    let again = import(&world, &key, &FIRST, json!({}));
    assert_eq!(again, id, "an id is that of the material");
    let renewed = world.describe(&key);
    assert_eq!(
        (renewed.get("ValidTo"), &renewed["ExpirationModel"]),
        (None, &json!("KEY_MATERIAL_DOES_NOT_EXPIRE"))
    );
}

/// Every way of wrapping that is offered outside China works (those of its Regions: clients/python), and what the answer says of the parameters is so.
#[test]
fn material_is_taken_in_as_agreed() {
    let world = World::new();
    // Each algorithm once and each wrapping key once: the larger ones take seconds to make.
    for (algorithm, spec) in [
        ("RSAES_OAEP_SHA_1", "RSA_2048"),
        ("RSAES_OAEP_SHA_256", "RSA_3072"),
        ("RSA_AES_KEY_WRAP_SHA_1", "RSA_2048"),
        ("RSA_AES_KEY_WRAP_SHA_256", "RSA_4096"),
    ] {
        let key = external(&world);
        let parameters = Parameters::with(&world, &key, algorithm, spec);
        assert!(parameters.token.len() <= 6144);
        world.succeed(ALICE, "ImportKeyMaterial", parameters.request(&key, &FIRST, json!({})));
        world.encrypt(ALICE, &key, b"x", json!({}));
    }
    let key = external(&world);
    let request =
        json!({"KeyId": key.id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let answer = world.succeed(ALICE, "GetParametersForImport", request.clone());
    assert_eq!(answer["KeyId"], *key.arn);
    assert_eq!(answer["ParametersValidTo"], json!(world.later(1, 0).epoch()));
    let again = world.succeed(ALICE, "GetParametersForImport", request);
    assert_ne!(answer["PublicKey"], again["PublicKey"], "each call makes a pair");
}

/// Of ML-DSA and ML-KEM the seed is imported, 54 and 86 bytes in PKCS #8 (RFC 9881, RFC 9935): the shortest wrapping key
/// takes that at once.
#[test]
fn seeds_are_short_enough_for_every_wrapping_key() {
    let world = World::new();
    for (spec, usage, parameters, algorithm) in [
        ("ML_DSA_44", "SIGN_VERIFY", [3, 17], "RSAES_OAEP_SHA_1"),
        ("ML_DSA_65", "SIGN_VERIFY", [3, 18], "RSAES_OAEP_SHA_256"),
        ("ML_DSA_87", "SIGN_VERIFY", [3, 19], "RSAES_OAEP_SHA_256"),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", [4, 1], "RSAES_OAEP_SHA_1"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", [4, 2], "RSAES_OAEP_SHA_256"),
        ("ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", [4, 3], "RSAES_OAEP_SHA_256"),
    ] {
        let key = world.key_with(ALICE, json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"}));
        let terms = Parameters::with(&world, &key, algorithm, "RSA_2048");
        let material = seed_in_pkcs8(parameters, if usage == "SIGN_VERIFY" { 32 } else { 64 });
        world.succeed(ALICE, "ImportKeyMaterial", terms.request(&key, &material, json!({})));
        assert_eq!(state(&world, &key), "Enabled", "{spec}");
        if usage == "SIGN_VERIFY" {
            let mut signed = json!({"KeyId": key.id, "Message": base64(b"m"),
                "SigningAlgorithm": "ML_DSA_SHAKE_256"});
            signed["Signature"] = world.succeed(ALICE, "Sign", signed.clone())["Signature"].take();
            world.succeed(ALICE, "Verify", signed);
        } else {
            let mut shared = json!({"KeyId": key.id, "EncapsulationAlgorithm": "ML_KEM"});
            let made = world.succeed(ALICE, "Encapsulate", shared.clone());
            shared["SharedSecretCiphertextBlob"] = made["SharedSecretCiphertextBlob"].clone();
            let opened = world.succeed(ALICE, "Decapsulate", shared);
            assert_eq!(opened["SharedSecret"], made["SharedSecret"], "{spec}");
        }
    }
}

/// A seed of so many bytes in PKCS #8; `parameters` ends the name of the algorithm, 2.16.840.1.101.3.4.
fn seed_in_pkcs8(parameters: [u8; 2], length: u8) -> Vec<u8> {
    let name = [&[0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4][..], &parameters].concat();
    let algorithm = [&[0x30, 11][..], &name].concat();
    let seed = [&[0x04, length + 2, 0x80, length][..], &vec![7; usize::from(length)]].concat();
    let whole = [&[0x02, 1, 0][..], &algorithm, &seed].concat();
    [&[0x30, u8::try_from(whole.len()).unwrap()][..], &whole].concat()
}

/// Every algorithm with a wrapping key of each kind, here and in China, for keys that differ in what they take. The
/// developer guide has SM2 for China's Regions only, and AES key wrap for all but those.
#[test]
fn every_way_of_wrapping_is_offered_where_it_fits() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    let model = crate::model::Model::installed();
    for region in [REGION, "cn-north-1"] {
        for (spec, usage) in [
            ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
            ("RSA_2048", "SIGN_VERIFY"),
            ("ECC_NIST_P521", "SIGN_VERIFY"),
        ] {
            calls.note(&format!("{spec} in {region}."));
            let made = json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"});
            let key = world.key_in(region, ALICE, made);
            for algorithm in model.choices("AlgorithmSpec") {
                for wrapping_key in ["RSA_2048", "RSA_3072", "SM2"] {
                    let request = json!({"KeyId": key.id, "WrappingAlgorithm": algorithm,
                        "WrappingKeySpec": wrapping_key});
                    calls.send(&Ask::new(ALICE, "GetParametersForImport", request).region(region));
                }
            }
        }
    }
    calls.compare(&expect_file!["golden/wrappings.txt"]);
}

/// Each part of an import that is wrong refuses it, and nothing changes (`World::send` sees to that).
#[test]
fn imports_that_are_wrong_are_refused() {
    let world = World::new();
    let (key, other) = (external(&world), external(&world));
    let parameters = Parameters::of(&world, &key);
    let request = parameters.request(&key, &FIRST, json!({}));
    let check = |change, code| check_refused(&world, &request, change, code);
    let expires = "KEY_MATERIAL_EXPIRES";
    let at = |days, ms| world.later(days, ms).seconds();
    check(json!({"ExpirationModel": expires}), "ValidationException");
    check(json!({"ExpirationModel": null}), "ValidationException");
    check(json!({"ValidTo": at(1, 0)}), "ValidationException");
    check(json!({"ExpirationModel": expires, "ValidTo": at(0, 0)}), "ValidationException");
    check(json!({"ExpirationModel": expires, "ValidTo": at(365, 1000)}), "ValidationException");
    check(json!({"ImportType": "EXISTING_KEY_MATERIAL"}), "IncorrectKeyMaterialException");
    check(json!({"KeyMaterialId": "0".repeat(64)}), "IncorrectKeyMaterialException");
    let named = json!({"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialId": "0".repeat(64)});
    check(named, "ValidationException");
    check(json!({"KeyId": other.id}), "InvalidImportTokenException");
    check(json!({"ImportToken": base64(b"token")}), "InvalidImportTokenException");
    for material in [&[1; 16][..], &[1; 31], &[1; 33]] {
        let wrapped = base64(&parameters.wrap(material));
        check(json!({"EncryptedKeyMaterial": wrapped}), "IncorrectKeyMaterialException");
    }
    let foreign = Parameters::of(&world, &key).wrap(&FIRST);
    for wrapped in [&foreign[..], &foreign[1..], b"x"] {
        check(json!({"EncryptedKeyMaterial": base64(wrapped)}), "InvalidCiphertextException");
    }
    // The terms stand in the token in the clear, and cannot be changed: not the time, nor the algorithm.
    for (from, to) in [("OAEP_SHA_256", "OAEP_SHA_1\0\0"), ("RSA_2048", "RSA_3072"), ("SHA_256", "SHA_255")] {
        let place = parameters.token.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut token = parameters.token.clone();
        token[place..place + to.len()].copy_from_slice(to.as_bytes());
        check(json!({"ImportToken": base64(&token)}), "InvalidImportTokenException");
    }
    // Every byte of it counts. Whether a longer time is believed is decided by the HSM.
    for place in (0..parameters.token.len()).step_by(7) {
        let mut token = parameters.token.clone();
        token[place] ^= 1;
        let mut changed = request.clone();
        changed["ImportToken"] = json!(base64(&token));
        let code = world.refuse(ALICE, "ImportKeyMaterial", changed);
        assert!(
            matches!(code, "InvalidImportTokenException" | "ExpiredImportTokenException"),
            "{place}: {code}"
        );
    }
    world.clock.advance(DAY_MS - 1);
    world.succeed(ALICE, "ImportKeyMaterial", request.clone());
    world.clock.advance(1);
    check(json!({}), "ExpiredImportTokenException");
}

/// One further material at a time waits for its rotation; it can be deleted, and takes nothing from the key.
#[test]
fn one_material_waits_at_a_time() {
    let world = World::new();
    let key = external(&world);
    let first = import(&world, &key, &FIRST, json!({"KeyMaterialDescription": "first"}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let refused = on(&world, "RotateKeyOnDemand", &key);
    let nothing = format!("No available key material pending rotation for the key: {}.", key.arn);
    assert!(refused.body.contains(&nothing), "{}", refused.body);
    let second = import_new(&world, &key, &SECOND);
    let parameters = Parameters::of(&world, &key);
    let new = json!({"ImportType": "NEW_KEY_MATERIAL"});
    let third =
        world.send(&Ask::new(ALICE, "ImportKeyMaterial", parameters.request(&key, &THIRD, new.clone())));
    let because = format!(
        "cannot be imported into KMS key {}, because another key material (id: {second}) is pending rotation.",
        key.arn
    );
    assert!(
        third.body.contains(&because) && third.code == Some("KMSInvalidStateException"),
        "{}",
        third.body
    );
    for known in [FIRST, SECOND] {
        let request = parameters.request(&key, &known, new.clone());
        assert_eq!(world.refuse(ALICE, "ImportKeyMaterial", request), "IncorrectKeyMaterialException");
    }
    let states = |world: &World| -> Vec<(Value, Value)> {
        let entry = |entry: &Value| (entry["KeyMaterialId"].clone(), entry["KeyMaterialState"].clone());
        materials(world, &key).iter().map(entry).collect()
    };
    let expected = [(json!(first), json!("CURRENT")), (json!(second), json!("PENDING_ROTATION"))];
    assert_eq!(states(&world), expected);
    assert_eq!(materials(&world, &key)[0]["KeyMaterialDescription"], "first");
    let delete = json!({"KeyId": key.id, "KeyMaterialId": second});
    world.succeed(ALICE, "DeleteImportedKeyMaterial", delete.clone());
    assert_eq!(world.refuse(ALICE, "DeleteImportedKeyMaterial", delete), "NotFoundException");
    assert_eq!((state(&world, &key), states(&world).len()), ("Enabled".to_owned(), 1));
    assert!(!world.record_names().iter().any(|name| name.contains(&second)), "nothing of it is left");
    // It comes back, and becomes current; both decrypt.
    import_new(&world, &key, &SECOND);
    world.succeed(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    let expected = [(json!(first), json!("NON_CURRENT")), (json!(second), json!("CURRENT"))];
    assert_eq!(states(&world), expected);
    let newer = world.encrypt(ALICE, &key, b"x", json!({}));
    assert!(decrypts(&world, &blob) && decrypts(&world, &newer));
    let opened = world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": newer}));
    assert_eq!((&opened["KeyMaterialId"], unbase64(&opened["Plaintext"])), (&json!(second), b"x".to_vec()));
}

/// A key needs all the material that it ever encrypted with; what was said of material is kept without it.
#[test]
fn all_material_of_a_key_is_needed() {
    let world = World::new();
    let key = external(&world);
    let first = import(&world, &key, &FIRST, json!({"KeyMaterialDescription": "first"}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let second = import_new(&world, &key, &SECOND);
    world.succeed(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    world.vault.forget_sent();
    let deleted =
        world.succeed(ALICE, "DeleteImportedKeyMaterial", json!({"KeyId": key.id, "KeyMaterialId": first}));
    assert_eq!(deleted, json!({"KeyId": key.arn, "KeyMaterialId": first}));
    assert_eq!(world.vault.sent(), ["Evict"], "no copy is left when it answers");
    assert_eq!(state(&world, &key), "PendingImport");
    assert!(!decrypts(&world, &blob));
    let lost = &materials(&world, &key)[0];
    assert_eq!(
        (&lost["ImportState"], &lost["KeyMaterialDescription"]),
        (&json!("PENDING_IMPORT"), &json!("first"))
    );
    // Without an id the current one goes; once more changes nothing.
    for _ in 0..2 {
        let deleted = world.succeed(ALICE, "DeleteImportedKeyMaterial", json!({"KeyId": key.id}));
        assert_eq!(deleted["KeyMaterialId"], *second);
    }
    assert_eq!(world.describe(&key).get("ExpirationModel"), None);
    assert_eq!(world.describe(&key)["CurrentKeyMaterialId"], *second, "kept after the deletion");
    import(&world, &key, &FIRST, json!({}));
    assert_eq!(state(&world, &key), "PendingImport", "one is still missing");
    import(&world, &key, &SECOND, json!({}));
    assert_eq!(state(&world, &key), "Enabled");
    assert!(decrypts(&world, &blob));
    assert_eq!(materials(&world, &key)[0]["KeyMaterialDescription"], "first", "said once, kept");
    import(&world, &key, &FIRST, json!({"KeyMaterialDescription": "again"}));
    assert_eq!(materials(&world, &key)[0]["KeyMaterialDescription"], "again");
}

/// A key that is disabled stays so when its material is renewed; one that waits for its deletion keeps waiting.
#[test]
fn material_does_not_change_what_the_owner_decided() {
    let world = World::new();
    let key = external(&world);
    import(&world, &key, &FIRST, json!({}));
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    import_for(&world, &key, &FIRST, 1);
    assert_eq!(state(&world, &key), "Disabled");
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    world.clock.advance(DAY_MS);
    assert_eq!(world.run_due().failed, 0);
    assert_eq!(state(&world, &key), "PendingDeletion");
    world.succeed(ALICE, "CancelKeyDeletion", json!({"KeyId": key.id}));
    assert_eq!(state(&world, &key), "PendingImport");
}

/// The trail shows the terms of an import, and neither the token nor the material.
#[test]
fn the_trail_shows_an_import() {
    let world = World::new();
    let key = external(&world);
    let more = json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": world.later(1, 0).seconds(),
        "ImportType": "NEW_KEY_MATERIAL", "KeyMaterialDescription": "d"});
    let request = Parameters::of(&world, &key).request(&key, &FIRST, more);
    let event = world.send(&Ask::new(ALICE, "ImportKeyMaterial", request)).event;
    let expected = json!({"keyId": key.id, "validTo": "Nov 21, 2026, 12:00:00 PM",
        "expirationModel": "KEY_MATERIAL_EXPIRES", "importType": "NEW_KEY_MATERIAL", "keyMaterialDescription": "d"});
    assert_eq!(event["requestParameters"], expected);
    let id = world.describe(&key)["CurrentKeyMaterialId"].take();
    assert_eq!(event["responseElements"], json!({"keyId": key.arn, "keyMaterialId": id}));
}

/// What is said to those who are refused.
#[test]
fn refusals_are_told_in_awss_words() {
    let world = World::new();
    let (made, key) = (world.key(ALICE), external(&world));
    let parameters = Parameters::of(&world, &key);
    let request = parameters.request(&key, &FIRST, json!({}));
    let with = |change: Value| {
        let mut request = request.clone();
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        request
    };
    let mut calls = Transcript::of(&world);
    let mut import = |change: Value| drop(calls.ask(ALICE, "ImportKeyMaterial", with(change)));
    import(json!({"ExpirationModel": null}));
    import(json!({"ValidTo": world.later(1, 0).seconds()}));
    import(json!({"ExpirationModel": null, "ValidTo": world.later(0, 0).seconds()}));
    import(json!({"ExpirationModel": null, "ValidTo": world.later(366, 0).seconds()}));
    import(json!({"ValidTo": "tomorrow"}));
    import(json!({"KeyMaterialDescription": "a\u{e9}", "ImportType": "OLD", "KeyMaterialId": "X"}));
    import(json!({"ImportToken": "eA=="}));
    import(json!({"EncryptedKeyMaterial": "eA=="}));
    import(json!({"EncryptedKeyMaterial": base64(&parameters.wrap(&[1; 31]))}));
    import(json!({"KeyId": made.id}));
    import(json!({"KeyId": "alias/a"}));
    import(json!({}));
    let unknown = json!({"KeyId": key.id, "KeyMaterialId": "0".repeat(64)});
    calls.ask(ALICE, "DeleteImportedKeyMaterial", unknown);
    for (key, algorithm, spec) in [
        (&made, "RSAES_OAEP_SHA_256", "RSA_2048"),
        (&key, "RSAES_PKCS1_V1_5", "RSA_2048"),
        (&key, "RSAES_OAEP_SHA_1", "SM2"),
    ] {
        let request = json!({"KeyId": key.id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        calls.ask(ALICE, "GetParametersForImport", request);
    }
    for key in [&key, &made] {
        let on_key = json!({"KeyId": key.id});
        for operation in
            ["EnableKeyRotation", "GetKeyRotationStatus", "RotateKeyOnDemand", "DeleteImportedKeyMaterial"]
        {
            calls.ask(ALICE, operation, on_key.clone());
        }
    }
    calls.ask(ALICE, "EnableKeyRotation", json!({"KeyId": made.id, "RotationPeriodInDays": 89}));
    calls.ask(ALICE, "ListKeyRotations", json!({"KeyId": made.id, "Marker": "x"}));
    world.clock.advance(365 * DAY_MS - 1);
    calls.ask(ALICE, "RotateKeyOnDemand", json!({"KeyId": made.id}));
    calls.ask(ALICE, "ImportKeyMaterial", request.clone());
    calls.compare(&expect_file!["golden/life.txt"]);
}
