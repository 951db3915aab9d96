//! Encryption with RSA and SM2: here and elsewhere, between kinds of keys, and what is refused.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::kinds::{make, public_key, region_of};
use crate::world::{ALICE, Ask, Key, Transcript, World, base64, unbase64};

/// Specs and algorithms with the longest plaintext of each and the length of its ciphertexts, in bytes.
const RSA: [(&str, &str, usize, usize); 6] = [
    ("RSA_2048", "RSAES_OAEP_SHA_1", 214, 256),
    ("RSA_2048", "RSAES_OAEP_SHA_256", 190, 256),
    ("RSA_3072", "RSAES_OAEP_SHA_1", 342, 384),
    ("RSA_3072", "RSAES_OAEP_SHA_256", 318, 384),
    ("RSA_4096", "RSAES_OAEP_SHA_1", 470, 512),
    ("RSA_4096", "RSAES_OAEP_SHA_256", 446, 512),
];

fn encrypt(world: &World, spec: &str, key: &Key, algorithm: &str, plaintext: &[u8]) -> Vec<u8> {
    let request = json!({"KeyId": key.id, "Plaintext": base64(plaintext), "EncryptionAlgorithm": algorithm});
    let made = world.succeed_in(region_of(spec), ALICE, "Encrypt", request);
    assert_eq!((&made["KeyId"], &made["EncryptionAlgorithm"]), (&json!(key.arn), &json!(algorithm)));
    unbase64(&made["CiphertextBlob"])
}

fn decrypt(
    world: &World,
    spec: &str,
    key: &Key,
    algorithm: &str,
    ciphertext: &[u8],
) -> Result<Vec<u8>, &'static str> {
    let request =
        json!({"KeyId": key.id, "CiphertextBlob": base64(ciphertext), "EncryptionAlgorithm": algorithm});
    let answer = world.send(&Ask::new(ALICE, "Decrypt", request).region(region_of(spec)));
    if let Some(code) = answer.code {
        assert_eq!(answer.body, json!({"__type": code}).to_string(), "such an error has no message");
        return Err(code);
    }
    let opened: Value = serde_json::from_str(&answer.body).unwrap();
    let expected =
        json!({"KeyId": key.arn, "Plaintext": opened["Plaintext"], "EncryptionAlgorithm": algorithm});
    assert_eq!(opened, expected, "only a symmetric key names its material");
    Ok(unbase64(&opened["Plaintext"]))
}

/// What other libraries encrypt to a public key, the key opens.
fn encrypt_elsewhere(public: &[u8], algorithm: &str, plaintext: &[u8]) -> Vec<u8> {
    let oaep: &'static OaepAlgorithm = match algorithm {
        "RSAES_OAEP_SHA_1" => &OAEP_SHA1_MGF1SHA1,
        _ => &OAEP_SHA256_MGF1SHA256,
    };
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut ciphertext = vec![0; key.ciphertext_size()];
    key.encrypt(oaep, plaintext, &mut ciphertext, None).unwrap().to_vec()
}

#[test]
fn rsa_encrypts_up_to_its_bounds_here_and_elsewhere() {
    let world = World::new();
    for (spec, algorithm, longest, length) in RSA {
        let key = make(&world, spec, "ENCRYPT_DECRYPT");
        let public = public_key(&world, spec, &key);
        for plaintext in [vec![0], vec![7; longest]] {
            let ciphertext = encrypt(&world, spec, &key, algorithm, &plaintext);
            assert_eq!(ciphertext.len(), length, "as long as the modulus, without a header");
            assert_eq!(decrypt(&world, spec, &key, algorithm, &ciphertext), Ok(plaintext.clone()));
            let foreign = encrypt_elsewhere(&public, algorithm, &plaintext);
            assert_eq!(decrypt(&world, spec, &key, algorithm, &foreign), Ok(plaintext));
        }
        let request = json!({"KeyId": key.id, "Plaintext": base64(&vec![7; longest + 1]),
            "EncryptionAlgorithm": algorithm});
        let answer = world.send(&Ask::new(ALICE, "Encrypt", request));
        let says = format!(
            "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} bytes."
        );
        assert_eq!(answer.body, json!({"__type": "ValidationException", "message": says}).to_string());
    }
}

