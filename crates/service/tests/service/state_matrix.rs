//! What each state and kind of a key allows: every operation about a key, called in every state.

use std::collections::BTreeSet;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use claviger_service::kms::ops;
use claviger_service::kms::shapes::KeyState;
use claviger_store::{Commit, Write};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::kinds::{make, public_key, uses};
use crate::material::{Parameters, external, import};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, Answer, Ask, Key, REGION, World, base64, block_on};

/// Operations that are about no key.
pub(crate) const KEYLESS: [&str; 4] = ["CreateKey", "GenerateRandom", "ListKeys", "ListRetirableGrants"];

/// Whom the grants are for.
const ROOT: &str = "arn:aws:iam::111122223333:root";

/// States that no call brings such a key into: a test puts them into the record.
const BY_HAND: [&str; 4] = ["PendingReplicaDeletion", "Unavailable", "Creating", "Updating"];

/// Where the material of the key comes from, and where it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Origin {
    Made,
    Imported,
    /// Made for a multi-Region primary key, which has a replica.
    Shared,
}

/// A world with a key that everything is done to, another, and what is needed for a request of each operation.
pub(crate) struct Stage {
    origin: Origin,
    pub(crate) world: World,
    pub(crate) key: Key,
    pub(crate) other: Key,
    blob: String,
    others_blob: String,
    grant_id: String,
    parameters: Option<Parameters>,
}

impl Stage {
    pub(crate) fn set(origin: Origin) -> Self {
        let world = World::new();
        let key = match origin {
            Origin::Made => world.key(ALICE),
            Origin::Imported => external(&world),
            Origin::Shared => world.key_with(ALICE, json!({"MultiRegion": true})),
        };
        let other = world.key(ALICE);
        if origin == Origin::Imported {
            let id = import(&world, &key, &[1; 32], json!({}));
            world.name(&id, "M1");
        }
        if origin == Origin::Shared {
            let replica = json!({"KeyId": key.id, "ReplicaRegion": "eu-west-1"});
            world.succeed(ALICE, "ReplicateKey", replica);
        }
        for (name, target) in [("alias/old", &key), ("alias/other", &other)] {
            world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": target.id}));
        }
        let blob = world.encrypt(ALICE, &key, b"x", json!({}));
        let others_blob = world.encrypt(ALICE, &other, b"x", json!({}));
        let parameters = (origin == Origin::Imported).then(|| Parameters::of(&world, &key));
        let grant = json!({"KeyId": key.id, "GranteePrincipal": ROOT, "Operations": ["Encrypt"]});
        let made = world.succeed(ALICE, "CreateGrant", grant);
        let grant_id = made["GrantId"].as_str().unwrap().to_owned();
        Self { origin, world, key, other, blob, others_blob, grant_id, parameters }
    }

    /// The same anew: to make the keys that wrap imported material takes longer than all the rest.
    fn again(&self) -> Self {
        let Self { key, other, blob, others_blob, grant_id, parameters, .. } = self;
        Self {
            origin: self.origin,
            world: self.world.copy(),
            key: key.clone(),
            other: other.clone(),
            blob: blob.clone(),
            others_blob: others_blob.clone(),
            grant_id: grant_id.clone(),
            parameters: parameters.clone(),
        }
    }

    /// Brings the key into a state, through the API where that is possible.
    fn bring_to(&self, state: &str) {
        let on_key = |operation| drop(self.world.succeed(ALICE, operation, json!({"KeyId": self.key.id})));
        match state {
            "Enabled" => {}
            "Disabled" => on_key("DisableKey"),
            "PendingDeletion" if self.origin != Origin::Shared => on_key("ScheduleKeyDeletion"),
            "PendingReplicaDeletion" if self.origin == Origin::Shared => on_key("ScheduleKeyDeletion"),
            "PendingImport" => on_key("DeleteImportedKeyMaterial"),
            _ => self.put(state),
        }
    }

