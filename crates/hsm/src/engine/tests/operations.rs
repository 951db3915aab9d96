//! Keys that are not symmetric, as a host sees them: attacks D5, D7, D17 and J14 again for each kind of key.

use claviger_hsm_proto::MessageKind::{self, Digest, ExternalMu, Raw};

use super::*;

/// Every spec and usage that is served.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    ("HMAC_224", "GENERATE_VERIFY_MAC"),
    ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ("HMAC_384", "GENERATE_VERIFY_MAC"),
    ("HMAC_512", "GENERATE_VERIFY_MAC"),
    ("RSA_2048", "ENCRYPT_DECRYPT"),
    ("RSA_2048", "SIGN_VERIFY"),
    ("RSA_3072", "ENCRYPT_DECRYPT"),
    ("RSA_3072", "SIGN_VERIFY"),
    ("RSA_4096", "ENCRYPT_DECRYPT"),
    ("RSA_4096", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "KEY_AGREEMENT"),
    ("ECC_NIST_P384", "SIGN_VERIFY"),
    ("ECC_NIST_P384", "KEY_AGREEMENT"),
    ("ECC_NIST_P521", "SIGN_VERIFY"),
    ("ECC_NIST_P521", "KEY_AGREEMENT"),
    ("ECC_SECG_P256K1", "SIGN_VERIFY"),
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    ("ML_DSA_44", "SIGN_VERIFY"),
    ("ML_DSA_65", "SIGN_VERIFY"),
    ("ML_DSA_87", "SIGN_VERIFY"),
    ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
    ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ("ML_KEM_1024", "ENCAPSULATE_DECAPSULATE"),
    ("SM2", "ENCRYPT_DECRYPT"),
    ("SM2", "SIGN_VERIFY"),
    ("SM2", "KEY_AGREEMENT"),
];

/// A key as a host keeps it.
pub(super) struct Kept {
    pub(super) binding: Binding<'static>,
    pub(super) material: MaterialId,
    pub(super) token: Vec<u8>,
    pub(super) public: Option<Vec<u8>>,
}

impl Kept {
    pub(super) fn wrapped(&self) -> WrappedKey<'_> {
        WrappedKey { binding: self.binding, material: self.material, token: &self.token }
    }
}

/// What is made of a reply, which is only there for a moment.
pub(super) fn look<R>(engine: &Engine, command: &Command<'_>, read: impl FnOnce(Reply<'_>) -> R) -> R {
    let mut scratch = Scratch::new();
    read(engine.answer(&mut scratch, NOW, command).unwrap_or_else(Reply::Refused))
}

pub(super) fn refusal(engine: &Engine, command: &Command<'_>) -> Option<Refusal> {
    look(engine, command, |reply| match reply {
        Reply::Refused(refusal) => Some(refusal),
        _ => None,
    })
}

pub(super) fn make(engine: &Engine, spec: &'static str, usage: &'static str) -> Kept {
    let binding = Binding { spec, usage, ..A };
    look(engine, &Command::CreateKey { binding }, |reply| match reply {
        Reply::KeyWrapped { material, token, public } => {
            Kept { binding, material, token: token.to_vec(), public: public.map(<[u8]>::to_vec) }
        }
        other => panic!("{spec} {usage}: {other:?}"),
    })
}

