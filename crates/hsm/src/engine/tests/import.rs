//! Imported key material: what is taken, and what each refusal tells.

use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use claviger_hsm_proto::ImportTerms;
use pkcs8::DecodePublicKey;

use super::operations::{KINDS, look};
use super::*;
use crate::algorithms::{self, Kind};

const OAEP: ImportTerms<'static> =
    ImportTerms { wrapping_key: "RSA_2048", algorithm: "RSAES_OAEP_SHA_256", valid_to_ms: 1_790_000_000_000 };
pub(super) const WITH_AES: ImportTerms<'static> =
    ImportTerms { algorithm: "RSA_AES_KEY_WRAP_SHA_256", ..OAEP };
const SM2: ImportTerms<'static> = ImportTerms { wrapping_key: "SM2", algorithm: "SM2PKE", ..OAEP };
const AES_KEY: [u8; 32] = [0x42; 32];

/// The wrapping key and the import token of one import.
pub(super) struct Parameters {
    pub(super) public: Vec<u8>,
    pub(super) token: Vec<u8>,
}

pub(super) fn parameters(engine: &Engine, binding: Binding<'_>, terms: ImportTerms<'_>) -> Parameters {
    match ask(engine, &Command::ImportParameters { binding, terms }) {
        Got::Pair(token, Some(public)) => Parameters { public, token },
        other => panic!("{other:?}"),
    }
}

/// RSAES-OAEP, as a caller does it.
pub(super) fn oaep(public: &[u8], algorithm: &str, clear: &[u8]) -> Vec<u8> {
    let hash = if algorithm.ends_with("SHA_1") { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 };
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut out = vec![0; key.ciphertext_size()];
    key.encrypt(hash, clear, &mut out, None).unwrap();
    out
}

/// AES-KWP, as a caller does it.
fn kwp(clear: &[u8]) -> Vec<u8> {
    let mut out = vec![0; clear.len() + 15];
    let kek = AesKek::new(&AES_256, &AES_KEY).unwrap();
    let length = kek.wrap_with_padding(clear, &mut out).unwrap().len();
    out.truncate(length);
    out
}

/// SM2 encryption, as a caller does it.
fn sm2pke(public: &[u8], clear: &[u8]) -> Vec<u8> {
    let entropy = Entropy::new(Box::new(SystemEntropy::default())).unwrap();
    let key = sm2::PublicKey::from_public_key_der(public).unwrap();
    sm2::pke::EncryptingKey::new(key).encrypt_der(&mut entropy.generator(), clear).unwrap()
}

fn wrap(public: &[u8], algorithm: &str, clear: &[u8]) -> Vec<u8> {
    if algorithm == "SM2PKE" {
        return sm2pke(public, clear);
    }
    if algorithm.starts_with("RSA_AES") {
        [oaep(public, algorithm, &AES_KEY), kwp(clear)].concat()
    } else {
        oaep(public, algorithm, clear)
    }
}

fn import(
    engine: &Engine,
    binding: Binding<'_>,
    terms: ImportTerms<'_>,
    token: &[u8],
    material: &[u8],
) -> Got {
    ask(engine, &Command::ImportKey { binding, terms, token, material })
}

