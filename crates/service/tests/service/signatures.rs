//! Signatures and message authentication codes: what is made verifies, here and elsewhere, and nothing else does.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::kinds::{KINDS, make, public_key, region_of};
use crate::model::lower_first;
use crate::world::{ALICE, Ask, Key, Transcript, World, base64, unbase64};

const MESSAGE: &[u8] = b"a message";

/// Every signing algorithm of a spec, with a digest of the message where it takes one.
fn algorithms(spec: &str) -> Vec<&'static str> {
    match spec {
        "ECC_NIST_P256" | "ECC_SECG_P256K1" => vec!["ECDSA_SHA_256"],
        "ECC_NIST_P384" => vec!["ECDSA_SHA_384"],
        "ECC_NIST_P521" => vec!["ECDSA_SHA_512"],
        "ECC_NIST_EDWARDS25519" => vec!["ED25519_SHA_512", "ED25519_PH_SHA_512"],
        "SM2" => vec!["SM2DSA"],
        _ if spec.starts_with("ML_DSA") => vec!["ML_DSA_SHAKE_256"],
        _ => vec![
            "RSASSA_PKCS1_V1_5_SHA_256",
            "RSASSA_PKCS1_V1_5_SHA_384",
            "RSASSA_PKCS1_V1_5_SHA_512",
            "RSASSA_PSS_SHA_256",
            "RSASSA_PSS_SHA_384",
            "RSASSA_PSS_SHA_512",
        ],
    }
}

/// The digest of the message under an algorithm, where it is one of the SHA-2 family.
fn digest_of(algorithm: &str) -> Option<Vec<u8>> {
    let hash = match algorithm.rsplit_once('_')?.1 {
        "256" if !algorithm.contains("SHAKE") => &digest::SHA256,
        "384" => &digest::SHA384,
        "512" if algorithm != "ED25519_SHA_512" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(hash, MESSAGE).as_ref().to_vec())
}

