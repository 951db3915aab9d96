//! ECDSA on secp256k1 (SEC 2) with `k256`: pure Rust, in constant time where secrets are, and audited (NCC Group). It is
//! seven times as fast as AWS-LC, which has no path of its own for this curve.
//!
//! Signatures are deterministic (RFC 6979) with fresh randomness mixed in, and have the smaller `s`. In verifying
//! both values of `s` are accepted, as FIPS 186-5 has it.

use claviger_hsm_proto::Refusal;
use k256::ecdsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use k256::ecdsa::{Signature, SigningKey as Signer, VerifyingKey as Verifier};
use k256::elliptic_curve::Generate;
use k256::{PublicKey, SecretKey};
use pkcs8::{AssociatedOid, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use zeroize::Zeroizing;

use super::spec::{Message, SigningAlgorithm};
use super::{Material, Signing, Verifying, encoding, internal};
use crate::primitives::sha256;
use crate::random::Entropy;

/// A new key.
pub(super) fn generate(entropy: &Entropy) -> Result<Material, Refusal> {
    export(&SecretKey::try_generate_from_rng(&mut entropy.generator()).map_err(|_| Refusal::Randomness)?)
}

/// Reads a PKCS #8 key on this named curve, whose scalar is in range and whose point, if there is one, belongs to it.
pub(super) fn import(der: &[u8]) -> Option<Material> {
    let key = encoding::ec_private_key(der, k256::Secp256k1::OID)?;
    export(&SecretKey::try_from(key).ok()?).ok()
}

fn export(key: &SecretKey) -> Result<Material, Refusal> {
    let private = key.to_pkcs8_der().map_err(internal)?;
    let public = key.public_key().to_public_key_der().map_err(internal)?;
    Ok(Material { private: private.to_bytes(), public: Some(public.into_vec()) })
}

/// A key that signs.
pub(super) struct SigningKey {
    signer: Signer,
    public: VerifyingKey,
}

/// A key that verifies.
pub(super) struct VerifyingKey(Verifier);

impl SigningKey {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        let key = encoding::ec_private_key(stored, k256::Secp256k1::OID).ok_or(Refusal::Internal)?;
        let signer = Signer::from(SecretKey::try_from(key).map_err(internal)?);
        let public = VerifyingKey(*signer.verifying_key());
        Ok(Self { signer, public })
    }
}

impl VerifyingKey {
    pub(super) fn parse(public: &[u8]) -> Option<Self> {
        PublicKey::from_public_key_der(public).ok().map(|key| Self(key.into()))
    }
}

impl Signing for SigningKey {
    fn sign(&self, _: SigningAlgorithm, message: Message<'_>, entropy: &Entropy) -> Result<Vec<u8>, Refusal> {
        let digest = digest(message).ok_or(Refusal::Usage)?;
        let signature: Signature = self
            .signer
            .sign_prehash_with_rng(&mut entropy.generator(), digest.as_ref())
            .map_err(|_| Refusal::Randomness)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn public(&self) -> &dyn Verifying {
        &self.public
    }
}

impl Verifying for VerifyingKey {
    fn verify(&self, _: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool {
        let Some(digest) = digest(message) else { return false };
        let Ok(signature) = Signature::from_der(signature) else { return false };
        self.0.verify_prehash(digest.as_ref(), &signature.normalize_s()).is_ok()
    }
}

fn digest(message: Message<'_>) -> Option<Zeroizing<[u8; 32]>> {
    match message {
        Message::Raw(message) => Some(Zeroizing::new(sha256(message))),
        Message::Digest(digest) => digest.try_into().ok().map(Zeroizing::new),
        Message::ExternalMu(_) => None,
    }
}