#[test]
fn imported_material_is_the_keys_under_all_terms() {
    let engine = start(&sealed());
    let material = [0x5c; 32];
    let expected = token::material_id(&Key::of(material), A.key_id);
    for (wrapping_key, algorithm, bits) in [
        ("RSA_2048", "RSAES_OAEP_SHA_1", 2048),
        ("RSA_2048", "RSAES_OAEP_SHA_256", 2048),
        ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_1", 2048),
        ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_256", 2048),
        ("RSA_3072", "RSA_AES_KEY_WRAP_SHA_256", 3072),
        ("RSA_4096", "RSAES_OAEP_SHA_1", 4096),
        ("SM2", "SM2PKE", 0),
    ] {
        let terms = ImportTerms { wrapping_key, algorithm, ..OAEP };
        let Parameters { public, token } = parameters(&engine, A, terms);
        assert!(token.len() <= 3_000, "{} bytes", token.len());
        assert_eq!(PublicEncryptingKey::from_der(&public).map_or(0, |key| key.key_size_bits()), bits);
        let wrapped = wrap(&public, algorithm, &material);
        // A token may be used again within its time, also under a newer domain key.
        for _ in 0..2 {
            let Got::Key(id, key) = import(&engine, A, terms, &token, &wrapped) else {
                panic!("{terms:?} was refused")
            };
            assert_eq!(id, expected);
            let key = WrappedKey { binding: A, material: id, token: &key };
            let blob = bytes(encrypt(&engine, key));
            assert_eq!(decrypt(&engine, key, &blob), Got::Bytes(b"plaintext".to_vec()));
            let Got::Generation(newest) = ask(&engine, &Command::RotateDomainKey { newest: 0 }) else {
                panic!("{terms:?}")
            };
            let rotated = ask(&engine, &Command::RotateDomainKey { newest });
            assert_eq!(rotated, Got::Generation(newest + 1));
        }
    }
    let Parameters { public, token } = parameters(&engine, B, OAEP);
    let wrapped = wrap(&public, OAEP.algorithm, &material);
    let Got::Key(other, _) = import(&engine, B, OAEP, &token, &wrapped) else { panic!("refused") };
    assert_ne!(other, expected, "the same material has another id in another key");
}

/// Keys of every kind: the material that is kept and its id are those of a key that was made here.
#[test]
fn material_of_every_kind_is_imported() {
    let engine = start(&sealed());
    for (spec, usage) in KINDS.iter().filter(|(spec, _)| !spec.starts_with("ML_DSA_")) {
        let (binding, kind) = (Binding { spec, usage, ..A }, Kind::parse(spec, usage).unwrap());
        let made = algorithms::generate_pair(kind.spec, &engine.entropy).unwrap();
        let stored = algorithms::import(spec, usage, &made.private).unwrap().private;
        let id = token::stored_id(kind.spec, &stored, A.key_id).unwrap();
        let is_rsa = spec.starts_with("RSA_");
        for terms in [OAEP, WITH_AES, SM2] {
            let fits = terms != OAEP || !is_rsa && *spec != "ECC_NIST_P521";
            if !fits {
                let command = Command::ImportParameters { binding, terms };
                assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Usage), "{spec} {terms:?}");
                continue;
            }
            let Parameters { public, token } = parameters(&engine, binding, terms);
            let wrapped = wrap(&public, terms.algorithm, &made.private);
            let command = Command::ImportKey { binding, terms, token: &token, material: &wrapped };
            let token = look(&engine, &command, |reply| match reply {
                Reply::KeyWrapped { material, token, public } => {
                    assert_eq!((material, public), (id, made.public.as_deref()), "{spec} {usage}");
                    token.to_vec()
                }
                other => panic!("{spec} {usage}: {other:?}"),
            });
            let key = WrappedKey { binding, material: id, token: &token };
            assert!(matches!(ask(&engine, &Command::Rewrap { key }), Got::Key(same, _) if same == id));
        }
    }
}

/// Material that unwraps and is sound, but is another kind of key's.
#[test]
fn material_of_another_kind_is_refused() {
    let engine = start(&sealed());
    let check = |spec: &'static str, usage: &'static str, material: &[u8], what: &str| {
        let binding = Binding { spec, usage, ..A };
        let Parameters { public, token } = parameters(&engine, binding, WITH_AES);
        let wrapped = wrap(&public, WITH_AES.algorithm, material);
        let answer = import(&engine, binding, WITH_AES, &token, &wrapped);
        assert_eq!(answer, Got::Refused(Refusal::Material), "{what} for {spec}");
    };
    let key = |spec, usage| {
        let kind = Kind::parse(spec, usage).unwrap();
        algorithms::generate_pair(kind.spec, &engine.entropy).unwrap().private
    };
    let (p256, rsa_2048) = (key("ECC_NIST_P256", "SIGN_VERIFY"), key("RSA_2048", "SIGN_VERIFY"));
    check("ECC_NIST_P384", "SIGN_VERIFY", &p256, "another curve");
    check("ECC_SECG_P256K1", "SIGN_VERIFY", &p256, "another curve");
    check("RSA_3072", "SIGN_VERIFY", &rsa_2048, "a shorter modulus");
    check("RSA_2048", "SIGN_VERIFY", &p256, "another algorithm");
    check("RSA_2048", "SIGN_VERIFY", &rsa_2048[..rsa_2048.len() - 1], "a cut key");
    check("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", &p256, "a private key");
    check("HMAC_256", "GENERATE_VERIFY_MAC", &[7; 31], "too short a key");
    check("HMAC_256", "GENERATE_VERIFY_MAC", &[7; 129], "too long a key");
}

