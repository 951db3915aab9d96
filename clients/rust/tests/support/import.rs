//! Material that is brought into a key as a caller does it, wrapped by a library that is not under test.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::import_key_material::ImportKeyMaterialError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    AlgorithmSpec, ExpirationModelType, KeySpec, KeyUsageType, OriginType, WrappingKeySpec,
};

/// A key without material, and what its material is to be wrapped with.
pub struct Pending {
    pub key: String,
    /// The wrapping key, as SubjectPublicKeyInfo.
    pub public: Vec<u8>,
    token: Blob,
}

impl Pending {
    pub async fn new(client: &Client, spec: KeySpec, usage: KeyUsageType) -> Self {
        let made = client.create_key().key_spec(spec).key_usage(usage).origin(OriginType::External).send();
        let key = made.await.unwrap().key_metadata().unwrap().key_id().to_owned();
        let asked = client
            .get_parameters_for_import()
            .key_id(&key)
            .wrapping_algorithm(AlgorithmSpec::RsaAesKeyWrapSha256)
            .wrapping_key_spec(WrappingKeySpec::Rsa2048);
        let given = asked.send().await.unwrap();
        let public = given.public_key().unwrap().as_ref().to_vec();
        Self { key, public, token: given.import_token().unwrap().clone() }
    }

    /// Imports what is wrapped already.
    pub async fn import(
        &self,
        client: &Client,
        wrapped: Vec<u8>,
    ) -> Result<(), SdkError<ImportKeyMaterialError>> {
        let asked = client
            .import_key_material()
            .key_id(&self.key)
            .import_token(self.token.clone())
            .encrypted_key_material(Blob::new(wrapped))
            .expiration_model(ExpirationModelType::KeyMaterialDoesNotExpire);
        asked.send().await.map(|_| ())
    }
}

/// Imports private material into a new key; answers its id.
pub async fn import(client: &Client, spec: KeySpec, usage: KeyUsageType, material: &[u8]) -> String {
    let pending = Pending::new(client, spec, usage).await;
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).unwrap();
    let mut wrapped = vec![0; material.len() + 16];
    let kek = AesKek::new(&AES_256, &key).unwrap();
    let wrapped = kek.wrap_with_padding(material, &mut wrapped).unwrap();
    pending.import(client, [&*oaep(&pending.public, &key), wrapped].concat()).await.unwrap();
    pending.key
}

/// RSAES-OAEP with SHA-256: the first half of RSA_AES_KEY_WRAP_SHA_256, before the AES-KWP of the material.
pub fn oaep(public: &[u8], clear: &[u8]) -> Vec<u8> {
    let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut out = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, clear, &mut out, None).unwrap().to_vec()
}
