//! Ed25519 and Ed25519ph (RFC 8032, FIPS 186-5).
//!
//! `ED25519_PH_SHA_512` takes a digest of 64 bytes as its message: Ed25519ph hashes what it is given, so what a
//! caller sends is hashed twice in all ("Asymmetric key specs" of the AWS KMS Developer Guide).

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use claviger_hsm_proto::Refusal;
use pkcs8::ObjectIdentifier;
use zeroize::Zeroizing;

use super::spec::{Message, SigningAlgorithm};
use super::{Material, Signing, Verifying, encoding, ffi, internal};
use crate::random::Entropy;

/// `id-Ed25519` (RFC 8410 section 3).
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const SEED_LEN: usize = 32;
const PUBLIC_LEN: usize = 32;

/// A new key.
pub(super) fn generate(entropy: &Entropy) -> Result<Material, Refusal> {
    let mut seed = Zeroizing::new([0; SEED_LEN]);
    entropy.fill(&mut *seed)?;
    export(&Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(internal)?)
}

/// Reads a PKCS #8 key, version 1 or 2. AWS-LC checks that the public key of version 2 belongs to it.
pub(super) fn import(der: &[u8]) -> Option<Material> {
    let info = encoding::private_key_info(der)?;
    if info.algorithm.oid != ED25519_OID || info.algorithm.parameters.is_some() {
        return None;
    }
    export(&Ed25519KeyPair::from_pkcs8(der).ok()?).ok()
}

fn export(pair: &Ed25519KeyPair) -> Result<Material, Refusal> {
    let private = pair.to_pkcs8v1().map_err(internal)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(internal)?;
    Ok(Material {
        private: Zeroizing::new(private.as_ref().to_vec()),
        public: Some(public.as_ref().to_vec()),
    })
}

/// A key that signs.
pub(super) struct SigningKey {
    pair: Ed25519KeyPair,
    /// Seed and public key, as Ed25519ph takes them. Beside AWS-LC's own copy in `pair`, on the same heap.
    expanded: Box<Zeroizing<[u8; SEED_LEN + PUBLIC_LEN]>>,
    public: VerifyingKey,
}

/// A key that verifies.
pub(super) struct VerifyingKey {
    key: ParsedPublicKey,
    bytes: [u8; PUBLIC_LEN],
}

impl SigningKey {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        let pair = Ed25519KeyPair::from_pkcs8(stored).map_err(internal)?;
        let public = VerifyingKey::of(pair.public_key().as_ref()).ok_or(Refusal::Internal)?;
        // The last 32 bytes of a version 1 key are the seed; a copy of it by AWS-LC would not be cleared.
        let seed = stored.last_chunk::<SEED_LEN>().ok_or(Refusal::Internal)?;
        let mut expanded = Box::new(Zeroizing::new([0; SEED_LEN + PUBLIC_LEN]));
        expanded.iter_mut().zip(seed.iter().chain(&public.bytes)).for_each(|(place, byte)| *place = *byte);
        Ok(Self { pair, expanded, public })
    }
}

impl VerifyingKey {
    pub(super) fn parse(public: &[u8]) -> Option<Self> {
        Self::of(&encoding::public_key(public, ED25519_OID)?)
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(&ED25519, bytes).ok()?;
        Some(Self { key, bytes: bytes.try_into().ok()? })
    }
}

impl Signing for SigningKey {
    fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: Message<'_>,
        _: &Entropy,
    ) -> Result<Vec<u8>, Refusal> {
        match (algorithm, message) {
            (SigningAlgorithm::Ed25519Sha512, Message::Raw(message)) => {
                self.pair.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(internal)
            }
            (SigningAlgorithm::Ed25519PhSha512, Message::Digest(given)) => {
                let digest = sha512(given).ok_or(Refusal::Internal)?;
                let signature = ffi::ed25519ph_sign(&self.expanded, &digest);
                signature.map(|signature| signature.to_vec()).ok_or(Refusal::Internal)
            }
            _ => Err(Refusal::Usage),
        }
    }

    fn public(&self) -> &dyn Verifying {
        &self.public
    }
}

impl Verifying for VerifyingKey {
    fn verify(&self, algorithm: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool {
        match (algorithm, message) {
            (SigningAlgorithm::Ed25519Sha512, Message::Raw(message)) => {
                self.key.verify_sig(message, signature).is_ok()
            }
            (SigningAlgorithm::Ed25519PhSha512, Message::Digest(given)) => {
                let (Some(digest), Ok(signature)) = (sha512(given), signature.try_into()) else {
                    return false;
                };
                ffi::ed25519ph_verify(&self.bytes, &digest, signature)
            }
            _ => false,
        }
    }
}

fn sha512(given: &[u8]) -> Option<[u8; 64]> {
    digest::digest(&digest::SHA512, given).as_ref().try_into().ok()
}