/// How another library verifies it; it has neither Ed25519ph nor SM2.
fn elsewhere(spec: &str, algorithm: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (spec, algorithm) {
        ("ECC_NIST_P256", _) => &signature::ECDSA_P256_SHA256_ASN1,
        ("ECC_NIST_P384", _) => &signature::ECDSA_P384_SHA384_ASN1,
        ("ECC_NIST_P521", _) => &signature::ECDSA_P521_SHA512_ASN1,
        ("ECC_SECG_P256K1", _) => &signature::ECDSA_P256K1_SHA256_ASN1,
        (_, "ED25519_SHA_512") => &signature::ED25519,
        ("ML_DSA_44", _) => &signature::ML_DSA_44,
        ("ML_DSA_65", _) => &signature::ML_DSA_65,
        ("ML_DSA_87", _) => &signature::ML_DSA_87,
        (_, "RSASSA_PKCS1_V1_5_SHA_256") => &signature::RSA_PKCS1_2048_8192_SHA256,
        (_, "RSASSA_PKCS1_V1_5_SHA_384") => &signature::RSA_PKCS1_2048_8192_SHA384,
        (_, "RSASSA_PKCS1_V1_5_SHA_512") => &signature::RSA_PKCS1_2048_8192_SHA512,
        (_, "RSASSA_PSS_SHA_256") => &signature::RSA_PSS_2048_8192_SHA256,
        (_, "RSASSA_PSS_SHA_384") => &signature::RSA_PSS_2048_8192_SHA384,
        (_, "RSASSA_PSS_SHA_512") => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A key that signs, with one of its algorithms.
struct Signer<'w> {
    world: &'w World,
    spec: &'static str,
    key: Key,
    algorithm: &'static str,
}

impl Signer<'_> {
    fn request(&self, kind: &str, message: &[u8]) -> Value {
        json!({"KeyId": self.key.id, "SigningAlgorithm": self.algorithm, "MessageType": kind,
            "Message": base64(message)})
    }

    fn sign(&self, kind: &str, message: &[u8]) -> Vec<u8> {
        let request = self.request(kind, message);
        let answer = self.world.succeed_in(region_of(self.spec), ALICE, "Sign", request);
        assert_eq!(
            (&answer["KeyId"], &answer["SigningAlgorithm"]),
            (&json!(self.key.arn), &json!(self.algorithm))
        );
        unbase64(&answer["Signature"])
    }

    fn verify(&self, kind: &str, message: &[u8], signature: &[u8]) -> Result<(), &'static str> {
        let mut request = self.request(kind, message);
        request["Signature"] = json!(base64(signature));
        let answer = self.world.send(&Ask::new(ALICE, "Verify", request).region(region_of(self.spec)));
        let Some(code) = answer.code else {
            let expected =
                json!({"KeyId": self.key.arn, "SignatureValid": true, "SigningAlgorithm": self.algorithm});
            assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);
            return Ok(());
        };
        assert_eq!(answer.body, json!({"__type": code}).to_string(), "such an error has no message");
        Err(code)
    }

    /// A signature is one of the message, of nothing else, and of no other form.
    fn check(&self, kind: &str, message: &[u8]) {
        let signature = self.sign(kind, message);
        assert_eq!(self.verify(kind, message, &signature), Ok(()), "{} {}", self.spec, self.algorithm);
        let invalid = Err("KMSInvalidSignatureException");
        for (place, bit) in [(0, 1), (signature.len() / 2, 16), (signature.len() - 1, 1)] {
            let mut altered = signature.clone();
            altered[place] ^= bit;
            assert_eq!(self.verify(kind, message, &altered), invalid, "{} {place}", self.algorithm);
        }
        let mut other = message.to_vec();
        other[0] ^= 1;
        assert_eq!(self.verify(kind, &other, &signature), invalid, "{}", self.algorithm);
        for wrong in [
            vec![1],
            vec![b'a'; 6144],
            vec![0; signature.len()],
            vec![0xff; signature.len()],
            signature[1..].to_vec(),
            signature[..signature.len() - 1].to_vec(),
            [&signature[..], &[0]].concat(),
            [&[0], &signature[..]].concat(),
        ] {
            assert_eq!(self.verify(kind, message, &wrong), invalid, "{} {wrong:.20?}", self.algorithm);
        }
    }
}

#[test]
fn what_is_signed_verifies_here_and_elsewhere() {
    let world = World::new();
    for (spec, usage) in KINDS.into_iter().filter(|(_, usage)| *usage == "SIGN_VERIFY") {
        let key = make(&world, spec, usage);
        let public = public_key(&world, spec, &key);
        for algorithm in algorithms(spec) {
            let signer = Signer { world: &world, spec, key: key.clone(), algorithm };
            let digest = digest_of(algorithm);
            if let Some(other) = elsewhere(spec, algorithm) {
                let parsed = ParsedPublicKey::new(other, &public).unwrap();
                let made = signer.sign("RAW", MESSAGE);
                assert!(parsed.verify_sig(MESSAGE, &made).is_ok(), "{spec} {algorithm}");
                if let Some(digest) = &digest {
                    assert!(parsed.verify_sig(MESSAGE, &signer.sign("DIGEST", digest)).is_ok());
                    assert_eq!(signer.verify("DIGEST", digest, &made), Ok(()), "the two are one");
                }
            }
            if algorithm != "ED25519_PH_SHA_512" {
                signer.check("RAW", MESSAGE);
                signer.check("RAW", &[7; 4096]);
            }
            if let Some(digest) = &digest {
                signer.check("DIGEST", digest);
            }
            if algorithm == "SM2DSA" {
                signer.check("DIGEST", &[7; 32]);
            }
            if algorithm == "ML_DSA_SHAKE_256" {
                signer.check("EXTERNAL_MU", &[7; 64]);
            }
        }
    }
}

