//! HMAC (FIPS 198-1) with SHA-2. A key authenticates with the hash of its own spec only.

use aws_lc_rs::hmac;
use claviger_hsm_proto::Refusal;
use zeroize::Zeroizing;

use super::Material;
use super::spec::{MacAlgorithm, Spec};
use crate::random::Entropy;

/// Longest key in bytes ("Requirements for imported key material" of the AWS KMS Developer Guide: 1,024 bits).
pub(crate) const MAX_KEY_LEN: usize = 128;

/// A new key, as long as the hash ("HMAC key specs" of the AWS KMS Developer Guide).
pub(super) fn generate(spec: Spec, entropy: &Entropy) -> Result<Material, Refusal> {
    let mut private = Zeroizing::new(vec![0; min_len(spec).ok_or(Refusal::Usage)?]);
    entropy.fill(&mut private)?;
    Ok(Material { private, public: None })
}

/// Takes a key from the hash's length up to [`MAX_KEY_LEN`].
pub(super) fn import(spec: Spec, key: &[u8]) -> Option<Material> {
    let is_sized = (min_len(spec)?..=MAX_KEY_LEN).contains(&key.len());
    is_sized.then(|| Material { private: Zeroizing::new(key.to_vec()), public: None })
}

fn min_len(spec: Spec) -> Option<usize> {
    spec.mac_algorithm().map(|algorithm| hash(algorithm).digest_algorithm().output_len())
}

/// Appends the code of a message to `out`.
pub(crate) fn generate_mac(algorithm: MacAlgorithm, key: &[u8], message: &[u8], out: &mut Vec<u8>) {
    let code = hmac::sign(&hmac::Key::new(hash(algorithm), key), message);
    out.extend_from_slice(code.as_ref());
}

/// Whether a code is that of the message, compared in constant time. A code that was cut short is not.
pub(crate) fn verify_mac(algorithm: MacAlgorithm, key: &[u8], message: &[u8], code: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hash(algorithm), key), message, code).is_ok()
}

fn hash(algorithm: MacAlgorithm) -> hmac::Algorithm {
    match algorithm {
        MacAlgorithm::HmacSha224 => hmac::HMAC_SHA224,
        MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
        MacAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
        MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
    }
}
