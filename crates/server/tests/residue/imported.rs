//! Canaries that are made here and imported, so that what they are is known without asking anybody: a key of each family.
//! They are used, and not forgotten again: the HSM has them in its cache.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::{USES, ask};
use crate::support::client::{Client, base64, unbase64};

/// The keys that were imported.
pub(crate) struct Imported {
    /// What nobody but the HSM may have, each also in the order in which a machine keeps the parts of a large number.
    secrets: Vec<(String, Vec<u8>)>,
}

impl Imported {
    /// Makes the keys, imports and uses them.
    pub(crate) async fn new(client: &mut Client) -> Self {
        let mut imported = Self { secrets: Vec::new() };
        let curve = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let scalar: EcPrivateKeyBin<'_> = curve.private_key().as_be_bytes().unwrap();
        imported.add("EC scalar", scalar.as_ref());
        let sign = |algorithm: &str| json!({"SigningAlgorithm": algorithm, "Message": base64(b"message")});
        let spec = ("ECC_NIST_P256", "SIGN_VERIFY", "Sign", sign("ECDSA_SHA_256"));
        import(client, spec, curve.to_pkcs8v1().unwrap().as_ref()).await;

        let rsa: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        let [d, p, q] = private_numbers(rsa.as_ref());
        imported.add("RSA exponent", d);
        imported.add("RSA prime p", p);
        imported.add("RSA prime q", q);
        let spec = ("RSA_2048", "SIGN_VERIFY", "Sign", sign("RSASSA_PSS_SHA_256"));
        import(client, spec, rsa.as_ref()).await;

        let generate = json!({"MacAlgorithm": "HMAC_SHA_256", "Message": base64(b"message")});
        let hmac = ("HMAC_256", "GENERATE_VERIFY_MAC", "GenerateMac", generate);
        let encrypt = json!({"Plaintext": base64(b"plaintext")});
        let aes = ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "Encrypt", encrypt);
        for (name, spec) in [("HMAC key", hmac), ("AES key", aes)] {
            let mut material = [0; 32];
            aws_lc_rs::rand::fill(&mut material).unwrap();
            imported.add(name, &material);
            import(client, spec, &material).await;
        }
        imported
    }

    /// Each secret with its name.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.secrets.iter().map(|(name, secret)| (name.as_str(), secret.as_slice()))
    }

    /// Those that the HSM keeps as they are.
    pub(crate) fn kept_whole(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.secrets().filter(|(name, _)| name.starts_with("HMAC") || name.starts_with("AES"))
    }

    fn add(&mut self, name: &str, secret: &[u8]) {
        self.secrets.push((name.to_owned(), secret.to_vec()));
        self.secrets.push((format!("{name} reversed"), secret.iter().rev().copied().collect()));
    }
}

/// Imports a key of a spec and usage, and uses it as often as every canary, by an operation that takes its private part.
async fn import(
    client: &mut Client,
    (spec, usage, operation, mut input): (&str, &str, &str, Value),
    material: &[u8],
) {
    let create = json!({"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"});
    let id = ask(client, "CreateKey", create).await["KeyMetadata"]["KeyId"].clone();
    let how =
        json!({"KeyId": id, "WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let parameters = ask(client, "GetParametersForImport", how).await;
    let wrapped = wrap(&unbase64(parameters["PublicKey"].as_str().unwrap()), material);
    let import = json!({"KeyId": id, "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": base64(&wrapped), "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
    ask(client, "ImportKeyMaterial", import).await;
    input["KeyId"] = id;
    for _ in 0..USES {
        ask(client, operation, input.clone()).await;
    }
}

/// RSA_AES_KEY_WRAP_SHA_256: an AES key under the wrapping key, and the material under that (RFC 5649).
fn wrap(public: &[u8], material: &[u8]) -> Vec<u8> {
    let wrapping = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut wrapped = vec![0; wrapping.ciphertext_size()];
    wrapping.encrypt(&OAEP_SHA256_MGF1SHA256, &[0x42; 32], &mut wrapped, None).unwrap();
    let mut room = vec![0; material.len() + 16];
    let kek = AesKek::new(&AES_256, &[0x42; 32]).unwrap();
    wrapped.extend_from_slice(kek.wrap_with_padding(material, &mut room).unwrap());
    wrapped
}

/// The private exponent and the primes of an RSA key (RFC 8017 appendix A.1.2) in PKCS #8 (RFC 5208).
fn private_numbers(pkcs8: &[u8]) -> [&[u8]; 3] {
    let [info] = parts(pkcs8)[..] else { panic!("not one sequence") };
    let [_, _, key] = parts(info)[..] else { panic!("not PKCS #8") };
    let [key] = parts(key)[..] else { panic!("not one key") };
    let numbers = parts(key);
    let [_, _, _, d, p, q, ..] = numbers[..] else { panic!("not a key of two primes") };
    // A first byte of zeros says that the number is not negative.
    [d, p, q].map(|number| number.strip_prefix(&[0]).unwrap_or(number))
}

/// The contents of DER values that follow each other.
fn parts(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let [_, length, rest @ ..] = der {
        let (length, rest) = match length {
            0..0x80 => (usize::from(*length), rest),
            _ => {
                let (long, rest) = rest.split_at(usize::from(length & 0x7f));
                (long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, after) = rest.split_at(length);
        found.push(content);
        der = after;
    }
    found
}