/// A signature is of its own key and algorithm.
#[test]
fn a_signature_is_of_one_key_and_algorithm() {
    let world = World::new();
    let on =
        |spec, algorithm| Signer { world: &world, spec, key: make(&world, spec, "SIGN_VERIFY"), algorithm };
    let (one, other) = (on("RSA_2048", "RSASSA_PSS_SHA_256"), on("RSA_2048", "RSASSA_PSS_SHA_256"));
    let signature = one.sign("RAW", MESSAGE);
    assert_eq!(other.verify("RAW", MESSAGE, &signature), Err("KMSInvalidSignatureException"));
    for algorithm in ["RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_384"] {
        let same_key = Signer { world: &world, spec: "RSA_2048", key: one.key.clone(), algorithm };
        assert_eq!(same_key.verify("RAW", MESSAGE, &signature), Err("KMSInvalidSignatureException"));
    }
    let ed25519 = on("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512");
    let pure = Signer { algorithm: "ED25519_SHA_512", key: ed25519.key.clone(), ..ed25519 };
    let signature = pure.sign("RAW", &[7; 64]);
    assert_eq!(ed25519.verify("DIGEST", &[7; 64], &signature), Err("KMSInvalidSignatureException"));
}

/// Message types that an algorithm does not have, digests of a wrong length, algorithms of other specs: in AWS's words and
/// AWS's order, the algorithm first, without a word to the HSM.
#[test]
fn messages_that_do_not_fit_are_refused() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    let signature = base64(&[7; 64]);
    let mut ask = |key: &Key, region: &str, algorithm: &str, kind: &str, length: usize| {
        let request = json!({"KeyId": key.id, "SigningAlgorithm": algorithm, "MessageType": kind,
            "Message": base64(&vec![7; length])});
        let mut with_signature = request.clone();
        with_signature["Signature"] = json!(signature);
        calls.send(&Ask::new(ALICE, "Sign", request).region(region));
        let answer = calls.send(&Ask::new(ALICE, "Verify", with_signature).region(region));
        assert!(answer.commands.is_empty());
    };
    let rsa = make(&world, "RSA_2048", "SIGN_VERIFY");
    let ec = make(&world, "ECC_NIST_P384", "SIGN_VERIFY");
    let koblitz = make(&world, "ECC_SECG_P256K1", "SIGN_VERIFY");
    let edwards = make(&world, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
    let lattice = make(&world, "ML_DSA_44", "SIGN_VERIFY");
    let sm2 = make(&world, "SM2", "SIGN_VERIFY");
    for (key, algorithm, kind, length) in [
        (&rsa, "RSASSA_PSS_SHA_256", "DIGEST", 31),
        (&rsa, "RSASSA_PSS_SHA_384", "DIGEST", 32),
        (&rsa, "RSASSA_PSS_SHA_512", "DIGEST", 65),
        (&rsa, "RSASSA_PKCS1_V1_5_SHA_256", "DIGEST", 20),
        (&rsa, "RSASSA_PKCS1_V1_5_SHA_384", "DIGEST", 64),
        (&rsa, "RSASSA_PKCS1_V1_5_SHA_512", "DIGEST", 4096),
        (&rsa, "RSASSA_PSS_SHA_256", "EXTERNAL_MU", 64),
        (&rsa, "ECDSA_SHA_256", "RAW", 1),
        (&ec, "ECDSA_SHA_384", "DIGEST", 32),
        (&ec, "ECDSA_SHA_384", "EXTERNAL_MU", 64),
        (&ec, "ECDSA_SHA_256", "DIGEST", 20),
        (&ec, "RSASSA_PSS_SHA_256", "RAW", 1),
        (&koblitz, "ECDSA_SHA_256", "DIGEST", 33),
        (&koblitz, "ECDSA_SHA_512", "RAW", 1),
        (&edwards, "ED25519_SHA_512", "DIGEST", 64),
        (&edwards, "ED25519_PH_SHA_512", "RAW", 64),
        (&edwards, "ED25519_PH_SHA_512", "DIGEST", 20),
        (&edwards, "ED25519_SHA_512", "EXTERNAL_MU", 64),
        (&edwards, "ECDSA_SHA_512", "RAW", 1),
        (&lattice, "ML_DSA_SHAKE_256", "DIGEST", 64),
        (&lattice, "ML_DSA_SHAKE_256", "EXTERNAL_MU", 63),
        (&lattice, "ML_DSA_SHAKE_256", "EXTERNAL_MU", 65),
        (&lattice, "ED25519_SHA_512", "RAW", 1),
    ] {
        ask(key, crate::world::REGION, algorithm, kind, length);
    }
    ask(&sm2, "cn-north-1", "SM2DSA", "DIGEST", 31);
    ask(&sm2, "cn-north-1", "SM2DSA", "EXTERNAL_MU", 64);
    ask(&sm2, "cn-north-1", "ECDSA_SHA_256", "RAW", 1);
    calls.compare(&expect_file!["golden/messages.txt"]);
}