pub(super) fn sign(
    engine: &Engine,
    key: WrappedKey<'_>,
    algorithm: &str,
    kind: MessageKind,
    message: &[u8],
) -> Result<Vec<u8>, Refusal> {
    look(engine, &Command::Sign { key, algorithm, kind, message }, |reply| match reply {
        Reply::Signature { signature } => Ok(signature.to_vec()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    })
}

pub(super) fn verify(
    engine: &Engine,
    key: WrappedKey<'_>,
    algorithm: &str,
    (kind, message): (MessageKind, &[u8]),
    signature: &[u8],
) -> Result<bool, Refusal> {
    let command = Command::Verify { key, algorithm, kind, message, signature };
    look(engine, &command, |reply| match reply {
        Reply::Verified { valid } => Ok(valid),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    })
}

fn encrypt_with(
    engine: &Engine,
    key: WrappedKey<'_>,
    algorithm: &str,
    plaintext: &[u8],
) -> Result<Vec<u8>, Refusal> {
    look(engine, &Command::Encrypt { key, context: &[], plaintext, algorithm }, |reply| match reply {
        Reply::Ciphertext { blob } => Ok(blob.to_vec()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    })
}

pub(super) fn decrypt_with(
    engine: &Engine,
    key: WrappedKey<'_>,
    algorithm: &str,
    blob: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let command = Command::Decrypt { key, context: &[], blob, algorithm, recipient: None };
    look(engine, &command, |reply| match reply {
        Reply::Plaintext { plaintext } => Ok(plaintext.0.to_vec()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    })
}

pub(super) fn shared(engine: &Engine, command: &Command<'_>) -> Result<Vec<u8>, Refusal> {
    look(engine, command, |reply| match reply {
        Reply::SharedSecret { secret } => Ok(secret.0.to_vec()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    })
}

/// One command that uses the key for each usage.
fn uses<'c>(key: WrappedKey<'c>, usage: &str, public: &'c [u8]) -> Command<'c> {
    let (algorithm, kind) = match key.binding.spec {
        "SYMMETRIC_DEFAULT" => ("SYMMETRIC_DEFAULT", Raw),
        "SM2" if usage == "ENCRYPT_DECRYPT" => ("SM2PKE", Raw),
        "SM2" => ("SM2DSA", Raw),
        "HMAC_224" => ("HMAC_SHA_224", Raw),
        "HMAC_256" => ("HMAC_SHA_256", Raw),
        "HMAC_384" => ("HMAC_SHA_384", Raw),
        "HMAC_512" => ("HMAC_SHA_512", Raw),
        "ECC_NIST_P384" => ("ECDSA_SHA_384", Raw),
        "ECC_NIST_P521" => ("ECDSA_SHA_512", Raw),
        "ECC_NIST_EDWARDS25519" => ("ED25519_SHA_512", Raw),
        spec if spec.starts_with("RSA_") && usage == "ENCRYPT_DECRYPT" => ("RSAES_OAEP_SHA_256", Raw),
        spec if spec.starts_with("RSA_") => ("RSASSA_PSS_SHA_256", Raw),
        spec if spec.starts_with("ML_DSA_") => ("ML_DSA_SHAKE_256", Raw),
        _ => ("ECDSA_SHA_256", Raw),
    };
    match usage {
        "ENCRYPT_DECRYPT" => Command::Encrypt { key, context: &[], plaintext: b"p", algorithm },
        "SIGN_VERIFY" => Command::Sign { key, algorithm, kind, message: b"m" },
        "GENERATE_VERIFY_MAC" => Command::GenerateMac { key, algorithm, message: b"m" },
        "KEY_AGREEMENT" => Command::DeriveSharedSecret { key, peer: public, recipient: None },
        _ => Command::Encapsulate { key },
    }
}

/// Attacks D5 and D17 for every kind of key: it works where it was made and for what it was made, and nowhere else,
/// cached or not.
#[test]
fn every_kind_is_made_and_kept_to_its_place_spec_and_usage() {
    let seal = sealed();
    let engine = start(&seal);
    for (spec, usage) in KINDS {
        let kept = make(&engine, spec, usage);
        let public = kept.public.clone().unwrap_or_default();
        let is_secret = spec.starts_with("HMAC_") || *spec == "SYMMETRIC_DEFAULT";
        assert_eq!(public.is_empty(), is_secret, "{spec}");
        for cached in [false, true] {
            let engine = start(&seal);
            if cached {
                assert_eq!(refusal(&engine, &uses(kept.wrapped(), usage, &public)), None, "{spec} {usage}");
            }
            for binding in [
                Binding { key_id: B.key_id, ..kept.binding },
                Binding { account: "444455556666", ..kept.binding },
                Binding { region: "us-east-2", ..kept.binding },
            ] {
                let key = WrappedKey { binding, ..kept.wrapped() };
                assert_eq!(refusal(&engine, &uses(key, usage, &public)), Some(Refusal::Token), "{spec}");
                assert_eq!(refusal(&engine, &Command::Rewrap { key }), Some(Refusal::Token), "{spec}");
            }
            for (other_spec, other_usage) in KINDS.iter().filter(|other| *other != &(*spec, *usage)) {
                let binding = Binding { spec: other_spec, usage: other_usage, ..kept.binding };
                let key = WrappedKey { binding, ..kept.wrapped() };
                let got = refusal(&engine, &uses(key, other_usage, &public));
                assert_eq!(got, Some(Refusal::Token), "{spec} {usage} as {other_spec} {other_usage}");
            }
            for other in ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPS"]
            {
                if other != *usage && !(other == "ENCAPS" && usage.starts_with("ENCAPS")) {
                    let got = refusal(&engine, &uses(kept.wrapped(), other, &public));
                    assert_eq!(got, Some(Refusal::Usage), "{spec} {usage}: {other}");
                }
            }
        }
    }
    let strangers =
        [("ECC_SECG_P256K1", "KEY_AGREEMENT"), ("RSA_1024", "SIGN_VERIFY"), ("HMAC_256", "SIGN_VERIFY")];
    for (spec, usage) in strangers {
        let command = Command::CreateKey { binding: Binding { spec, usage, ..A } };
        assert_eq!(refusal(&engine, &command), Some(Refusal::Usage), "{spec} {usage}");
    }
}

/// Attack D5: a token is refused whatever bit of it is changed, whether or not the right one is cached.
#[test]
fn every_bit_of_a_long_token_counts() {
    let engine = start(&sealed());
    for (spec, usage) in [("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_512", "GENERATE_VERIFY_MAC")] {
        let kept = make(&engine, spec, usage);
        assert_eq!(refusal(&engine, &uses(kept.wrapped(), usage, &[])), None);
        let check = |token: &[u8]| {
            let key = WrappedKey { token, ..kept.wrapped() };
            assert_eq!(refusal(&engine, &uses(key, usage, &[])), Some(Refusal::Token));
        };
        for bit in 0..kept.token.len() * 8 {
            let mut flipped = kept.token.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped);
        }
        (0..kept.token.len()).for_each(|length| check(&kept.token[..length]));
        check(&vec![1; 20_000]);
    }
}

/// Tokens outlive a restart, a rotation and wrapping again, and a wrapped key's material keeps its name.
#[test]
fn keys_outlive_a_restart_and_a_rotation() {
    let seal = sealed();
    let before = start(&seal);
    let kept = make(&before, "ECC_NIST_P384", "SIGN_VERIFY");
    let mac = make(&before, "HMAC_384", "GENERATE_VERIFY_MAC");
    let signature = sign(&before, kept.wrapped(), "ECDSA_SHA_384", Raw, b"m").unwrap();
    assert_eq!(ask(&before, &Command::RotateDomainKey { newest: 1 }), Got::Generation(2));
    let rewrap = |key| match ask(&before, &Command::Rewrap { key }) {
        Got::Key(material, token) => (material, token),
        other => panic!("{other:?}"),
    };
    let (material, token) = rewrap(kept.wrapped());
    let (mac_material, mac_token) = rewrap(mac.wrapped());
    assert_eq!((material, mac_material), (kept.material, mac.material));
    drop(before);
    let after = start(&seal);
    for token in [&kept.token, &token] {
        let key = WrappedKey { token, ..kept.wrapped() };
        assert_eq!(verify(&after, key, "ECDSA_SHA_384", (Raw, b"m"), &signature), Ok(true));
    }
    let code = |token: &[u8]| {
        let key = WrappedKey { token, ..mac.wrapped() };
        let command = Command::GenerateMac { key, algorithm: "HMAC_SHA_384", message: b"m" };
        look(&after, &command, |reply| match reply {
            Reply::Mac { mac } => mac.to_vec(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(code(&mac.token), code(&mac_token));
}

#[test]
fn signatures_are_made_and_verified() {
    let engine = start(&sealed());
    for (spec, algorithm, kind, length) in [
        ("RSA_2048", "RSASSA_PSS_SHA_256", Raw, 4096),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512", Digest, 64),
        ("ECC_NIST_P256", "ECDSA_SHA_256", Digest, 32),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", Raw, 1),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", Raw, 4096),
        ("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512", Digest, 64),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", Raw, 1),
        ("ML_DSA_87", "ML_DSA_SHAKE_256", ExternalMu, 64),
        ("SM2", "SM2DSA", Digest, 32),
    ] {
        let kept = make(&engine, spec, "SIGN_VERIFY");
        let (key, message) = (kept.wrapped(), vec![7; length]);
        let signature = sign(&engine, key, algorithm, kind, &message).unwrap();
        let check =
            |message: &[u8], signature: &[u8]| verify(&engine, key, algorithm, (kind, message), signature);
        assert_eq!(check(&message, &signature), Ok(true), "{spec} {algorithm}");
        assert_eq!(check(&vec![8; length], &signature), Ok(false), "{spec} {algorithm}");
        assert_eq!(check(&message, &signature[1..]), Ok(false), "{spec} {algorithm}");
        assert_eq!(check(&message, &[7; 6144]), Ok(false));
        assert_eq!(check(&message, &[]), Err(Refusal::Length));
        assert_eq!(check(&message, &[7; 6145]), Err(Refusal::Length));
        for wrong in [0, 4097] {
            assert_eq!(sign(&engine, key, algorithm, kind, &vec![7; wrong]), Err(Refusal::Length));
            assert_eq!(check(&vec![7; wrong], &signature), Err(Refusal::Length));
        }
        for (other, kind) in [("SM2PKE", Raw), ("ECDSA_SHA_384", Raw), ("", Raw), (algorithm, ExternalMu)] {
            if kind != ExternalMu || !spec.starts_with("ML_DSA") {
                let got = sign(&engine, key, other, kind, &message);
                assert_eq!(got, Err(Refusal::Usage), "{spec} {other} {kind:?}");
            }
        }
    }
}

#[test]
fn codes_are_made_and_verified() {
    let engine = start(&sealed());
    for (spec, algorithm, length) in [
        ("HMAC_224", "HMAC_SHA_224", 28),
        ("HMAC_256", "HMAC_SHA_256", 32),
        ("HMAC_384", "HMAC_SHA_384", 48),
        ("HMAC_512", "HMAC_SHA_512", 64),
    ] {
        let kept = make(&engine, spec, "GENERATE_VERIFY_MAC");
        let key = kept.wrapped();
        let generate = |algorithm: &str, message: &[u8]| {
            look(&engine, &Command::GenerateMac { key, algorithm, message }, |reply| match reply {
                Reply::Mac { mac } => Ok(mac.to_vec()),
                Reply::Refused(refusal) => Err(refusal),
                other => panic!("{other:?}"),
            })
        };
        let check = |message: &[u8], mac: &[u8]| {
            look(&engine, &Command::VerifyMac { key, algorithm, message, mac }, |reply| match reply {
                Reply::Verified { valid } => Ok(valid),
                Reply::Refused(refusal) => Err(refusal),
                other => panic!("{other:?}"),
            })
        };
        let mac = generate(algorithm, b"m").unwrap();
        assert_eq!((mac.len(), generate(algorithm, b"m")), (length, Ok(mac.clone())));
        assert_eq!(check(b"m", &mac), Ok(true));
        assert_eq!(check(b"n", &mac), Ok(false));
        assert_eq!(check(b"m", &mac[1..]), Ok(false));
        assert_eq!(check(b"m", &mac[..length - 1]), Ok(false));
        assert_eq!(check(b"m", &[]), Err(Refusal::Length));
        assert_eq!(check(b"m", &[7; 6145]), Err(Refusal::Length));
        for wrong in [0, 4097] {
            assert_eq!(generate(algorithm, &vec![7; wrong]), Err(Refusal::Length));
            assert_eq!(check(&vec![7; wrong], &mac), Err(Refusal::Length));
        }
        let other = if spec == "HMAC_256" { "HMAC_SHA_512" } else { "HMAC_SHA_256" };
        assert_eq!(generate(other, b"m"), Err(Refusal::Usage));
    }
}

#[test]
fn asymmetric_encryption_opens_and_says_one_thing_when_it_does_not() {
    let engine = start(&sealed());
    for (spec, algorithm, largest) in [
        ("RSA_2048", "RSAES_OAEP_SHA_1", 214),
        ("RSA_2048", "RSAES_OAEP_SHA_256", 190),
        ("SM2", "SM2PKE", 1024),
    ] {
        let kept = make(&engine, spec, "ENCRYPT_DECRYPT");
        let key = kept.wrapped();
        let blob = encrypt_with(&engine, key, algorithm, &vec![7; largest]).unwrap();
        assert_eq!(decrypt_with(&engine, key, algorithm, &blob), Ok(vec![7; largest]));
        for length in [0, largest + 1, 4096, 4097] {
            let got = encrypt_with(&engine, key, algorithm, &vec![7; length]);
            assert_eq!(got, Err(Refusal::Length), "{spec} {length}");
        }
        let mut flipped = blob.clone();
        flipped[blob.len() / 2] ^= 1;
        for wrong in [&flipped[..], &blob[1..], &[], &[0; 256], &[0xff; 256], &[0x30; 6145]] {
            let got = decrypt_with(&engine, key, algorithm, wrong);
            assert_eq!(got, Err(Refusal::Ciphertext), "{spec}");
        }
        let with_context = Command::Encrypt { key, context: b"c", plaintext: b"p", algorithm };
        assert_eq!(refusal(&engine, &with_context), Some(Refusal::Usage));
        assert_eq!(encrypt_with(&engine, key, SYMMETRIC_DEFAULT, b"p"), Err(Refusal::Usage));
    }
}

#[test]
fn ciphertexts_go_from_any_key_to_any_other() {
    let engine = start(&sealed());
    let keys = [
        (make(&engine, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), SYMMETRIC_DEFAULT),
        (make(&engine, "RSA_2048", "ENCRYPT_DECRYPT"), "RSAES_OAEP_SHA_1"),
        (make(&engine, "RSA_3072", "ENCRYPT_DECRYPT"), "RSAES_OAEP_SHA_256"),
        (make(&engine, "SM2", "ENCRYPT_DECRYPT"), "SM2PKE"),
    ];
    for (from, from_algorithm) in &keys {
        for (to, to_algorithm) in &keys {
            let move_on = |plaintext: &[u8]| {
                let blob = encrypt_with(&engine, from.wrapped(), from_algorithm, plaintext)?;
                let command = Command::ReEncrypt {
                    source: from.wrapped(),
                    source_context: &[],
                    blob: &blob,
                    destination: to.wrapped(),
                    destination_context: &[],
                    source_algorithm: from_algorithm,
                    destination_algorithm: to_algorithm,
                };
                look(&engine, &command, |reply| match reply {
                    Reply::Ciphertext { blob } => Ok(blob.to_vec()),
                    Reply::Refused(refusal) => Err(refusal),
                    other => panic!("{other:?}"),
                })
            };
            let moved = move_on(b"plaintext").unwrap();
            let opened = decrypt_with(&engine, to.wrapped(), to_algorithm, &moved);
            assert_eq!(opened, Ok(b"plaintext".to_vec()), "{from_algorithm} to {to_algorithm}");
            if *from_algorithm == SYMMETRIC_DEFAULT && *to_algorithm != SYMMETRIC_DEFAULT {
                assert_eq!(move_on(&[7; 4096]), Err(Refusal::Length), "{to_algorithm}");
            }
        }
    }
}

#[test]
fn secrets_are_agreed_on_and_encapsulated() {
    let engine = start(&sealed());
    for (spec, length) in [("ECC_NIST_P256", 32), ("ECC_NIST_P384", 48), ("ECC_NIST_P521", 66), ("SM2", 32)] {
        let (one, other) = (make(&engine, spec, "KEY_AGREEMENT"), make(&engine, spec, "KEY_AGREEMENT"));
        let agree = |kept: &Kept, peer: &[u8]| {
            shared(&engine, &Command::DeriveSharedSecret { key: kept.wrapped(), peer, recipient: None })
        };
        let secret = agree(&one, other.public.as_ref().unwrap()).unwrap();
        assert_eq!((secret.len(), agree(&other, one.public.as_ref().unwrap())), (length, Ok(secret)));
        for peer in [&[][..], &[4; 65], &other.token] {
            assert_eq!(agree(&one, peer), Err(Refusal::PublicKey));
        }
    }
    for (spec, length) in [("ML_KEM_512", 768), ("ML_KEM_768", 1088), ("ML_KEM_1024", 1568)] {
        let kept = make(&engine, spec, "ENCAPSULATE_DECAPSULATE");
        let key = kept.wrapped();
        let (secret, mut ciphertext) = look(&engine, &Command::Encapsulate { key }, |reply| match reply {
            Reply::Encapsulated { secret, ciphertext } => (secret.0.to_vec(), ciphertext.to_vec()),
            other => panic!("{other:?}"),
        });
        assert_eq!((secret.len(), ciphertext.len()), (32, length));
        let open = |ciphertext: &[u8]| shared(&engine, &Command::Decapsulate { key, ciphertext });
        assert_eq!(open(&ciphertext), Ok(secret.clone()));
        assert_eq!(open(&ciphertext[1..]), Err(Refusal::Ciphertext));
        assert_eq!(open(&[]), Err(Refusal::Ciphertext));
        ciphertext[7] ^= 1;
        let implicit = open(&ciphertext).unwrap();
        assert_eq!((implicit.len(), implicit == secret), (32, false));
    }
}

/// The private key that is encrypted is the one that is shown, and becomes a key of its spec with that public key.
#[test]
fn data_key_pairs_are_encrypted_like_data_keys() {
    let engine = start(&sealed());
    let kept = make(&engine, A.spec, A.usage);
    let key = kept.wrapped();
    let pair = |pair: &str, disclose| {
        let command =
            Command::GenerateDataKeyPair { key, context: b"context", pair, disclose, recipient: None };
        look(&engine, &command, |reply| match reply {
            Reply::DataKeyPair { blob, public, private, enveloped: None } => {
                Ok((blob.to_vec(), public.to_vec(), private.map(|private| private.0.to_vec())))
            }
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        })
    };
    for (spec, usage) in [
        ("RSA_2048", "SIGN_VERIFY"),
        ("RSA_3072", "SIGN_VERIFY"),
        ("RSA_4096", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P384", "SIGN_VERIFY"),
        ("ECC_NIST_P521", "SIGN_VERIFY"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
        ("ML_KEM_1024", "ENCAPSULATE_DECAPSULATE"),
        ("SM2", "SIGN_VERIFY"),
    ] {
        let (blob, public, private) = pair(spec, true).unwrap();
        let private = private.unwrap();
        assert_eq!(decrypt(&engine, key, &blob), Got::Bytes(private.clone()), "{spec}");
        let taken = algorithms::import(spec, usage, &private).unwrap_or_else(|_| panic!("{spec}"));
        assert_eq!(taken.public, Some(public), "{spec}");
    }
    assert_eq!(pair("ECC_NIST_P256", false).unwrap().2, None);
    for name in ["SYMMETRIC_DEFAULT", "HMAC_256", "ML_DSA_44", "AES_256", ""] {
        assert_eq!(pair(name, true).unwrap_err(), Refusal::Usage, "{name}");
    }
    let hmac = make(&engine, "HMAC_256", "GENERATE_VERIFY_MAC");
    let command = Command::GenerateDataKeyPair {
        key: hmac.wrapped(),
        context: &[],
        pair: "ECC_NIST_P256",
        disclose: true,
        recipient: None,
    };
    assert_eq!(refusal(&engine, &command), Some(Refusal::Usage));
}

/// Attack J14 for keys that are not symmetric.
#[test]
fn evicted_keys_of_every_form_are_forgotten() {
    let engine = start(&sealed());
    for (spec, usage) in [("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")] {
        let kept = make(&engine, spec, usage);
        let place = Place::key(&engine.domain, &kept.binding, kept.material).unwrap();
        let cached = || {
            let (material, place, token) = (kept.material, place.as_slice(), &kept.token);
            matches!(engine.parsed.find(material, place, token, |_| ()), Ok(Found::Hit(())))
                || matches!(engine.macs.find(material, place, token, |_| ()), Ok(Found::Hit(())))
        };
        let use_at = |now| {
            let command = uses(kept.wrapped(), usage, &[]);
            engine.answer(&mut Scratch::new(), now, &command).map(drop).unwrap();
        };
        use_at(NOW);
        assert!(cached(), "{spec}");
        let evict = Command::Evict { materials: vec![kept.material] };
        assert_eq!(ask_at(&engine, NOW, &evict), Got::Evicted);
        assert!(!cached(), "{spec}");
        use_at(NOW);
        assert!(!cached(), "{spec}");
        use_at(NOW + TOMBSTONE_TIME);
        assert!(cached(), "{spec}");
    }
}

/// Attack D7: no randomness, no product; what needs none goes on.
#[test]
fn a_broken_generator_refuses_what_is_new_and_goes_on_opening() {
    let seal = sealed();
    for then in [None, Some(0)] {
        let good = Arc::new(AtomicUsize::new(1000));
        let random = Box::new(Breaking { good: Arc::clone(&good), then });
        let engine = Engine::start(Box::new(seal.clone()), random, 16).unwrap();
        let symmetric = make(&engine, A.spec, A.usage);
        let signer = make(&engine, "ECC_NIST_P256", "SIGN_VERIFY");
        let rsa = make(&engine, "RSA_2048", "ENCRYPT_DECRYPT");
        let kem = make(&engine, "ML_KEM_512", "ENCAPSULATE_DECAPSULATE");
        let blob = encrypt_with(&engine, rsa.wrapped(), "RSAES_OAEP_SHA_256", b"p").unwrap();
        let signature = sign(&engine, signer.wrapped(), "ECDSA_SHA_256", Raw, b"m").unwrap();
        good.store(0, std::sync::atomic::Ordering::Relaxed);
        drop(sign(&engine, signer.wrapped(), "ECDSA_SHA_256", Raw, b"m"));
        for (spec, usage) in KINDS {
            let command = Command::CreateKey { binding: Binding { spec, usage, ..A } };
            assert_eq!(refusal(&engine, &command), Some(Refusal::Randomness), "{spec}");
        }
        for command in [
            uses(signer.wrapped(), "SIGN_VERIFY", &[]),
            uses(rsa.wrapped(), "ENCRYPT_DECRYPT", &[]),
            uses(kem.wrapped(), "ENCAPSULATE", &[]),
            Command::GenerateDataKeyPair {
                key: symmetric.wrapped(),
                context: &[],
                pair: "RSA_2048",
                disclose: true,
                recipient: None,
            },
        ] {
            assert_eq!(refusal(&engine, &command), Some(Refusal::Randomness), "{command:?}");
        }
        assert_eq!(decrypt_with(&engine, rsa.wrapped(), "RSAES_OAEP_SHA_256", &blob), Ok(b"p".to_vec()));
        assert_eq!(verify(&engine, signer.wrapped(), "ECDSA_SHA_256", (Raw, b"m"), &signature), Ok(true));
    }
}
