//! The secrets that only the HSM may know, read from seal and store by a second reading of their formats.
//!
//! Whoever has the seal's files has the domain: that is what a seal in files means. Nothing here asks the HSM.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use claviger_store::{Embedded, Read, Sealer, Store};
use minicbor::Decoder;

/// What was found.
pub(crate) struct Secrets {
    /// Key of generation 1, which wraps.
    pub(crate) domain_key: [u8; 32],
    /// Root of the host's own keys.
    pub(crate) host_root: [u8; 32],
    /// The KMS key's material.
    pub(crate) material: [u8; 32],
    /// The material as the store has it, wrapped.
    pub(crate) token: Vec<u8>,
}

struct Domain {
    id: [u8; 16],
    host_root: [u8; 32],
    key: [u8; 32],
}

/// Reads the seal, the store behind it and the one key in the store.
pub(crate) fn read(seal_dir: &Path, store: &Path, account: &str, region: &str, key_id: &str) -> Secrets {
    let domain = open_seal(&std::fs::read(seal_dir.join("seal-a")).unwrap());
    let records_key = derive(&domain.host_root, "claviger host records v1", &domain.id);
    let record = read_record(store, records_key, &format!("key/{account}/{region}/{key_id}"));
    let (id, token) = current_material(&record);
    let place = place(&domain.id, [account, region, key_id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"], &id);
    let material = unwrap(&domain.key, place, &token);
    // The id of a material is made from it: what was unwrapped is what the key is.
    let length = u32::try_from(key_id.len()).unwrap().to_be_bytes();
    let made = mac(&material, &[b"claviger material id v1\0", &length[..], key_id.as_bytes()].concat());
    assert_eq!(made, id, "this is not the key's material");
    Secrets { domain_key: domain.key, host_root: domain.host_root, material, token }
}

/// `CLVGSEAL`, format, counter, file key, IV, length; then the content and its tag; then a checksum.
fn open_seal(file: &[u8]) -> Domain {
    const HEAD: usize = 8 + 2 + 8 + 32 + 12 + 4;
    assert!(file.starts_with(b"CLVGSEAL\x00\x01"));
    let (head, sealed) = file.split_at(HEAD);
    let (file_key, iv) = (&head[18..50], &head[50..62]);
    let clear = decrypt(file_key, iv, head, &sealed[..sealed.len() - 32]);
    let mut content = Decoder::new(&clear);
    content.array().unwrap();
    let id = content.bytes().unwrap().try_into().unwrap();
    let host_root = content.bytes().unwrap().try_into().unwrap();
    assert_eq!(content.array().unwrap(), Some(1), "one generation");
    content.array().unwrap();
    assert_eq!(content.u32().unwrap(), 1);
    Domain { id, host_root, key: content.bytes().unwrap().try_into().unwrap() }
}

/// Reads a record from a copy of the store, which the host may have open.
fn read_record(store: &Path, key: [u8; 32], name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("store.redb");
    std::fs::copy(store, &copy).unwrap();
    let store = Embedded::open(&copy, Sealer::new(key).unwrap()).unwrap();
    let read = store.read(vec![Read::One(name.as_bytes().to_vec())]);
    let snapshot = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(read).unwrap();
    snapshot.found.into_iter().flatten().next().unwrap().value
}

/// Id and token of the first material of a key's record: a version, then an array whose thirteenth part they are in.
fn current_material(record: &[u8]) -> ([u8; 32], Vec<u8>) {
    let mut parts = Decoder::new(&record[1..]);
    parts.array().unwrap();
    (0..12).for_each(|_| parts.skip().unwrap());
    parts.array().unwrap();
    parts.array().unwrap();
    (parts.bytes().unwrap().try_into().unwrap(), parts.bytes().unwrap().to_vec())
}

/// The associated data of a wrapped key, without the generation.
fn place(domain: &[u8; 16], binding: [&str; 5], material: &[u8; 32]) -> Vec<u8> {
    let variable = |part: &[u8]| [&u32::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat();
    let binding: Vec<u8> = binding.iter().flat_map(|part| variable(part.as_bytes())).collect();
    [&variable(b"key")[..], &[1], domain, &binding, material].concat()
}

/// Version, generation, nonce, IV, then the secret and its tag.
fn unwrap(domain_key: &[u8; 32], place: Vec<u8>, token: &[u8]) -> [u8; 32] {
    assert_eq!(token[0], 1);
    let (generation, nonce, iv) = (&token[1..5], &token[5..21], &token[21..33]);
    let key = derive(domain_key, "claviger wrap v1", nonce);
    decrypt(&key, iv, &[&place, generation].concat(), &token[33..]).try_into().unwrap()
}

/// NIST SP 800-108, counter mode, HMAC-SHA-256: one block is all that 256 bits take.
fn derive(secret: &[u8; 32], label: &str, context: &[u8]) -> [u8; 32] {
    mac(secret, &[&1_u32.to_be_bytes(), label.as_bytes(), &[0], context, &256_u32.to_be_bytes()].concat())
}

fn mac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().try_into().unwrap()
}

fn decrypt(key: &[u8], iv: &[u8], associated: &[u8], sealed: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut clear = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(iv).unwrap();
    let length = key.open_in_place(nonce, Aad::from(associated), &mut clear).unwrap().len();
    clear.truncate(length);
    clear
}