#[test]
fn wrapping_keys_are_new_each_time() {
    let engine = start(&sealed());
    assert_ne!(parameters(&engine, A, OAEP).public, parameters(&engine, A, OAEP).public);
}

#[test]
fn terms_outside_the_api_are_refused() {
    let engine = start(&sealed());
    for (wrapping_key, algorithm) in [
        ("RSA_2048", "RSAES_PKCS1_V1_5"),
        ("RSA_2048", "SM2PKE"),
        ("SM2", "RSAES_OAEP_SHA_256"),
        ("RSA_1024", "RSAES_OAEP_SHA_256"),
        ("RSA_8192", "RSAES_OAEP_SHA_256"),
        ("", "RSAES_OAEP_SHA_256"),
        ("RSA_2048", ""),
        ("RSA_2048", "rsaes_oaep_sha_256"),
    ] {
        let terms = ImportTerms { wrapping_key, algorithm, ..OAEP };
        let command = Command::ImportParameters { binding: A, terms };
        assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Usage), "{terms:?}");
        assert_eq!(import(&engine, A, terms, b"token", b"material"), Got::Refused(Refusal::Usage));
    }
}

/// Attack D5 on an import: the token serves the key and the terms it was made for.
#[test]
fn an_import_token_opens_only_for_its_key_and_terms() {
    let engine = start(&sealed());
    let Parameters { public, token } = parameters(&engine, A, OAEP);
    let wrapped = wrap(&public, OAEP.algorithm, &[7; 32]);
    let check = |binding: Binding<'_>, terms: ImportTerms<'_>| {
        let answer = import(&engine, binding, terms, &token, &wrapped);
        assert_eq!(answer, Got::Refused(Refusal::ImportToken), "{binding:?} {terms:?}");
    };
    check(B, OAEP);
    check(Binding { account: "444455556666", ..A }, OAEP);
    check(Binding { region: "us-east-2", ..A }, OAEP);
    check(Binding { spec: "HMAC_256", usage: "GENERATE_VERIFY_MAC", ..A }, OAEP);
    check(Binding { spec: "ECC_NIST_P256", usage: "SIGN_VERIFY", ..A }, OAEP);
    check(A, ImportTerms { algorithm: "RSAES_OAEP_SHA_1", ..OAEP });
    check(A, WITH_AES);
    check(A, SM2);
    check(A, ImportTerms { wrapping_key: "RSA_3072", ..OAEP });
    for valid_to_ms in [OAEP.valid_to_ms - 1, OAEP.valid_to_ms + 1, 0, i64::MAX, -OAEP.valid_to_ms] {
        check(A, ImportTerms { valid_to_ms, ..OAEP });
    }
    assert!(matches!(import(&engine, A, OAEP, &token, &wrapped), Got::Key(..)));
    let answer = import(&start(&sealed()), A, OAEP, &token, &wrapped);
    assert_eq!(answer, Got::Refused(Refusal::ImportToken), "another domain");

    // Of two usages of one spec, too.
    let signs = Binding { spec: "ECC_NIST_P256", usage: "SIGN_VERIFY", ..A };
    let Parameters { public, token } = parameters(&engine, signs, OAEP);
    let wrapped = wrap(&public, OAEP.algorithm, &[7; 32]);
    let agrees = Binding { usage: "KEY_AGREEMENT", ..signs };
    let answer = import(&engine, agrees, OAEP, &token, &wrapped);
    assert_eq!(answer, Got::Refused(Refusal::ImportToken), "another usage");
    assert_eq!(import(&engine, signs, OAEP, &token, &wrapped), Got::Refused(Refusal::Material));
}

