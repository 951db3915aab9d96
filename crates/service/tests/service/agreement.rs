//! Shared secrets and data key pairs: two sides get the same, and what does not fit is refused.

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use aws_lc_rs::{kem, signature};
use serde_json::{Value, json};

use crate::kinds::{make, public_key, region_of};
use crate::world::{ALICE, Ask, Key, World, base64, unbase64};

/// Specs of keys that agree, how another library does where it can, and the length of a secret in bytes.
const CURVES: [(&str, Option<&agreement::Algorithm>, usize); 4] = [
    ("ECC_NIST_P256", Some(&agreement::ECDH_P256), 32),
    ("ECC_NIST_P384", Some(&agreement::ECDH_P384), 48),
    ("ECC_NIST_P521", Some(&agreement::ECDH_P521), 66),
    ("SM2", None, 32),
];

fn derive(key: &Key, public: &[u8]) -> Value {
    json!({"KeyId": key.id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": base64(public)})
}

/// DER of a public key of another library.
fn exported(key: &PrivateKey) -> Vec<u8> {
    let public = key.compute_public_key().unwrap();
    let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
    der.as_ref().to_vec()
}

#[test]
fn two_keys_agree_here_and_elsewhere() {
    let world = World::new();
    for (spec, curve, length) in CURVES {
        let (one, two) = (make(&world, spec, "KEY_AGREEMENT"), make(&world, spec, "KEY_AGREEMENT"));
        let publics = [public_key(&world, spec, &one), public_key(&world, spec, &two)];
        let secret = |key: &Key, public: &[u8]| {
            let made = world.succeed_in(region_of(spec), ALICE, "DeriveSharedSecret", derive(key, public));
            let expected = json!({"KeyId": key.arn, "SharedSecret": made["SharedSecret"],
                "KeyAgreementAlgorithm": "ECDH", "KeyOrigin": "AWS_KMS"});
            assert_eq!(made, expected);
            unbase64(&made["SharedSecret"])
        };
        let shared = secret(&one, &publics[1]);
        assert_eq!((shared.len(), &shared), (length, &secret(&two, &publics[0])));
        assert_ne!(shared, secret(&one, &publics[0]));
        let Some(curve) = curve else { continue };
        let outside = PrivateKey::generate(curve).unwrap();
        let peer = UnparsedPublicKey::new(curve, &publics[0]);
        let theirs = agreement::agree(&outside, peer, (), |secret| Ok(secret.to_vec())).unwrap();
        assert_eq!(secret(&one, &exported(&outside)), theirs);
    }
}

/// What is no public key on the key's curve, in its one encoding, is refused without a word of the reason.
#[test]
fn bad_peers_are_refused() {
    let world = World::new();
    let of = |spec, usage| public_key(&world, spec, &make(&world, spec, usage));
    for (spec, _, length) in CURVES {
        let key = make(&world, spec, "KEY_AGREEMENT");
        let own = public_key(&world, spec, &key);
        let point = own.len() - 2 * length;
        let mut off_curve = own.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        let mut out_of_field = own.clone();
        out_of_field[point..].fill(0xff);
        let mut zero = own.clone();
        zero[point..].fill(0);
        let mut another_form = own.clone();
        another_form[point - 1] = 0x06;
        let others = CURVES.into_iter().filter(|(other, ..)| *other != spec);
        let others = others.map(|(other, ..)| of(other, "KEY_AGREEMENT"));
        let rsa = of("RSA_2048", "SIGN_VERIFY");
        let koblitz = of("ECC_SECG_P256K1", "SIGN_VERIFY");
        let edwards = of("ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
        let raw = own[point - 1..].to_vec();
        let bad = [
            vec![0],
            vec![7; 91],
            vec![7; 8192],
            base64(&own).into_bytes(),
            own[..own.len() - 1].to_vec(),
            own[1..].to_vec(),
            [&own[..], &[0]].concat(),
            off_curve,
            out_of_field,
            zero,
            another_form,
            raw,
            rsa,
            koblitz,
            edwards,
        ];
        for public in bad.into_iter().chain(others) {
            for dry_run in [false, true] {
                let mut request = derive(&key, &public);
                request["DryRun"] = json!(dry_run);
                let ask = Ask::new(ALICE, "DeriveSharedSecret", request).region(region_of(spec));
                let answer = world.send(&ask);
                assert_eq!(
                    (answer.status, &*answer.body),
                    (400, r#"{"__type":"ValidationException"}"#),
                    "{spec} {}",
                    base64(&public)
                );
            }
        }
        let mut request = derive(&key, &own);
        request["DryRun"] = json!(true);
        let answer = world.send(&Ask::new(ALICE, "DeriveSharedSecret", request).region(region_of(spec)));
        assert_eq!(answer.code, Some("DryRunOperationException"));
    }
}

/// Specs with the lengths of an encapsulated secret and of a public key in bytes (FIPS 203, table 3).
const KEMS: [(&str, &kem::Algorithm<kem::AlgorithmId>, usize, usize); 3] = [
    ("ML_KEM_512", &kem::ML_KEM_512, 768, 800),
    ("ML_KEM_768", &kem::ML_KEM_768, 1088, 1184),
    ("ML_KEM_1024", &kem::ML_KEM_1024, 1568, 1568),
];

fn decapsulate(key: &Key, ciphertext: &[u8]) -> Value {
    json!({"KeyId": key.id, "SharedSecretCiphertextBlob": base64(ciphertext), "EncapsulationAlgorithm": "ML_KEM"})
}

/// What is encapsulated opens under its key, whoever encapsulated it; under another, or altered, it opens to something
/// else, always the same (FIPS 203, implicit rejection).
#[test]
fn secrets_are_encapsulated_here_and_elsewhere() {
    let world = World::new();
    for (spec, algorithm, length, public_len) in KEMS {
        let usage = "ENCAPSULATE_DECAPSULATE";
        let (key, other) = (make(&world, spec, usage), make(&world, spec, usage));
        let open = |key: &Key, ciphertext: &[u8]| {
            let opened = world.succeed(ALICE, "Decapsulate", decapsulate(key, ciphertext));
            let expected = json!({"KeyId": key.arn, "SharedSecret": opened["SharedSecret"],
                "EncapsulationAlgorithm": "ML_KEM"});
            assert_eq!(opened, expected);
            unbase64(&opened["SharedSecret"])
        };
        let request = json!({"KeyId": key.id, "EncapsulationAlgorithm": "ML_KEM"});
        let made = world.succeed(ALICE, "Encapsulate", request.clone());
        assert_eq!((&made["KeyId"], &made["EncapsulationAlgorithm"]), (&json!(key.arn), &json!("ML_KEM")));
        let (secret, ciphertext) =
            (unbase64(&made["SharedSecret"]), unbase64(&made["SharedSecretCiphertextBlob"]));
        assert_eq!((secret.len(), ciphertext.len()), (32, length));
        assert_eq!(open(&key, &ciphertext), secret);
        assert_ne!(world.succeed(ALICE, "Encapsulate", request)["SharedSecret"], made["SharedSecret"]);
        let mut altered = ciphertext.clone();
        altered[length / 2] ^= 1;
        for (key, ciphertext) in [(&other, &ciphertext), (&key, &altered), (&key, &vec![0; length])] {
            let opened = open(key, ciphertext);
            assert_eq!(opened.len(), 32);
            assert_ne!(opened, secret);
            assert_eq!(open(key, ciphertext), opened);
        }
        let public = public_key(&world, spec, &key);
        // The key itself stands at the end of its DER.
        let raw = &public[public.len() - public_len..];
        let (theirs, shared) = kem::EncapsulationKey::new(algorithm, raw).unwrap().encapsulate().unwrap();
        assert_eq!(open(&key, theirs.as_ref()), shared.as_ref());
    }
}

#[test]
fn an_encapsulated_secret_has_the_length_of_its_spec() {
    let world = World::new();
    for (spec, _, length, _) in KEMS {
        let key = make(&world, spec, "ENCAPSULATE_DECAPSULATE");
        for wrong in
            [1, length - 1, length + 1, 768, 1088, 1568, 6144].into_iter().filter(|one| *one != length)
        {
            for dry_run in [false, true] {
                let mut request = decapsulate(&key, &vec![7; wrong]);
                request["DryRun"] = json!(dry_run);
                let answer = world.send(&Ask::new(ALICE, "Decapsulate", request));
                assert_eq!(
                    (answer.status, &*answer.body),
                    (400, r#"{"__type":"InvalidCiphertextException"}"#),
                    "{spec} {wrong}"
                );
                assert_eq!(answer.commands, [""; 0]);
            }
        }
        let mut request = decapsulate(&key, &vec![7; length]);
        request["DryRun"] = json!(true);
        let answer = world.send(&Ask::new(ALICE, "Decapsulate", request));
        assert_eq!((answer.code, answer.commands), (Some("DryRunOperationException"), vec![]));
        let request = json!({"KeyId": key.id, "EncapsulationAlgorithm": "ML_KEM", "DryRun": true});
        let answer = world.send(&Ask::new(ALICE, "Encapsulate", request));
        assert_eq!((answer.code, answer.commands), (Some("DryRunOperationException"), vec![]));
    }
}

/// The public key that another library computes from a private key, where it can.
fn public_of(spec: &str, pkcs8: &[u8]) -> Option<Vec<u8>> {
    let ecdsa = |algorithm: &'static signature::EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    };
    Some(match spec {
        "ECC_NIST_P256" => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        "ECC_NIST_P384" => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        "ECC_NIST_P521" => ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
        "ECC_SECG_P256K1" => ecdsa(&signature::ECDSA_P256K1_SHA256_ASN1_SIGNING),
        "ECC_NIST_EDWARDS25519" => {
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8).unwrap();
            let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            der.as_ref().to_vec()
        }
        _ if spec.starts_with("RSA") => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).unwrap();
            let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            der.as_ref().to_vec()
        }
        _ => return None,
    })
}

const PAIRS: [&str; 12] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "SM2",
    "ECC_NIST_EDWARDS25519",
    "ML_KEM_512",
    "ML_KEM_768",
    "ML_KEM_1024",
];

/// A pair of every spec: the private key in the clear is the one of the blob and belongs to the public key.
#[test]
fn data_key_pairs_are_made_and_open() {
    let world = World::new();
    for spec in PAIRS {
        let region = region_of(spec);
        let key = world.key_in(region, ALICE, json!({}));
        let context = json!({"a": "b"});
        let request = json!({"KeyId": key.id, "KeyPairSpec": spec, "EncryptionContext": context});
        let open = |blob: &Value| {
            let request = json!({"CiphertextBlob": blob, "EncryptionContext": context});
            unbase64(&world.succeed_in(region, ALICE, "Decrypt", request)["Plaintext"])
        };
        let made = world.succeed_in(region, ALICE, "GenerateDataKeyPair", request.clone());
        assert_eq!((&made["KeyId"], &made["KeyPairSpec"]), (&json!(key.arn), &json!(spec)));
        let private = unbase64(&made["PrivateKeyPlaintext"]);
        assert_eq!(open(&made["PrivateKeyCiphertextBlob"]), private);
        if let Some(public) = public_of(spec, &private) {
            assert_eq!(base64(&public), made["PublicKey"], "{spec}");
        }
        let operation = "GenerateDataKeyPairWithoutPlaintext";
        let hidden = world.succeed_in(region, ALICE, operation, request.clone());
        assert_eq!(hidden.get("PrivateKeyPlaintext"), None);
        assert_eq!(hidden["KeyMaterialId"], made["KeyMaterialId"]);
        assert_ne!(hidden["PublicKey"], made["PublicKey"], "each pair is new");
        if let Some(public) = public_of(spec, &open(&hidden["PrivateKeyCiphertextBlob"])) {
            assert_eq!(base64(&public), hidden["PublicKey"], "{spec}");
        }
        for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
            let mut request = request.clone();
            request["DryRun"] = json!(true);
            let answer = world.send(&Ask::new(ALICE, operation, request).region(region));
            assert_eq!((answer.code, answer.commands), (Some("DryRunOperationException"), vec![]));
        }
    }
}

/// A Region that has no keys of a spec has no data key pairs of it either.
#[test]
fn regions_have_their_data_key_pairs() {
    let world = World::new();
    for (region, specs) in
        [("us-east-1", &["SM2"][..]), ("cn-north-1", &["ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"])]
    {
        let key = world.key_in(region, ALICE, json!({}));
        for spec in specs {
            for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
                let request = json!({"KeyId": key.id, "KeyPairSpec": spec});
                let answer = world.send(&Ask::new(ALICE, operation, request).region(region));
                let expected = json!({"__type": "UnsupportedOperationException",
                    "message": format!("KeyPairSpec {spec} is not supported in this Region")});
                assert_eq!(answer.body, expected.to_string());
            }
        }
    }
}