    fn put(&self, state: &str) {
        assert!(BY_HAND.contains(&state) || (self.origin, state) == (Origin::Shared, "PendingDeletion"));
        put(&self.world, &self.key, state);
    }

    /// A request of each operation about the key.
    pub(crate) fn requests(&self) -> Vec<(&'static str, Value)> {
        let (id, other, blob, plaintext) = (&self.key.id, &self.other.id, &self.blob, base64(b"x"));
        let on_key = json!({"KeyId": id});
        let wrapping =
            json!({"KeyId": id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
        let import = self.parameters.as_ref().map_or_else(
            || {
                json!({"KeyId": id, "ImportToken": plaintext, "EncryptedKeyMaterial": plaintext,
                "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
            },
            |parameters| parameters.request(&self.key, &[1; 32], json!({})),
        );
        let to = json!({"CiphertextBlob": self.others_blob, "DestinationKeyId": id});
        let mut requests = vec![
            ("Encrypt", json!({"KeyId": id, "Plaintext": plaintext})),
            ("Encrypt (dry run)", json!({"KeyId": id, "Plaintext": plaintext, "DryRun": true})),
            ("Decrypt", json!({"CiphertextBlob": blob})),
            ("Decrypt (dry run)", json!({"CiphertextBlob": blob, "DryRun": true})),
            ("GenerateDataKey", json!({"KeyId": id, "NumberOfBytes": 8})),
            ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": id, "NumberOfBytes": 8})),
            ("GenerateDataKeyPair", json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"})),
            ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"})),
            ("Sign", json!({"KeyId": id, "Message": plaintext, "SigningAlgorithm": "ECDSA_SHA_256"})),
            (
                "Verify",
                json!({"KeyId": id, "Message": plaintext, "SigningAlgorithm": "ECDSA_SHA_256",
                    "Signature": plaintext}),
            ),
            ("GenerateMac", json!({"KeyId": id, "Message": plaintext, "MacAlgorithm": "HMAC_SHA_256"})),
            (
                "VerifyMac",
                json!({"KeyId": id, "Message": plaintext, "MacAlgorithm": "HMAC_SHA_256", "Mac": plaintext}),
            ),
            (
                "DeriveSharedSecret",
                json!({"KeyId": id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": plaintext}),
            ),
            ("Encapsulate", json!({"KeyId": id, "EncapsulationAlgorithm": "ML_KEM"})),
            (
                "Decapsulate",
                json!({"KeyId": id, "EncapsulationAlgorithm": "ML_KEM",
                    "SharedSecretCiphertextBlob": base64(&[7; 768])}),
            ),
            ("ReEncrypt (from)", json!({"CiphertextBlob": blob, "DestinationKeyId": other})),
            ("ReEncrypt (to)", to),
            ("CreateAlias", json!({"AliasName": "alias/new", "TargetKeyId": id})),
            ("UpdateAlias (from)", json!({"AliasName": "alias/old", "TargetKeyId": other})),
            ("UpdateAlias (to)", json!({"AliasName": "alias/other", "TargetKeyId": id})),
            ("DeleteAlias", json!({"AliasName": "alias/old"})),
            ("PutKeyPolicy", json!({"KeyId": id, "Policy": policy(open_to(ALICE.account))})),
            ("TagResource", json!({"KeyId": id, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
            ("UntagResource", json!({"KeyId": id, "TagKeys": ["a"]})),
            ("UpdateKeyDescription", json!({"KeyId": id, "Description": "d"})),
            ("GetParametersForImport", wrapping),
            ("ImportKeyMaterial", import),
            ("CreateGrant", json!({"KeyId": id, "GranteePrincipal": ROOT, "Operations": ["Encrypt"]})),
            ("RetireGrant", json!({"KeyId": id, "GrantId": self.grant_id})),
            ("RevokeGrant", json!({"KeyId": id, "GrantId": self.grant_id})),
            ("ReplicateKey", json!({"KeyId": id, "ReplicaRegion": "ap-south-1"})),
            ("UpdatePrimaryRegion", json!({"KeyId": id, "PrimaryRegion": "eu-west-1"})),
        ];
        // The rest need no more than the key.
        let listed: BTreeSet<&str> = requests.iter().map(|(label, _)| operation_of(label)).collect();
        let rest = ops::ALL.iter().map(|entry| entry.name);
        let rest: Vec<_> = rest.filter(|name| !listed.contains(name) && !KEYLESS.contains(name)).collect();
        requests.extend(rest.into_iter().map(|name| (name, on_key.clone())));
        requests
    }
}

/// Puts a state into the record: it is a text of its own there, with its length in front (RFC 8949).
fn put(world: &World, key: &Key, state: &str) {
    put_in(world, REGION, key, state);
}

/// The same for a key in a Region.
pub(crate) fn put_in(world: &World, region: &str, key: &Key, state: &str) {
    let name = format!("key/{}/{region}/{}", ALICE.account, key.id).into_bytes();
    let record = world.content().into_iter().find(|record| record.name == name).unwrap();
    let text = |text: &str| [&[0x60 + u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let (from, to) = (text("Enabled"), text(state));
    let place = record.value.windows(from.len()).position(|part| part == from).unwrap();
    let (before, after) = (&record.value[..place], &record.value[place + from.len()..]);
    let writes = vec![Write::Put { name, value: [before, &to, after].concat() }];
    block_on(world.store.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
}

pub(crate) fn operation_of(label: &str) -> &str {
    label.split_once(' ').map_or(label, |(name, _)| name)
}

/// What a world of its own answers to one operation on a key in a state.
fn cell(stage: &Stage, state: &str, number: usize) -> (&'static str, String) {
    let stage = stage.again();
    let (label, request) = stage.requests().swap_remove(number);
    stage.bring_to(state);
    let answer = stage.world.send(&Ask::new(ALICE, operation_of(label), request));
    (label, said(&stage.world, &answer))
}

/// An answer's error in a word, and what it says.
pub(crate) fn said(world: &World, answer: &Answer) -> String {
    let message = serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["message"].take();
    let said = message.as_str().map_or_else(String::new, |text| format!(": {}", world.normalize(text)));
    format!("{}{said}", answer.code.unwrap_or("ok"))
}

fn table(origin: Origin) -> String {
    let (stage, mut table) = (Stage::set(origin), String::new());
    let states: Vec<&str> = KeyState::ALL.iter().map(|state| state.as_str()).collect();
    let possible = |state: &&&str| origin == Origin::Imported || **state != "PendingImport";
    for number in 0..stage.requests().len() {
        for state in states.iter().filter(possible) {
            let (label, answer) = cell(&stage, state, number);
            if *state == states[0] {
                table.push_str(&format!("{label}\n"));
            }
            table.push_str(&format!("    {state:<23}{answer}\n"));
        }
    }
    table
}

#[test]
fn every_state_of_a_key_allows_what_awss_table_says() {
    expect_file!["golden/states.txt"].assert_eq(&table(Origin::Made));
}

#[test]
fn every_state_of_an_imported_key_allows_what_awss_table_says() {
    expect_file!["golden/states_imported.txt"].assert_eq(&table(Origin::Imported));
}

#[test]
fn every_state_of_a_multi_region_key_allows_what_awss_table_says() {
    expect_file!["golden/states_multi_region.txt"].assert_eq(&table(Origin::Shared));
}

/// Keys of other kinds, each with requests that fit it.
pub(crate) fn kinds(world: &World) -> Vec<(Key, Vec<(&'static str, Value)>)> {
    let rsa = make(world, "RSA_2048", "ENCRYPT_DECRYPT");
    let encrypt =
        json!({"KeyId": rsa.id, "Plaintext": base64(b"x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let blob = world.succeed(ALICE, "Encrypt", encrypt.clone())["CiphertextBlob"].take();
    let decrypt =
        json!({"KeyId": rsa.id, "CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let mut kinds = vec![(rsa, vec![("Encrypt", encrypt), ("Decrypt", decrypt)])];
    for (spec, usage, operations) in [
        ("ECC_NIST_P256", "SIGN_VERIFY", &["Sign", "Verify", "GetPublicKey"][..]),
        ("HMAC_256", "GENERATE_VERIFY_MAC", &["GenerateMac", "VerifyMac"]),
        ("ECC_NIST_P256", "KEY_AGREEMENT", &["DeriveSharedSecret"]),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", &["Encapsulate", "Decapsulate"]),
    ] {
        let key = make(world, spec, usage);
        let mut requests = uses(&key.id);
        requests.retain(|(operation, _)| operations.contains(operation));
        if let [("DeriveSharedSecret", request)] = &mut *requests {
            request["PublicKey"] = json!(base64(&public_key(world, spec, &key)));
        }
        kinds.push((key, requests));
    }
    kinds
}

#[test]
fn every_state_of_a_key_of_another_kind_allows_what_awss_table_says() {
    let (world, mut table) = (World::new(), String::new());
    for (key, requests) in kinds(&world) {
        for (operation, request) in requests {
            table.push_str(&format!("{operation}\n"));
            for state in KeyState::ALL.iter().filter(|state| **state != KeyState::PendingImport) {
                let world = world.copy();
                put(&world, &key, state.as_str());
                let answer = world.send(&Ask::new(ALICE, operation, request.clone()));
                table.push_str(&format!("    {:<23}{}\n", state.as_str(), said(&world, &answer)));
            }
        }
    }
    expect_file!["golden/states_of_kinds.txt"].assert_eq(&table);
}

/// Before its first import a key of any kind is of no use, and has no public key to show; once it is imported, its public
/// key outlives its material.
#[test]
fn a_key_that_waits_for_its_first_import_shows_no_public_key() {
    let world = World::new();
    for (spec, usage) in [("ECC_NIST_P256", "SIGN_VERIFY"), ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")] {
        let key = world.key_with(ALICE, json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"}));
        let answer = world.send(&Ask::new(ALICE, "GetPublicKey", json!({"KeyId": key.id})));
        let says = format!("{} is pending import", key.arn);
        assert_eq!(answer.code, Some("KMSInvalidStateException"), "{spec}");
        assert!(answer.body.contains(&says), "{}", answer.body);
    }
    let key = world.key_with(
        ALICE,
        json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"}),
    );
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    import(&world, &key, pair.to_pkcs8v1().unwrap().as_ref(), json!({}));
    let shown = public_key(&world, "ECC_NIST_P256", &key);
    let theirs: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    assert_eq!(shown, theirs.as_ref());
    world.succeed(ALICE, "DeleteImportedKeyMaterial", json!({"KeyId": key.id}));
    assert_eq!(world.describe(&key)["KeyState"], "PendingImport");
    assert_eq!(public_key(&world, "ECC_NIST_P256", &key), shown);
}

/// No operation and no state is left out of the tables.
#[test]
fn the_tables_are_whole() {
    let stage = Stage::set(Origin::Made);
    let called: BTreeSet<&str> =
        stage.requests().iter().map(|(label, _)| operation_of(label)).chain(KEYLESS).collect();
    assert_eq!(called, ops::ALL.iter().map(|entry| entry.name).collect());
    for state in KeyState::ALL {
        let imported = *state == KeyState::PendingImport;
        let stage = Stage::set(if imported { Origin::Imported } else { Origin::Made });
        stage.bring_to(state.as_str());
        assert_eq!(stage.world.describe(&stage.key)["KeyState"], state.as_str());
    }
}