#[test]
fn every_bit_of_an_import_token_counts() {
    let engine = start(&sealed());
    let Parameters { public, token } = parameters(&engine, A, OAEP);
    let wrapped = wrap(&public, OAEP.algorithm, &[7; 32]);
    let check = |token: &[u8], what: &str| {
        let answer = import(&engine, A, OAEP, token, &wrapped);
        assert_eq!(answer, Got::Refused(Refusal::ImportToken), "{what}");
    };
    let bits = token.len() * 8;
    for bit in (0..8 * 60).chain((8 * 60..bits).step_by(13)).chain(bits - 8 * 20..bits) {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped, &format!("bit {bit}"));
    }
    for length in (0..100).chain((100..token.len()).step_by(29)).chain([token.len() - 1]) {
        check(&token[..length], &format!("{length} bytes"));
    }
    check(&[&token[..], &[0]].concat(), "one byte more");
    check(&[&token[..], &vec![0; 50_000]].concat(), "much more");
}

/// Each kind of token serves its own purpose.
#[test]
fn tokens_of_other_purposes_are_no_import_tokens() {
    let engine = start(&sealed());
    let Parameters { public, token } = parameters(&engine, A, OAEP);
    let (material, key) = create(&engine, A);
    let wrapped = wrap(&public, OAEP.algorithm, &[7; 32]);
    assert_eq!(import(&engine, A, OAEP, &key, &wrapped), Got::Refused(Refusal::ImportToken));
    let key = WrappedKey { binding: A, material, token: &token };
    assert_eq!(encrypt(&engine, key), Got::Refused(Refusal::Token));
}

/// What does not unwrap: always the same refusal, whichever part is wrong (Bleichenbacher, Manger).
#[test]
fn material_that_does_not_unwrap_is_refused_alike() {
    let engine = start(&sealed());
    for terms in [OAEP, WITH_AES] {
        let Parameters { public, token } = parameters(&engine, A, terms);
        let wrapped = wrap(&public, terms.algorithm, &[7; 32]);
        let check = |wrapped: &[u8], what: &str| {
            let answer = import(&engine, A, terms, &token, wrapped);
            assert_eq!(answer, Got::Refused(Refusal::Ciphertext), "{} {what}", terms.algorithm);
        };
        let (bits, modulus_bits) = (wrapped.len() * 8, 256 * 8);
        for bit in
            (0..modulus_bits).step_by(61).chain(modulus_bits - 3..modulus_bits).chain(modulus_bits..bits)
        {
            let mut flipped = wrapped.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped, &format!("bit {bit}"));
        }
        for length in [1, 15, 128, 255, 256, 264, 272, 280, 295] {
            if let Some(short) = wrapped.get(..length).filter(|short| short.len() < wrapped.len()) {
                check(short, &format!("{length} bytes"));
            }
        }
        for more in [1, 8, 5000] {
            check(&[&wrapped[..], &vec![0; more]].concat(), &format!("{more} bytes more"));
        }
        check(&[&[0xff; 256], &wrapped[256..]].concat(), "a number above the modulus");
        check(&[&[0; 256], &wrapped[256..]].concat(), "zero");
        check(&wrap(&public, "RSAES_OAEP_SHA_1", &[7; 32]), "another hash");
        check(&wrap(&parameters(&engine, A, terms).public, terms.algorithm, &[7; 32]), "another key");
        for length in [0, 6145, 30_000] {
            let answer = import(&engine, A, terms, &token, &vec![7; length]);
            assert_eq!(answer, Got::Refused(Refusal::Length), "{length} bytes");
        }
    }
}

/// The same for SM2: every bit, every length, and points that are not on the curve or of another key.
#[test]
fn material_that_sm2_does_not_open_is_refused_alike() {
    let engine = start(&sealed());
    let Parameters { public, token } = parameters(&engine, A, SM2);
    let wrapped = sm2pke(&public, &[7; 32]);
    let check = |wrapped: &[u8], what: &str| {
        let answer = import(&engine, A, SM2, &token, wrapped);
        assert_eq!(answer, Got::Refused(Refusal::Ciphertext), "{what}");
    };
    for bit in 0..wrapped.len() * 8 {
        let mut flipped = wrapped.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped, &format!("bit {bit}"));
    }
    for length in 1..wrapped.len() {
        check(&wrapped[..length], &format!("{length} bytes"));
    }
    check(&[&wrapped[..], &[0]].concat(), "a byte more");
    check(&sm2pke(&parameters(&engine, A, SM2).public, &[7; 32]), "another key");
    for length in [0, 6145] {
        let answer = import(&engine, A, SM2, &token, &vec![7; length]);
        assert_eq!(answer, Got::Refused(Refusal::Length), "{length} bytes");
    }
    assert!(matches!(import(&engine, A, SM2, &token, &wrapped), Got::Key(..)));
}