#[test]
fn sm2_encrypts_up_to_its_bound() {
    let world = World::new();
    let key = make(&world, "SM2", "ENCRYPT_DECRYPT");
    for plaintext in [vec![0], vec![7; 1024]] {
        let ciphertext = encrypt(&world, "SM2", &key, "SM2PKE", &plaintext);
        assert_eq!(decrypt(&world, "SM2", &key, "SM2PKE", &ciphertext), Ok(plaintext));
    }
    let request = json!({"KeyId": key.id, "Plaintext": base64(&[7; 1025]), "EncryptionAlgorithm": "SM2PKE"});
    let answer = world.send(&Ask::new(ALICE, "Encrypt", request).region("cn-north-1"));
    let says = "Algorithm SM2PKE and key spec SM2 cannot encrypt data larger than 1024 bytes.";
    assert_eq!(answer.body, json!({"__type": "ValidationException", "message": says}).to_string());
}

/// Altered, cut, of another key or algorithm: the one error, without a word of the reason.
#[test]
fn what_is_no_ciphertext_of_the_key_does_not_open() {
    let world = World::new();
    for (spec, algorithm) in
        [("RSA_2048", "RSAES_OAEP_SHA_1"), ("RSA_2048", "RSAES_OAEP_SHA_256"), ("SM2", "SM2PKE")]
    {
        let (key, other) = (make(&world, spec, "ENCRYPT_DECRYPT"), make(&world, spec, "ENCRYPT_DECRYPT"));
        let ciphertext = encrypt(&world, spec, &key, algorithm, b"secret");
        let invalid = Err("InvalidCiphertextException");
        assert_eq!(decrypt(&world, spec, &other, algorithm, &ciphertext), invalid);
        for place in [0, 1, ciphertext.len() / 2, ciphertext.len() - 1] {
            let mut altered = ciphertext.clone();
            altered[place] ^= 1;
            assert_eq!(decrypt(&world, spec, &key, algorithm, &altered), invalid, "{spec} {place}");
        }
        for wrong in [
            vec![1; 10],
            vec![1; 256],
            vec![0xff; 256],
            vec![0; 256],
            ciphertext[1..].to_vec(),
            [&ciphertext[..], &[0]].concat(),
            vec![1; 6144],
        ] {
            assert_eq!(decrypt(&world, spec, &key, algorithm, &wrong), invalid, "{spec} {}", wrong.len());
        }
        assert_eq!(decrypt(&world, spec, &key, algorithm, &ciphertext), Ok(b"secret".to_vec()));
    }
    let key = make(&world, "RSA_2048", "ENCRYPT_DECRYPT");
    let ciphertext = encrypt(&world, "RSA_2048", &key, "RSAES_OAEP_SHA_1", b"secret");
    let invalid = Err("InvalidCiphertextException");
    assert_eq!(decrypt(&world, "RSA_2048", &key, "RSAES_OAEP_SHA_256", &ciphertext), invalid);
}

