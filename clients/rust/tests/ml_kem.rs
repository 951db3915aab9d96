//! ML-KEM through the AWS SDK, both ways with RustCrypto's `ml-kem`, which is not under test: keys that are made inside, keys
//! that are imported, and data key pairs, with every set of parameters.

#[path = "support/import.rs"]
mod import;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "nothing is killed here")]
mod server;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeyPairSpec, EncapsulationAlgorithmSpec, KeySpec, KeyUsageType};
use ml_kem::kem::{Decapsulate, Decapsulator, Encapsulate, Generate, Kem};
use ml_kem::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey};
use ml_kem::{MlKem512, MlKem768, MlKem1024};
use server::{Server, free_port};

const USAGE: KeyUsageType = KeyUsageType::EncapsulateDecapsulate;

/// Decapsulates inside.
async fn open(client: &Client, key: &str, ciphertext: &[u8]) -> Vec<u8> {
    let asked = client
        .decapsulate()
        .key_id(key)
        .encapsulation_algorithm(EncapsulationAlgorithmSpec::MlKem)
        .shared_secret_ciphertext_blob(Blob::new(ciphertext));
    asked.send().await.unwrap().shared_secret().unwrap().as_ref().to_vec()
}

/// Encapsulates inside; answers the secret and its ciphertext.
async fn make(client: &Client, key: &str) -> (Vec<u8>, Vec<u8>) {
    let asked = client.encapsulate().key_id(key).encapsulation_algorithm(EncapsulationAlgorithmSpec::MlKem);
    let made = asked.send().await.unwrap();
    let ciphertext = made.shared_secret_ciphertext_blob().unwrap().as_ref().to_vec();
    (made.shared_secret().unwrap().as_ref().to_vec(), ciphertext)
}

async fn check<K>(client: &Client, spec: KeySpec, pair: DataKeyPairSpec)
where
    K: Kem,
    K::DecapsulationKey: Decapsulate + DecodePrivateKey + EncodePrivateKey,
    K::EncapsulationKey: DecodePublicKey,
{
    // A key that is made inside opens what was made outside for its public key, and what was made inside.
    let made = client.create_key().key_spec(spec.clone()).key_usage(USAGE).send().await.unwrap();
    let key = made.key_metadata().unwrap().key_id().to_owned();
    let public = client.get_public_key().key_id(&key).send().await.unwrap();
    let outside = K::EncapsulationKey::from_public_key_der(public.public_key().unwrap().as_ref()).unwrap();
    let (ciphertext, secret) = outside.encapsulate();
    assert_eq!(open(client, &key, &ciphertext).await, secret.as_slice());
    let (secret, ciphertext) = make(client, &key).await;
    assert_eq!(open(client, &key, &ciphertext).await, secret);

    // The original of an imported key opens what was made inside, and the imported key what was made outside.
    let original = K::DecapsulationKey::generate();
    let seed = original.to_pkcs8_der().unwrap();
    let imported = import::import(client, spec, USAGE, seed.as_bytes()).await;
    let (secret, ciphertext) = make(client, &imported).await;
    assert_eq!(original.decapsulate_slice(&ciphertext).unwrap().as_slice(), secret);
    let (ciphertext, secret) = original.encapsulation_key().encapsulate();
    assert_eq!(open(client, &imported, &ciphertext).await, secret.as_slice());

    // A data key pair is a pair.
    let symmetric = client.create_key().send().await.unwrap();
    let symmetric = symmetric.key_metadata().unwrap().key_id().to_owned();
    let asked = client.generate_data_key_pair().key_id(symmetric).key_pair_spec(pair);
    let made = asked.send().await.unwrap();
    let private = made.private_key_plaintext().unwrap().as_ref();
    let private = K::DecapsulationKey::from_pkcs8_der(private).unwrap();
    let public = K::EncapsulationKey::from_public_key_der(made.public_key().unwrap().as_ref()).unwrap();
    assert!(*private.encapsulation_key() == public);
    let (ciphertext, secret) = public.encapsulate();
    assert_eq!(private.decapsulate(&ciphertext), secret);
}

#[tokio::test]
async fn secrets_are_shared_with_another_library() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), free_port());
    let client = server.client();
    check::<MlKem512>(&client, KeySpec::MlKem512, DataKeyPairSpec::MlKem512).await;
    check::<MlKem768>(&client, KeySpec::MlKem768, DataKeyPairSpec::MlKem768).await;
    check::<MlKem1024>(&client, KeySpec::MlKem1024, DataKeyPairSpec::MlKem1024).await;
}