/// Only an AES key of 256 bits unwraps material, also where the AES-KWP under another key is right.
#[test]
fn aes_keys_of_other_lengths_unwrap_nothing() {
    let engine = start(&sealed());
    let Parameters { public, token } = parameters(&engine, A, WITH_AES);
    let mut under_128_bits = vec![0; 47];
    let kek = AesKek::new(&AES_128, &AES_KEY[..16]).unwrap();
    let length = kek.wrap_with_padding(&[7; 32], &mut under_128_bits).unwrap().len();
    under_128_bits.truncate(length);
    for (aes_key, material) in
        [(&AES_KEY[..16], &under_128_bits), (&AES_KEY[..31], &kwp(&[7; 32])), (&[0x42; 33], &kwp(&[7; 32]))]
    {
        let wrapped = [&oaep(&public, WITH_AES.algorithm, aes_key)[..], material].concat();
        let answer = import(&engine, A, WITH_AES, &token, &wrapped);
        assert_eq!(answer, Got::Refused(Refusal::Ciphertext), "{} bytes", aes_key.len());
    }
}

/// A failed OAEP leaves neither the material nor what the random key made of it, and no buffer has moved.
#[test]
fn nothing_stays_in_the_clear_after_a_refusal() {
    let engine = start(&sealed());
    for terms in [OAEP, WITH_AES, SM2] {
        let Parameters { public, token } = parameters(&engine, A, terms);
        let whole = wrap(&public, terms.algorithm, &[7; 32]);
        for flipped in [0, 100, whole.len() - 1] {
            let mut wrapped = whole.clone();
            wrapped[flipped] ^= 1;
            let mut scratch = Scratch::new();
            let place = scratch.clear.as_ptr();
            let command = Command::ImportKey { binding: A, terms, token: &token, material: &wrapped };
            let answer = engine.answer(&mut scratch, NOW, &command).map(|_| ());
            assert_eq!(answer, Err(Refusal::Ciphertext));
            assert!(scratch.clear.is_empty() && scratch.sealed.is_empty());
            assert_eq!((scratch.clear.as_ptr(), scratch.clear.capacity()), (place, 6144));
        }
    }
}

#[test]
fn material_of_another_length_is_no_material_of_the_key() {
    let engine = start(&sealed());
    for terms in [OAEP, WITH_AES, SM2] {
        let Parameters { public, token } = parameters(&engine, A, terms);
        for length in [1, 16, 31, 33, 64, 128] {
            let wrapped = wrap(&public, terms.algorithm, &vec![7; length]);
            let answer = import(&engine, A, terms, &token, &wrapped);
            assert_eq!(answer, Got::Refused(Refusal::Material), "{length} bytes");
        }
    }
    let Parameters { public, token } = parameters(&engine, A, OAEP);
    let wrapped = wrap(&public, OAEP.algorithm, &[]);
    assert_eq!(import(&engine, A, OAEP, &token, &wrapped), Got::Refused(Refusal::Material));
}

/// Attack D7.
#[test]
fn no_randomness_no_import() {
    let good = Arc::new(AtomicUsize::new(100));
    let random = Box::new(Breaking { good: Arc::clone(&good), then: None });
    let engine = Engine::start(Box::new(sealed()), random, 16).unwrap();
    for terms in [OAEP, WITH_AES] {
        good.store(100, std::sync::atomic::Ordering::Relaxed);
        let Parameters { public, token } = parameters(&engine, A, terms);
        let wrapped = wrap(&public, terms.algorithm, &[7; 32]);
        good.store(0, std::sync::atomic::Ordering::Relaxed);
        let command = Command::ImportParameters { binding: A, terms };
        assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Randomness));
        let answer = import(&engine, A, terms, &token, &wrapped);
        assert_eq!(answer, Got::Refused(Refusal::Randomness));
    }
}