/// The bounds of messages, signatures and codes; what is secret of them is not repeated.
#[test]
fn requests_out_of_bounds_are_refused() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    let (message, mac) = (base64(b"m"), base64(&[7; 32]));
    for (operation, member, lengths) in [
        ("Sign", "Message", [0, 4097]),
        ("Verify", "Message", [0, 4097]),
        ("Verify", "Signature", [0, 6145]),
        ("GenerateMac", "Message", [0, 4097]),
        ("VerifyMac", "Message", [0, 4097]),
        ("VerifyMac", "Mac", [0, 6145]),
        ("DeriveSharedSecret", "PublicKey", [0, 8193]),
        ("Decapsulate", "SharedSecretCiphertextBlob", [0, 6145]),
    ] {
        for length in lengths {
            let mut request = json!({"KeyId": crate::world::NO_KEY, "Message": message, "Signature": mac,
                "SigningAlgorithm": "ECDSA_SHA_256", "MacAlgorithm": "HMAC_SHA_256", "Mac": mac,
                "KeyAgreementAlgorithm": "ECDH", "PublicKey": mac, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": mac});
            request[member] = json!(base64(&vec![7; length]));
            let answer = world.send(&Ask::new(ALICE, operation, request));
            assert_eq!(answer.code, Some("ValidationException"), "{operation} {member} {length}");
            let place = lower_first(member);
            assert!(answer.body.contains(&format!("Value at '{place}' failed")), "{}", answer.body);
            assert!(!answer.body.contains("BwcH"), "{}", answer.body);
        }
    }
    for (operation, member) in [
        ("Sign", "SigningAlgorithm"),
        ("Sign", "MessageType"),
        ("GenerateMac", "MacAlgorithm"),
        ("DeriveSharedSecret", "KeyAgreementAlgorithm"),
        ("Encapsulate", "EncapsulationAlgorithm"),
        ("GenerateDataKeyPair", "KeyPairSpec"),
    ] {
        calls.ask(ALICE, operation, json!({member: "NONE"}));
    }
    calls.compare(&expect_file!["golden/kinds_bounds.txt"]);
}

#[test]
fn a_mac_is_of_one_message_key_and_algorithm() {
    let world = World::new();
    for (bits, length) in [(224, 28), (256, 32), (384, 48), (512, 64)] {
        let (spec, algorithm) = (format!("HMAC_{bits}"), format!("HMAC_SHA_{bits}"));
        let key = make(&world, &spec, "GENERATE_VERIFY_MAC");
        let other = make(&world, &spec, "GENERATE_VERIFY_MAC");
        let generate = |key: &Key, message: &[u8]| {
            let request = json!({"KeyId": key.id, "Message": base64(message), "MacAlgorithm": algorithm});
            let made = world.succeed(ALICE, "GenerateMac", request);
            assert_eq!((&made["KeyId"], &made["MacAlgorithm"]), (&json!(key.arn), &json!(algorithm)));
            unbase64(&made["Mac"])
        };
        let verify = |key: &Key, message: &[u8], mac: &[u8]| {
            let request = json!({"KeyId": key.id, "Message": base64(message), "Mac": base64(mac),
                "MacAlgorithm": algorithm});
            let answer = world.send(&Ask::new(ALICE, "VerifyMac", request));
            let Some(code) = answer.code else {
                let expected = json!({"KeyId": key.arn, "MacValid": true, "MacAlgorithm": algorithm});
                assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);
                return Ok(());
            };
            assert_eq!(answer.body, json!({"__type": code}).to_string(), "such an error has no message");
            Err(code)
        };
        for message in [&[0][..], MESSAGE, &[7; 4096]] {
            let mac = generate(&key, message);
            assert_eq!(mac.len(), length);
            assert_eq!(generate(&key, message), mac, "it is a function of key and message");
            assert_eq!(verify(&key, message, &mac), Ok(()));
            let invalid = Err("KMSInvalidMacException");
            assert_eq!(verify(&other, message, &mac), invalid);
            assert_eq!(verify(&key, b"another", &mac), invalid);
            for (bit, place) in (0..length).enumerate() {
                let mut altered = mac.clone();
                altered[place] ^= 1 << (bit % 8);
                assert_eq!(verify(&key, message, &altered), invalid);
            }
            for wrong in [&mac[..length - 1], &mac[..1], &[&mac[..], &[0]].concat(), &[7; 6144]] {
                assert_eq!(verify(&key, message, wrong), invalid);
            }
        }
        for wrong in [224, 256, 384, 512].into_iter().filter(|wrong| *wrong != bits) {
            let request =
                json!({"KeyId": key.id, "Message": "eA==", "MacAlgorithm": format!("HMAC_SHA_{wrong}")});
            let answer = world.send(&Ask::new(ALICE, "GenerateMac", request));
            let says = format!("Algorithm HMAC_SHA_{wrong} is incompatible with key spec {spec}.");
            assert_eq!(answer.code, Some("InvalidKeyUsageException"));
            assert!(answer.body.contains(&says), "{}", answer.body);
        }
    }
}

