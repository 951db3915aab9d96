//! Attacks D3, D4 and D8 on ciphertext blobs, and their sizes.

use proptest::prelude::*;

use super::*;
use crate::random::SystemEntropy;
use crate::token;

fn key(byte: u8) -> (Key, MaterialId) {
    let mut key = Key::blank();
    key.bytes_mut().fill(byte);
    let id = token::material_id(&key, "k");
    (key, id)
}

fn encrypt(plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, Refusal> {
    let entropy = Entropy::new(Box::new(SystemEntropy::default())).unwrap();
    let (key, id) = key(1);
    let mut scratch = Scratch::new();
    scratch.show(plaintext);
    seal(&key, id, context, &entropy, &mut scratch)?;
    Ok(scratch.sealed.clone())
}

fn decrypt(blob: &[u8], context: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (key, id) = key(1);
    let mut scratch = Scratch::new();
    let opened = open(&key, id, context, blob, &mut scratch);
    assert!(opened.is_ok() || scratch.clear.is_empty());
    opened.map(|()| scratch.clear.clone())
}

/// The sizes of AWS KMS: 184 bytes for a 32-byte plaintext, and the largest plaintext within the largest blob.
#[test]
fn sizes() {
    for (plaintext_len, blob_len) in [(1, 153), (16, 168), (32, 184), (64, 220), (4096, 4258)] {
        let blob = encrypt(&vec![7; plaintext_len], &[]).unwrap();
        assert_eq!(blob.len(), blob_len, "{plaintext_len}");
        assert!(blob.len() <= blob::MAX_BLOB_LEN);
        assert_eq!(decrypt(&blob, &[]).unwrap(), vec![7; plaintext_len]);
    }
    assert_eq!(encrypt(&[], &[]), Err(Refusal::Length));
    assert_eq!(encrypt(&[7; 4097], &[]), Err(Refusal::Length));
    assert_eq!(encrypt(&[7; 60_000], &[]), Err(Refusal::Length));
}

#[test]
fn every_bit_is_authenticated() {
    let blob = encrypt(&[0x41; 32], b"context").unwrap();
    for bit in 0..blob.len() * 8 {
        let mut flipped = blob.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decrypt(&flipped, b"context"), Err(Refusal::Ciphertext), "bit {bit}");
    }
    for length in 0..blob.len() {
        assert_eq!(decrypt(&blob[..length], b"context"), Err(Refusal::Ciphertext), "{length} bytes");
    }
    assert_eq!(decrypt(&[blob, vec![0]].concat(), b"context"), Err(Refusal::Ciphertext));
}

#[test]
fn the_context_must_be_the_same() {
    let blob = encrypt(b"secret", b"context").unwrap();
    for context in [&b"Context"[..], b"", b"contex", b"context\0"] {
        assert_eq!(decrypt(&blob, context), Err(Refusal::Ciphertext));
    }
}

#[test]
fn a_blob_opens_only_with_the_key_its_header_names() {
    let blob = encrypt(b"secret", &[]).unwrap();
    let ((_, id), (other, other_id)) = (key(1), key(2));
    let mut scratch = Scratch::new();
    for named in [id, other_id] {
        assert_eq!(open(&other, named, &[], &blob, &mut scratch), Err(Refusal::Ciphertext));
    }
    let mut renamed = blob.clone();
    renamed[5..37].copy_from_slice(&other_id.0);
    assert_eq!(open(&other, other_id, &[], &renamed, &mut scratch), Err(Refusal::Ciphertext));
}

/// A frame whose fields do not fit together is refused although its tag is right.
#[test]
fn the_inner_frame_is_checked() {
    let (key, id) = key(1);
    let frames: [(&[u8], bool); 7] = [
        (&[1, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 8, 8], true),
        (&[2, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 8, 8], false),
        (&[1, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 8, 8], false),
        (&[1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 8], false),
        (&[1, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 8, 8], false),
        (&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
        (&[1, 1, 0, 0], false),
    ];
    for (frame, whole) in frames {
        let (nonce, iv) = ([3; 16], [4; 12]);
        let derived = primitives::derive(key.bytes(), MESSAGE_LABEL, &nonce).unwrap();
        let mut blob = vec![0; blob::HEADER_LEN];
        let der_len = envelope::write(&iv, frame.len(), &mut blob).unwrap();
        blob[..blob::HEADER_LEN].copy_from_slice(&blob::header(id, &nonce, der_len));
        let mut content = frame.to_vec();
        let tag = primitives::encrypt(&derived, &iv, &blob[..blob::HEADER_LEN], &mut content).unwrap();
        let blob = [blob, content, tag.to_vec()].concat();
        let expected = if whole { Ok(vec![8, 8]) } else { Err(Refusal::Ciphertext) };
        assert_eq!(decrypt(&blob, &[]), expected, "{frame:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens(
        plaintext in proptest::collection::vec(any::<u8>(), 1..4097),
        context in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let blob = encrypt(&plaintext, &context).unwrap();
        prop_assert_eq!(decrypt(&blob, &context).unwrap(), plaintext);
    }

    #[test]
    fn no_input_panics(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decrypt(&tail, &[]), Err(Refusal::Ciphertext));
        let header = blob::header(key(1).1, &[0; 16], u32::try_from(tail.len()).unwrap());
        prop_assert_eq!(decrypt(&[&header[..], &tail].concat(), &[]), Err(Refusal::Ciphertext));
    }
}