/// A ciphertext of an asymmetric key does not name it: the request must name key and algorithm, and bind nothing to it.
#[test]
fn asymmetric_ciphertexts_need_their_key_and_algorithm() {
    let world = World::new();
    let (symmetric, rsa) = (world.key(ALICE), make(&world, "RSA_2048", "ENCRYPT_DECRYPT"));
    let signs = make(&world, "RSA_2048", "SIGN_VERIFY");
    let blob = world.encrypt(ALICE, &symmetric, b"secret", json!({}));
    let oaep = "RSAES_OAEP_SHA_256";
    let ciphertext = base64(&encrypt(&world, "RSA_2048", &rsa, oaep, b"secret"));
    let mut calls = Transcript::of(&world);
    calls.note("Without the key, without the algorithm, with another.");
    for request in [
        json!({"CiphertextBlob": ciphertext, "EncryptionAlgorithm": oaep}),
        json!({"CiphertextBlob": ciphertext}),
        json!({"CiphertextBlob": ciphertext, "KeyId": rsa.id}),
        json!({"CiphertextBlob": ciphertext, "KeyId": rsa.id, "EncryptionAlgorithm": "SM2PKE"}),
        json!({"CiphertextBlob": ciphertext, "KeyId": symmetric.id, "EncryptionAlgorithm": oaep}),
        json!({"CiphertextBlob": ciphertext, "KeyId": signs.id, "EncryptionAlgorithm": oaep}),
        json!({"CiphertextBlob": blob, "KeyId": rsa.id}),
        json!({"CiphertextBlob": blob, "KeyId": signs.id}),
        json!({"CiphertextBlob": blob, "KeyId": rsa.id, "EncryptionAlgorithm": oaep}),
    ] {
        calls.ask(ALICE, "Decrypt", request);
    }
    for request in [
        json!({"CiphertextBlob": ciphertext, "SourceEncryptionAlgorithm": oaep, "DestinationKeyId": symmetric.id}),
        json!({"CiphertextBlob": ciphertext, "SourceKeyId": rsa.id, "DestinationKeyId": symmetric.id}),
        json!({"CiphertextBlob": blob, "DestinationKeyId": rsa.id}),
        json!({"CiphertextBlob": blob, "DestinationKeyId": signs.id, "DestinationEncryptionAlgorithm": oaep}),
    ] {
        calls.ask(ALICE, "ReEncrypt", request);
    }
    calls.note("With an encryption context.");
    let context = json!({"a": "b"});
    calls.ask(
        ALICE,
        "Encrypt",
        json!({"KeyId": rsa.id, "Plaintext": "eA==", "EncryptionAlgorithm": oaep, "EncryptionContext": context}),
    );
    calls.ask(
        ALICE,
        "Decrypt",
        json!({"CiphertextBlob": ciphertext, "KeyId": rsa.id, "EncryptionAlgorithm": oaep,
            "EncryptionContext": context}),
    );
    calls.ask(
        ALICE,
        "ReEncrypt",
        json!({"CiphertextBlob": ciphertext, "SourceKeyId": rsa.id, "SourceEncryptionAlgorithm": oaep,
            "SourceEncryptionContext": context, "DestinationKeyId": symmetric.id}),
    );
    calls.ask(
        ALICE,
        "ReEncrypt",
        json!({"CiphertextBlob": blob, "DestinationKeyId": rsa.id, "DestinationEncryptionAlgorithm": oaep,
            "DestinationEncryptionContext": context}),
    );
    calls.note("An empty one is none.");
    calls.ask(
        ALICE,
        "Decrypt",
        json!({"CiphertextBlob": ciphertext, "KeyId": rsa.id, "EncryptionAlgorithm": oaep, "EncryptionContext": {}}),
    );
    calls.compare(&expect_file!["golden/asymmetric.txt"]);
}

/// A key with the algorithm it is used with here.
struct Side {
    key: Key,
    algorithm: &'static str,
}

fn sides(world: &World) -> [Side; 3] {
    let rsa = |algorithm| Side { key: make(world, "RSA_2048", "ENCRYPT_DECRYPT"), algorithm };
    [
        Side { key: world.key(ALICE), algorithm: "SYMMETRIC_DEFAULT" },
        rsa("RSAES_OAEP_SHA_1"),
        rsa("RSAES_OAEP_SHA_256"),
    ]
}

