//! What each state allows of keys of every other kind: made and imported, asymmetric and HMAC, and replicas. Every
//! operation that takes a key is called, also those that are for keys of another kind.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use claviger_service::kms::shapes::KeyState;
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::material::import;
use crate::state_matrix::{Stage, operation_of, put_in, said};
use crate::world::{ALICE, Ask, Key, REGION, World};

/// A kind of key in a world of its own.
struct Subject {
    name: String,
    world: World,
    region: &'static str,
    key: Key,
    imported: bool,
}

const EU: &str = "eu-west-1";

fn made(spec: &str, usage: &str) -> Subject {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"KeySpec": spec, "KeyUsage": usage}));
    Subject { name: format!("{spec} {usage}"), world, region: REGION, key, imported: false }
}

fn imported(spec: &str, usage: &str, material: &[u8]) -> Subject {
    let world = World::new();
    let request = json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"});
    let key = world.key_with(ALICE, request);
    let id = import(&world, &key, material, json!({}));
    world.name(&id, "M1");
    Subject { name: format!("{spec} {usage}, imported"), world, region: REGION, key, imported: true }
}

fn replica(spec: &str, usage: &str) -> Subject {
    let world = World::new();
    let primary = json!({"KeySpec": spec, "KeyUsage": usage, "MultiRegion": true});
    let key = world.key_with(ALICE, primary);
    world.succeed(ALICE, "ReplicateKey", json!({"KeyId": key.id, "ReplicaRegion": EU}));
    let key = Key { arn: key.arn.replace(REGION, EU), id: key.id };
    Subject { name: format!("{spec} {usage}, a replica"), world, region: EU, key, imported: false }
}

fn subjects() -> Vec<Subject> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let pair = pair.to_pkcs8v1().unwrap();
    let mut subjects: Vec<Subject> = [
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("RSA_2048", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ML_DSA_44", "SIGN_VERIFY"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ]
    .map(|(spec, usage)| made(spec, usage))
    .into();
    subjects.push(imported("ECC_NIST_P256", "SIGN_VERIFY", pair.as_ref()));
    subjects.push(imported("HMAC_256", "GENERATE_VERIFY_MAC", &[1; 32]));
    subjects.push(replica("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"));
    subjects.push(replica("ECC_NIST_P256", "SIGN_VERIFY"));
    subjects
}

/// Brings the key into a state: through the API where that needs no other key, else in its record.
fn bring_to(world: &World, subject: &Subject, state: &str) {
    let on_key = |operation| {
        world.succeed_in(subject.region, ALICE, operation, json!({"KeyId": subject.key.id}));
    };
    match state {
        "Enabled" => {}
        "Disabled" => on_key("DisableKey"),
        "PendingDeletion" => on_key("ScheduleKeyDeletion"),
        "PendingImport" => on_key("DeleteImportedKeyMaterial"),
        _ => put_in(world, subject.region, &subject.key, state),
    }
}

/// What an operation answers in each state: the states that get each answer.
fn row(subject: &Subject, operation: &str, request: &Value) -> String {
    let mut answers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let states = KeyState::ALL.iter().filter(|state| subject.imported || **state != KeyState::PendingImport);
    for state in states.map(|state| state.as_str()) {
        let world = subject.world.copy();
        bring_to(&world, subject, state);
        let ask = Ask::new(ALICE, operation, request.clone()).region(subject.region);
        let arn = world.normalize(&subject.key.arn);
        let said = said(&world, &world.send(&ask)).replace(&arn, "it");
        answers.entry(said).or_default().push(state);
    }
    answers.iter().map(|(said, states)| format!("    {said}: {}\n", states.join(", "))).collect()
}

/// The operations whose request names the key, and the requests.
fn requests(subject: &Subject, stage: &Stage) -> Vec<(&'static str, Value)> {
    let mut requests = stage.requests();
    requests.retain(|(label, request)| {
        request["KeyId"] == json!(stage.key.id) && !label.contains("dry run") && !label.ends_with("Grant")
    });
    for (_, request) in &mut requests {
        request["KeyId"] = json!(subject.key.id);
    }
    requests
}

#[test]
fn every_state_of_every_kind_of_key_allows_what_awss_table_says() {
    let stage = Stage::set(crate::state_matrix::Origin::Made);
    let mut table = String::new();
    for subject in subjects() {
        table.push_str(&format!("# {}\n", subject.name));
        for (label, request) in requests(&subject, &stage) {
            let operation = operation_of(label);
            table.push_str(&format!("{operation}\n{}", row(&subject, operation, &request)));
        }
        table.push('\n');
    }
    expect_file!["golden/states_of_every_kind.txt"].assert_eq(&table);
}
