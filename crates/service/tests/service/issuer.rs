//! An OpenID Connect issuer with keys of its own, and the documents that the installation fetches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
};
use claviger_service::BoxFuture;
use claviger_service::oidc::{Fetcher, NotFetched, Source};
use serde_json::{Value, json};

use crate::world::lock;

/// Documents by their addresses, and which were fetched.
#[derive(Default)]
pub(crate) struct Documents {
    served: Mutex<BTreeMap<String, Vec<u8>>>,
    fetched: Mutex<Vec<Source>>,
}

impl Documents {
    /// Serves a document.
    pub(crate) fn serve(&self, url: &str, document: impl Into<Vec<u8>>) {
        lock(&self.served).insert(url.to_owned(), document.into());
    }

    /// Serves nothing any more.
    pub(crate) fn clear(&self) {
        lock(&self.served).clear();
    }

    /// What was fetched since it was last asked.
    pub(crate) fn take_fetched(&self) -> Vec<Source> {
        std::mem::take(&mut lock(&self.fetched))
    }
}

impl Fetcher for Documents {
    fn fetch(&self, source: Source) -> BoxFuture<'static, Result<Vec<u8>, NotFetched>> {
        let document = lock(&self.served).get(&source.url).cloned();
        lock(&self.fetched).push(source);
        Box::pin(async move { document.ok_or_else(|| NotFetched("no such document".to_owned())) })
    }
}

/// A key that signs tokens.
pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
}

impl Signer {
    /// One RSA key that all tests share: making one takes long.
    pub(crate) fn rsa() -> &'static Self {
        static KEY: OnceLock<Signer> = OnceLock::new();
        KEY.get_or_init(|| Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// A new key on P-256.
    pub(crate) fn curve() -> Self {
        Self::Curve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// As a JSON Web Key.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let text = |bytes: &[u8]| base64url(bytes);
                json!({"kty": "RSA", "kid": kid, "use": "sig", "n": text(n.big_endian_without_leading_zero()),
                    "e": text(e.big_endian_without_leading_zero())})
            }
            Self::Curve(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": base64url(&point[1..33]),
                    "y": base64url(&point[33..])})
            }
        }
    }

    /// The bytes of its public key, for those who would take them for a shared secret.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Curve(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// Signs the two first parts of a token.
    pub(crate) fn sign(&self, algorithm: &str, message: &str) -> String {
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let how = if algorithm == "RS512" { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
                key.sign(how, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Curve(key) => key.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", base64url(&signature))
    }

    /// A token with this header and payload, as they are spelled.
    pub(crate) fn token(&self, header: &str, payload: &str) -> String {
        let algorithm = serde_json::from_str::<Value>(header).map(|it| it["alg"].clone()).unwrap_or_default();
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        self.sign(algorithm.as_str().unwrap_or_default(), &message)
    }
}

/// Base64 for URLs, without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Serves an issuer: its configuration and these keys.
pub(crate) fn serve(documents: &Arc<Documents>, issuer: &str, keys: &[Value]) {
    let configuration = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
    documents.serve(&format!("{issuer}/.well-known/openid-configuration"), configuration.to_string());
    documents.serve(&format!("{issuer}/keys"), json!({"keys": keys}).to_string());
}