/// From every kind of key to every other in one command of the HSM.
#[test]
fn ciphertexts_move_between_kinds_of_keys() {
    let world = World::new();
    let sides = sides(&world);
    for from in &sides {
        let old = encrypt(&world, "", &from.key, from.algorithm, b"secret");
        for to in &sides {
            let request = json!({"CiphertextBlob": base64(&old), "SourceKeyId": from.key.id,
                "SourceEncryptionAlgorithm": from.algorithm, "DestinationKeyId": to.key.id,
                "DestinationEncryptionAlgorithm": to.algorithm});
            let answer = world.send(&Ask::new(ALICE, "ReEncrypt", request.clone()));
            assert_eq!(answer.commands, ["ReEncrypt"], "the plaintext stays in the HSM: {}", answer.body);
            let made: Value = serde_json::from_str(&answer.body).unwrap();
            for (side, member, material, in_trail) in [
                (from, "SourceEncryptionAlgorithm", "SourceKeyMaterialId", "sourceKeyMaterialId"),
                (
                    to,
                    "DestinationEncryptionAlgorithm",
                    "DestinationKeyMaterialId",
                    "destinationKeyMaterialId",
                ),
            ] {
                assert_eq!(made[member], side.algorithm);
                let is_symmetric = side.algorithm == "SYMMETRIC_DEFAULT";
                assert_eq!(made.get(material).is_some(), is_symmetric, "{made}");
                let additional = &answer.event["additionalEventData"];
                assert_eq!(additional.get(in_trail).is_some(), is_symmetric, "{additional}");
                assert_ne!(*additional, json!({}));
            }
            let request = json!({"KeyId": to.key.id, "EncryptionAlgorithm": to.algorithm,
                "CiphertextBlob": made["CiphertextBlob"]});
            let opened = world.succeed(ALICE, "Decrypt", request.clone());
            assert_eq!(unbase64(&opened["Plaintext"]), b"secret");
        }
    }
}

/// What is too long for the other key cannot move to it, and a dry run says so.
#[test]
fn a_content_that_is_too_long_does_not_move() {
    let world = World::new();
    let [symmetric, sha1, sha256] = sides(&world);
    let longest = encrypt(&world, "", &sha1.key, sha1.algorithm, &[7; 214]);
    let long = encrypt(&world, "", &symmetric.key, symmetric.algorithm, &[7; 191]);
    for (from, old) in [(&sha1, longest), (&symmetric, long)] {
        for dry_run in [false, true] {
            let request = json!({"CiphertextBlob": base64(&old), "SourceKeyId": from.key.id,
                "SourceEncryptionAlgorithm": from.algorithm, "DestinationKeyId": sha256.key.id,
                "DestinationEncryptionAlgorithm": sha256.algorithm, "DryRun": dry_run});
            let answer = world.send(&Ask::new(ALICE, "ReEncrypt", request));
            let says = "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.";
            assert_eq!(answer.body, json!({"__type": "ValidationException", "message": says}).to_string());
        }
    }
}

#[test]
fn a_dry_run_checks_all_that_it_can() {
    let world = World::new();
    let [symmetric, _, rsa] = sides(&world);
    let ciphertext = base64(&encrypt(&world, "", &rsa.key, rsa.algorithm, b"secret"));
    let would_succeed = "DryRunOperationException";
    for (operation, mut request, code, commands) in [
        (
            "Encrypt",
            json!({"KeyId": rsa.key.id, "Plaintext": base64(&[7; 190]), "EncryptionAlgorithm": rsa.algorithm}),
            would_succeed,
            vec![],
        ),
        (
            "Encrypt",
            json!({"KeyId": rsa.key.id, "Plaintext": base64(&[7; 191]), "EncryptionAlgorithm": rsa.algorithm}),
            "ValidationException",
            vec![],
        ),
        (
            "Decrypt",
            json!({"KeyId": rsa.key.id, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": rsa.algorithm}),
            would_succeed,
            vec!["Decrypt"],
        ),
        (
            "Decrypt",
            json!({"KeyId": rsa.key.id, "CiphertextBlob": "eA==", "EncryptionAlgorithm": rsa.algorithm}),
            "InvalidCiphertextException",
            vec!["Decrypt"],
        ),
        (
            "Decrypt",
            json!({"KeyId": rsa.key.id, "EncryptionAlgorithm": rsa.algorithm,
                "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
            would_succeed,
            vec![],
        ),
        (
            "ReEncrypt",
            json!({"SourceKeyId": rsa.key.id, "SourceEncryptionAlgorithm": rsa.algorithm,
                "DestinationKeyId": symmetric.key.id, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
            would_succeed,
            vec![],
        ),
    ] {
        request["DryRun"] = json!(true);
        let answer = world.send(&Ask::new(ALICE, operation, request));
        assert_eq!((answer.code, answer.commands), (Some(code), commands), "{operation}");
    }
}
