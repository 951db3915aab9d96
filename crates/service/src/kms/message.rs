//! What is signed: a message, its digest, or its representative.

use claviger_hsm_proto::MessageKind;

use crate::error::{Error, Result};
use crate::kms::shapes::{KeySpec, MessageType, SigningAlgorithm};

/// Length of the representative of FIPS 204 in bytes.
const MU_LEN: usize = 64;

/// Checks that a key's algorithm takes messages of this type, and that the message has a length of the type.
///
/// # Errors
/// `ValidationException`.
pub(crate) fn check(
    spec: KeySpec,
    algorithm: SigningAlgorithm,
    kind: MessageType,
    message: &[u8],
) -> Result<MessageKind> {
    use SigningAlgorithm::{Ed25519PhSha512, Ed25519Sha512, MlDsaShake256};
    match (kind, algorithm) {
        (MessageType::Raw, Ed25519PhSha512) | (MessageType::Digest, Ed25519Sha512) => {
            Err(incompatible(kind, "algorithm", algorithm.as_str()))
        }
        (MessageType::Raw, _) => Ok(MessageKind::Raw),
        (MessageType::Digest, MlDsaShake256) => Err(incompatible(kind, "key spec", spec.as_str())),
        (MessageType::Digest, _) if Some(message.len()) == digest_len(algorithm) => Ok(MessageKind::Digest),
        (MessageType::ExternalMu, MlDsaShake256) if message.len() == MU_LEN => Ok(MessageKind::ExternalMu),
        (MessageType::Digest, _) | (MessageType::ExternalMu, MlDsaShake256) => {
            Err(Error::validation(format!("Digest is invalid length for algorithm {}.", algorithm.as_str())))
        }
        (MessageType::ExternalMu, _) => Err(incompatible(kind, "key spec", spec.as_str())),
    }
}

fn incompatible(kind: MessageType, with: &str, name: &str) -> Error {
    Error::validation(format!("Message type {} is incompatible with {with} {name}.", kind.as_str()))
}

/// Length of the digest that an algorithm signs, in bytes.
const fn digest_len(algorithm: SigningAlgorithm) -> Option<usize> {
    use SigningAlgorithm as Sign;
    match algorithm {
        Sign::RsassaPssSha256 | Sign::RsassaPkcs1V15Sha256 | Sign::EcdsaSha256 | Sign::Sm2Dsa => Some(32),
        Sign::RsassaPssSha384 | Sign::RsassaPkcs1V15Sha384 | Sign::EcdsaSha384 => Some(48),
        Sign::RsassaPssSha512 | Sign::RsassaPkcs1V15Sha512 | Sign::EcdsaSha512 | Sign::Ed25519PhSha512 => {
            Some(64)
        }
        Sign::MlDsaShake256 | Sign::Ed25519Sha512 => None,
    }
}
