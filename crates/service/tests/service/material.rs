//! Key material of a caller, and how it is wrapped for its import.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use serde_json::{Value, json};

use crate::world::{ALICE, Answer, Ask, Key, REGION, World, base64, unbase64};

/// Makes a key that waits for its material.
pub(crate) fn external(world: &World) -> Key {
    world.key_with(ALICE, json!({"Origin": "EXTERNAL"}))
}

/// What `GetParametersForImport` gave.
#[derive(Clone)]
pub(crate) struct Parameters {
    pub(crate) token: Vec<u8>,
    public: Vec<u8>,
    algorithm: &'static str,
}

impl Parameters {
    /// For RSAES-OAEP with SHA-256, under RSA of 2,048 bits: the fastest.
    pub(crate) fn of(world: &World, key: &Key) -> Self {
        Self::of_member(world, REGION, key)
    }

    /// The same for the member of a multi-Region set that is in a Region.
    pub(crate) fn of_member(world: &World, region: &str, key: &Key) -> Self {
        Self::in_region(world, region, key, "RSAES_OAEP_SHA_256", "RSA_2048")
    }

    pub(crate) fn with(world: &World, key: &Key, algorithm: &'static str, spec: &str) -> Self {
        Self::in_region(world, REGION, key, algorithm, spec)
    }

    fn in_region(world: &World, region: &str, key: &Key, algorithm: &'static str, spec: &str) -> Self {
        let request = json!({"KeyId": key.id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        let answer = world.succeed_in(region, ALICE, "GetParametersForImport", request);
        Self { token: unbase64(&answer["ImportToken"]), public: unbase64(&answer["PublicKey"]), algorithm }
    }

    /// Material as AWS's guide has it wrapped.
    pub(crate) fn wrap(&self, material: &[u8]) -> Vec<u8> {
        let hash =
            if self.algorithm.ends_with("SHA_1") { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 };
        let public = PublicEncryptingKey::from_der(&self.public).unwrap();
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        let oaep = |clear: &[u8]| {
            let mut wrapped = vec![0; public.ciphertext_size()];
            public.encrypt(hash, clear, &mut wrapped, None).unwrap().to_vec()
        };
        if !self.algorithm.starts_with("RSA_AES") {
            return oaep(material);
        }
        let mut wrapped = vec![0; material.len() + 16];
        let kek = AesKek::new(&AES_256, &[9; 32]).unwrap();
        let wrapped = kek.wrap_with_padding(material, &mut wrapped).unwrap();
        [&oaep(&[9; 32]), &*wrapped].concat()
    }

    /// A request to import the material for ever; `more` adds members, `null` takes them away.
    pub(crate) fn request(&self, key: &Key, material: &[u8], more: Value) -> Value {
        let mut request = json!({
            "KeyId": key.id,
            "ImportToken": base64(&self.token),
            "EncryptedKeyMaterial": base64(&self.wrap(material)),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    }
}

/// Imports material; answers its id.
pub(crate) fn import(world: &World, key: &Key, material: &[u8], more: Value) -> String {
    let request = Parameters::of(world, key).request(key, material, more);
    let answer = world.succeed(ALICE, "ImportKeyMaterial", request);
    answer["KeyMaterialId"].as_str().unwrap().to_owned()
}

/// Imports material that expires in so many days.
pub(crate) fn import_for(world: &World, key: &Key, material: &[u8], days: i64) -> String {
    let valid_to = world.later(days, 0).seconds();
    import(world, key, material, json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": valid_to}))
}

/// Imports a further material, which then waits for its rotation.
pub(crate) fn import_new(world: &World, key: &Key, material: &[u8]) -> String {
    import(world, key, material, json!({"ImportType": "NEW_KEY_MATERIAL"}))
}

/// Makes a call about one key.
pub(crate) fn on(world: &World, operation: &str, key: &Key) -> Answer {
    world.send(&Ask::new(ALICE, operation, json!({"KeyId": key.id})))
}
