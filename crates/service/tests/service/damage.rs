//! A store that was tampered with: records moved, swapped and mixed. Nothing opens that should not (attack D5).

use claviger_store::{Commit, Record, Write};
use minicbor::{Decode, Encode};
use serde_json::{Value, json};

use crate::world::{ALICE, Answer, Ask, BOB, Key, World, block_on, unbase64};

/// Version of the records.
const VERSION: u8 = 4;

/// A key's record as an attacker who can write to the store sees it. Written down here a second time on purpose: this
/// is the format of every store there is.
#[derive(Debug, Clone, Encode, Decode)]
struct KeyRecord {
    #[n(0)]
    account: String,
    #[n(1)]
    region: String,
    #[n(2)]
    id: String,
    #[n(3)]
    spec: String,
    #[n(4)]
    usage: String,
    #[n(5)]
    origin: String,
    #[n(6)]
    state: String,
    #[n(7)]
    created_ms: i64,
    #[n(8)]
    description: String,
    #[n(9)]
    deletion_ms: Option<i64>,
    #[n(10)]
    tags: Vec<TagRecord>,
    #[n(11)]
    policy: String,
    #[n(12)]
    materials: Vec<MaterialRecord>,
    #[cbor(n(13), with = "minicbor::bytes")]
    public: Option<Vec<u8>>,
    #[n(14)]
    pending: Option<MaterialRecord>,
    #[n(15)]
    rotation: Option<RotationRecord>,
    #[n(16)]
    rotations_on_demand: Option<u16>,
    #[n(17)]
    regions: Option<RegionsRecord>,
    #[n(18)]
    pending_window_days: Option<u16>,
    #[n(30)]
    principals: Option<Vec<()>>,
}

#[derive(Debug, Clone, Encode, Decode)]
struct RotationRecord {
    #[n(0)]
    period_days: u16,
    #[n(1)]
    next_ms: i64,
}

#[derive(Debug, Clone, Encode, Decode)]
struct RegionsRecord {
    #[n(0)]
    primary: String,
    #[n(1)]
    replicas: Vec<String>,
}

#[derive(Debug, Clone, Encode, Decode)]
struct TagRecord {
    #[n(0)]
    key: String,
    #[n(1)]
    value: String,
}

#[derive(Debug, Clone, Encode, Decode)]
struct MaterialRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    token: Vec<u8>,
    #[n(2)]
    created_ms: i64,
    #[n(3)]
    rotated: Option<RotatedRecord>,
    #[n(4)]
    imported: Option<ImportedRecord>,
}

#[derive(Debug, Clone, Encode, Decode)]
struct RotatedRecord {
    #[n(0)]
    at_ms: i64,
    #[n(1)]
    on_demand: bool,
}

#[derive(Debug, Clone, Encode, Decode)]
struct ImportedRecord {
    #[n(0)]
    description: Option<String>,
    #[n(1)]
    expires_ms: Option<i64>,
}

fn raw(world: &World, key: &Key) -> Record {
    let ends = format!("/{}", key.id);
    let of_key = |record: &Record| record.name.starts_with(b"key/") && record.name.ends_with(ends.as_bytes());
    world.content().into_iter().find(of_key).unwrap()
}

fn read(world: &World, key: &Key) -> KeyRecord {
    let value = raw(world, key).value;
    assert_eq!(value[0], VERSION, "the version");
    minicbor::decode(&value[1..]).unwrap()
}

fn write(world: &World, name: Vec<u8>, value: Vec<u8>) {
    let commit = Commit { preconditions: Vec::new(), writes: vec![Write::Put { name, value }] };
    block_on(world.store.commit(commit)).unwrap();
}

fn replace(world: &World, key: &Key, record: &KeyRecord) {
    let value = [vec![VERSION], minicbor::to_vec(record).unwrap()].concat();
    write(world, raw(world, key).name, value);
}

/// The one answer of all of these: a fault that tells the caller nothing.
fn check_refused(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (500, r#"{"__type":"KMSInternalException"}"#));
    assert_eq!(answer.event["errorCode"], "KMSInternalException");
}

fn decrypt(world: &World, blob: &str, key: &Key) -> Answer {
    world.send(&Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob, "KeyId": key.id})))
}

/// A change of the record under an otherwise sound key.
fn check_change(change: impl Fn(&mut KeyRecord)) {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"secret", json!({}));
    let mut record = read(&world, &key);
    change(&mut record);
    replace(&world, &key, &record);
    check_refused(&decrypt(&world, &blob, &key));
    check_refused(&world.send(&Ask::new(ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="}))));
}

#[test]
fn the_format_is_the_one_written_down_here() {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"Description": "d", "Tags": [{"TagKey": "a", "TagValue": "b"}]}));
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    let value = raw(&world, &key).value;
    assert_eq!([vec![VERSION], minicbor::to_vec(read(&world, &key)).unwrap()].concat(), value);
}

