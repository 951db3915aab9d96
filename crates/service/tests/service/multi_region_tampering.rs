//! Attacks on multi-Region sets through the store and on the way from Region to Region (attack D5, invariant I7).

use claviger_hsm_proto::{Binding, Command, MaterialId, Refusal, Reply, WrappedKey, frame};
use claviger_service::{Vault, schedule};
use claviger_store::{Commit, Record, Write};
use serde_json::json;

use crate::multi_region::{AP, EU, check_opens, describe, encrypt, replicate, set};
use crate::multi_region_deletion::doom;
use crate::world::{ALICE, Answer, Ask, BOB, DAY_MS, Key, REGION, World, block_on};

fn raw(world: &World, region: &str, key: &Key) -> Record {
    let name = format!("key/{}/{region}/{}", ALICE.account, key.id).into_bytes();
    world.content().into_iter().find(|record| record.name == name).unwrap()
}

/// Where the wrapped material stands in a record: after its id, as a string of bytes (CBOR, RFC 8949).
fn token_at(value: &[u8], material: MaterialId) -> std::ops::Range<usize> {
    let at = value.windows(32).position(|window| window == material.0).unwrap() + 32;
    assert_eq!(value[at], 0x58, "a string with a length of one byte");
    at + 2..at + 2 + usize::from(value[at + 1])
}

fn material(world: &World, key: &Key) -> MaterialId {
    let told_of = describe(world, REGION, key);
    let hex = told_of["CurrentKeyMaterialId"].as_str().unwrap().as_bytes();
    let digit = |at: usize| u8::try_from(char::from(hex[at]).to_digit(16).unwrap()).unwrap();
    let byte = |at: usize| 16 * digit(at) + digit(at + 1);
    MaterialId(std::array::from_fn(|index| byte(2 * index)))
}

fn write(world: &World, name: Vec<u8>, value: Vec<u8>) {
    let commit = Commit { preconditions: Vec::new(), writes: vec![Write::Put { name, value }] };
    block_on(world.store.commit(commit)).unwrap();
}

/// The one answer to what was tampered with: a fault that tells nothing.
fn check_fault(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (500, r#"{"__type":"KMSInternalException"}"#));
}

/// Invariant I7: what one member holds does not open in the place of another, though it is the same material.
#[test]
fn d05_a_members_material_opens_only_in_its_region() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let blob = encrypt(&world, REGION, &key);
    let decrypt = Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob})).region(EU);
    let (own, replica) = (raw(&world, REGION, &key), raw(&world, EU, &key));
    let material = material(&world, &key);
    let (from, to) = (token_at(&own.value, material), token_at(&replica.value, material));
    assert_ne!(own.value[from.clone()], replica.value[to.clone()]);
    // The wrapped material alone.
    let mut mixed = replica.value.clone();
    mixed.splice(to, own.value[from].iter().copied());
    write(&world, replica.name.clone(), mixed);
    check_fault(&world.send(&decrypt));
    // The whole record.
    write(&world, replica.name.clone(), own.value);
    check_fault(&world.send(&decrypt));
    write(&world, replica.name, replica.value);
    check_opens(&world, EU, &blob);
}

/// Members that disagree on who they are change no further.
#[test]
fn d05_a_set_that_was_tampered_with_does_not_change() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let old = raw(&world, EU, &key);
    replicate(&world, &key, AP);
    write(&world, old.name, old.value);
    let before = world.content();
    for (operation, member, region) in
        [("ReplicateKey", "ReplicaRegion", "us-west-2"), ("UpdatePrimaryRegion", "PrimaryRegion", AP)]
    {
        let answer = world.send(&Ask::new(ALICE, operation, json!({"KeyId": key.id, member: region})));
        check_fault(&answer);
    }
    let names = |records: Vec<Record>| records.into_iter().map(|record| record.value).collect::<Vec<_>>();
    assert_eq!(names(world.content()), names(before));
    // Nor does the task that deletes keys spin on it.
    doom(&world, AP, &key);
    world.clock.advance(7 * DAY_MS);
    let round = block_on(schedule::run_due(&world.service, world.now())).unwrap();
    assert_eq!(round.failed, 1);
}

fn command(world: &World, command: &Command<'_>) -> Result<Vec<u8>, Refusal> {
    let body = block_on(world.vault.send(command)).unwrap();
    match frame::read::<Reply<'_>>(&body).unwrap() {
        Reply::Transfer { package } => Ok(package.to_vec()),
        Reply::KeyWrapped { token, .. } => Ok(token.to_vec()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// Invariant I7: a package on its way to a Region arrives there, as what it was sent, and nowhere else.
#[test]
fn a_package_arrives_only_where_it_was_sent() {
    let world = World::new();
    let key = set(&world, &[]);
    let (record, id) = (raw(&world, REGION, &key), material(&world, &key));
    let binding = Binding {
        account: ALICE.account,
        region: REGION,
        key_id: &key.id,
        spec: "SYMMETRIC_DEFAULT",
        usage: "ENCRYPT_DECRYPT",
    };
    let token = &record.value[token_at(&record.value, id)];
    let wrapped = WrappedKey { binding, material: id, token };
    let domain = world.vault.domain();
    let out = Command::TransferOut { key: wrapped, domain, region: EU };
    let package = command(&world, &out).unwrap();
    let arrive = |binding: Binding<'_>, from: &str, id: MaterialId, package: &[u8]| {
        command(&world, &Command::TransferIn { binding, from, material: id, package })
    };
    let there = Binding { region: EU, ..binding };
    arrive(there, REGION, id, &package).unwrap();
    let refused = [
        arrive(Binding { region: AP, ..binding }, REGION, id, &package),
        arrive(there, AP, id, &package),
        arrive(Binding { account: BOB.account, ..there }, REGION, id, &package),
        arrive(Binding { key_id: "mrk-0123456789abcdef0123456789abcdef", ..there }, REGION, id, &package),
        arrive(there, REGION, MaterialId([7; 32]), &package),
        arrive(there, REGION, id, token),
        arrive(there, REGION, id, &package[1..]),
        command(&world, &Command::TransferOut { key: wrapped, domain: [7; 16], region: EU }),
    ];
    assert_eq!(refused.map(|outcome| outcome.err()), [Some(Refusal::Transfer); 8]);
    // Nor is it a key.
    let rewrap = Command::Rewrap { key: WrappedKey { binding: there, material: id, token: &package } };
    assert_eq!(command(&world, &rewrap), Err(Refusal::Token));
}