/// A dry run tells what would happen: a signature is looked at, none is made.
#[test]
fn a_dry_run_makes_nothing_and_verifies() {
    let world = World::new();
    let signer = Signer {
        world: &world,
        spec: "ECC_NIST_P256",
        key: make(&world, "ECC_NIST_P256", "SIGN_VERIFY"),
        algorithm: "ECDSA_SHA_256",
    };
    let hmac = make(&world, "HMAC_256", "GENERATE_VERIFY_MAC");
    let signature = signer.sign("RAW", MESSAGE);
    let mac_request = json!({"KeyId": hmac.id, "Message": base64(MESSAGE), "MacAlgorithm": "HMAC_SHA_256"});
    let mac = world.succeed(ALICE, "GenerateMac", mac_request.clone())["Mac"].clone();
    let with = |request: &Value, member: &str, value: Value| {
        let mut request = request.clone();
        request[member] = value;
        request["DryRun"] = json!(true);
        request
    };
    let sign_request = signer.request("RAW", MESSAGE);
    let would_succeed = "DryRunOperationException";
    for (operation, request, code, commands) in [
        ("Sign", with(&sign_request, "MessageType", json!("RAW")), would_succeed, vec![]),
        ("Sign", with(&sign_request, "MessageType", json!("DIGEST")), "ValidationException", vec![]),
        ("GenerateMac", with(&mac_request, "MacAlgorithm", json!("HMAC_SHA_256")), would_succeed, vec![]),
        (
            "GenerateMac",
            with(&mac_request, "MacAlgorithm", json!("HMAC_SHA_512")),
            "InvalidKeyUsageException",
            vec![],
        ),
        (
            "Verify",
            with(&sign_request, "Signature", json!(base64(&signature))),
            would_succeed,
            vec!["Verify"],
        ),
        (
            "Verify",
            with(&sign_request, "Signature", json!("eA==")),
            "KMSInvalidSignatureException",
            vec!["Verify"],
        ),
        ("VerifyMac", with(&mac_request, "Mac", mac), would_succeed, vec!["VerifyMac"]),
        ("VerifyMac", with(&mac_request, "Mac", json!("eA==")), "KMSInvalidMacException", vec!["VerifyMac"]),
    ] {
        let answer = world.send(&Ask::new(ALICE, operation, request));
        assert_eq!((answer.code, answer.commands), (Some(code), commands), "{operation}");
    }
}