/// Attack D5: the wrapped material of one key in the place of another's.
#[test]
fn d05_a_material_opens_only_in_its_own_place() {
    let world = World::new();
    let (victim, own) = (world.key(ALICE), world.key(ALICE));
    let blob = world.encrypt(ALICE, &victim, b"secret", json!({}));
    let (stolen, mut record) = (read(&world, &victim), read(&world, &own));
    // Only the token, under the own material's name.
    record.materials[0].token.clone_from(&stolen.materials[0].token);
    replace(&world, &own, &record);
    check_refused(&world.send(&Ask::new(ALICE, "Encrypt", json!({"KeyId": own.id, "Plaintext": "eA=="}))));
    let request = json!({"KeyId": own.id, "NumberOfBytes": 32});
    check_refused(&world.send(&Ask::new(ALICE, "GenerateDataKey", request)));
    // Token and name, so that the blob is taken for one of the own key's.
    record.materials.clone_from(&stolen.materials);
    replace(&world, &own, &record);
    check_refused(&decrypt(&world, &blob, &own));
    let request = json!({"CiphertextBlob": blob, "SourceKeyId": own.id, "DestinationKeyId": victim.id});
    check_refused(&world.send(&Ask::new(ALICE, "ReEncrypt", request)));
    // The victim is as it was.
    let opened = world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(unbase64(&opened["Plaintext"]), b"secret");
}

/// Everything that a material is bound to is compared.
#[test]
fn d05_a_material_is_bound_to_all_that_its_key_is() {
    check_change(|record| record.account = BOB.account.to_owned());
    check_change(|record| record.region = "eu-west-1".to_owned());
    check_change(|record| record.id = crate::world::NO_KEY.to_owned());
    check_change(|record| record.materials[0].token[40] ^= 1);
    check_change(|record| record.materials[0].token.truncate(60));
    check_change(|record| record.state = "Awake".to_owned());
    check_change(|record| record.policy = "{}".to_owned());
}

/// A key that was made into one of another kind is used as neither.
#[test]
fn d05_a_key_does_not_become_one_of_another_kind() {
    let world = World::new();
    let key = world.key(ALICE);
    let sound = read(&world, &key);
    for (spec, usage) in [("HMAC_256", "ENCRYPT_DECRYPT"), ("SYMMETRIC_DEFAULT", "GENERATE_VERIFY_MAC")] {
        let (spec, usage) = (spec.to_owned(), usage.to_owned());
        replace(&world, &key, &KeyRecord { spec, usage, ..sound.clone() });
        let code = world.refuse(ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="}));
        assert_eq!(code, "InvalidKeyUsageException");
    }
}

/// A whole record over another: the key that stands there now is not the one that was asked for.
#[test]
fn d05_a_record_does_not_stand_for_another() {
    let world = World::new();
    let (victim, own) = (world.key(ALICE), world.key(BOB));
    let blob = world.encrypt(ALICE, &victim, b"secret", json!({}));
    write(&world, raw(&world, &own).name, raw(&world, &victim).value);
    let request = json!({"CiphertextBlob": blob, "KeyId": own.id});
    check_refused(&world.send(&Ask::new(BOB, "Decrypt", request)));
    check_refused(&world.send(&Ask::new(BOB, "DescribeKey", json!({"KeyId": own.id}))));
}

/// The index from materials to keys only finds a key; it decides nothing.
#[test]
fn the_index_of_materials_gives_nobody_anything() {
    let world = World::new();
    let (victim, own) = (world.key(ALICE), world.key(BOB));
    let blob = world.encrypt(ALICE, &victim, b"secret", json!({}));
    let materials: Vec<Record> =
        world.content().into_iter().filter(|record| record.name.starts_with(b"material/")).collect();
    let of = |account: &str| {
        materials.iter().find(|record| String::from_utf8_lossy(&record.value).contains(account)).unwrap()
    };
    write(&world, of(ALICE.account).name.clone(), of(BOB.account).value.clone());
    let answer = world.send(&Ask::new(BOB, "Decrypt", json!({"CiphertextBlob": blob})));
    assert_eq!(answer.code, Some("IncorrectKeyException"));
    assert_eq!(world.refuse(ALICE, "Decrypt", json!({"CiphertextBlob": blob})), "AccessDeniedException");
    world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob, "KeyId": victim.id}));
    world.succeed(BOB, "DescribeKey", json!({"KeyId": own.id}));
}

/// A credential's sealed secret opens only for its own access key id.
#[test]
fn d05_a_credential_opens_only_in_its_own_place() {
    let world = World::new();
    let named = |id: &str| {
        world.content().into_iter().find(|r| r.name == format!("credential/{id}").as_bytes()).unwrap()
    };
    let (alices, bobs) = (named(ALICE.access_key_id), named(BOB.access_key_id));
    write(&world, alices.name, bobs.value);
    let handled = world.handle(&Ask::new(ALICE, "ListKeys", json!({})));
    assert_eq!((handled.outgoing.status, handled.account), (500, None));
}

/// Bytes that are no record are a fault, never a guess.
#[test]
fn damaged_records_are_refused() {
    let world = World::new();
    let key = world.key(ALICE);
    let record = raw(&world, &key);
    let describe = || world.send(&Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id})));
    for value in [
        Vec::new(),
        vec![VERSION],
        [&*record.value, &[0]].concat(),
        record.value[..record.value.len() - 1].to_vec(),
    ] {
        write(&world, record.name.clone(), value);
        check_refused(&describe());
    }
    let mut newer = record.value.clone();
    newer[0] = VERSION + 1;
    write(&world, record.name.clone(), newer);
    check_refused(&describe());
    write(&world, record.name.clone(), record.value);
    assert_eq!(serde_json::from_str::<Value>(&describe().body).unwrap()["KeyMetadata"]["KeyId"], key.id);
}
