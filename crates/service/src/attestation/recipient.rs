//! The key to which an answer is encrypted.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicEncryptingKey;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::refusal::Refusal;

/// Smallest public exponent (FIPS 186-5, section 5.1).
const MIN_EXPONENT: u64 = 65_537;

/// Whether a key is one RSA `SubjectPublicKeyInfo` in DER and nothing else, of 2048 to 4096 bits.
pub(super) fn check(spki: &[u8]) -> Result<(), Refusal> {
    if spki.is_empty() {
        return Err(Refusal::PublicKey("is missing"));
    }
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| Refusal::PublicKey("is no RSA key"))?;
    if !(2048..=4096).contains(&key.key_size_bits()) {
        return Err(Refusal::PublicKey("has a wrong size"));
    }
    // What the library would write is the one encoding; anything else is another spelling of the key, or has more.
    let written = key.as_der().map_err(|_| Refusal::PublicKey("cannot be written"))?;
    if written.as_ref() != spki {
        return Err(Refusal::PublicKey("is not in DER"));
    }
    match exponent(spki) {
        Some(exponent) if exponent >= MIN_EXPONENT && exponent % 2 == 1 => Ok(()),
        _ => Err(Refusal::PublicKey("has a wrong exponent")),
    }
}

fn exponent(spki: &[u8]) -> Option<u64> {
    let (_, info) = SubjectPublicKeyInfo::from_der(spki).ok()?;
    match info.parsed().ok()? {
        PublicKey::RSA(key) => key.try_exponent().ok(),
        _ => None,
    }
}
