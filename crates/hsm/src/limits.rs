//! Bounds on what a command may carry, and which keys may do what. Checked before any secret is touched.

use claviger_hsm_proto::{Binding, CredentialBinding, MessageKind, Refusal, WrappedKey, blob};

use crate::algorithms::{
    self, EncryptionAlgorithm, Kind, MacAlgorithm, Message, SigningAlgorithm, Spec, Usage,
};

/// Longest region, service and key spec in bytes.
const MAX_NAME_LEN: usize = 64;
/// Longest key id and access key id in bytes (`AccessKeyIdType` of the IAM API).
const MAX_ID_LEN: usize = 128;
/// Most bytes a caller may ask for at once (`NumberOfBytesType` of the KMS API).
const MAX_RANDOM_LEN: u16 = 1024;

/// A key that encrypts and decrypts, with this algorithm.
///
/// # Errors
/// [`Refusal::Usage`] for another usage or algorithm; what [`kind()`] refuses.
pub(crate) fn encrypts(
    key: &WrappedKey<'_>,
    algorithm: &str,
) -> Result<(Kind, EncryptionAlgorithm), Refusal> {
    let (kind, algorithm) = (kind(&key.binding)?, EncryptionAlgorithm::parse(algorithm)?);
    kind.encrypts(algorithm)?;
    Ok((kind, algorithm))
}

/// A key that signs and verifies, with this algorithm, and a message that the algorithm has.
///
/// # Errors
/// [`Refusal::Usage`] for another usage, algorithm or kind of message; [`Refusal::Length`] for a message that is too
/// long, too short or not as long as a digest; what [`kind()`] refuses.
pub(crate) fn signs<'m>(
    key: &WrappedKey<'_>,
    algorithm: &str,
    message_kind: MessageKind,
    message: &'m [u8],
) -> Result<(Kind, SigningAlgorithm, Message<'m>), Refusal> {
    let (kind, algorithm) = (kind(&key.binding)?, SigningAlgorithm::parse(algorithm)?);
    kind.signs(algorithm)?;
    Ok((kind, algorithm, algorithm.message(message_kind, message)?))
}

/// A key that authenticates messages, with this algorithm, and a message of 1 to 4,096 bytes.
///
/// # Errors
/// [`Refusal::Usage`] for another usage or algorithm; [`Refusal::Length`]; what [`kind()`] refuses.
pub(crate) fn authenticates(
    key: &WrappedKey<'_>,
    algorithm: &str,
    message: &[u8],
) -> Result<(Kind, MacAlgorithm), Refusal> {
    let (kind, algorithm) = (kind(&key.binding)?, MacAlgorithm::parse(algorithm)?);
    kind.authenticates(algorithm)?;
    algorithms::within_bounds(message)?;
    Ok((kind, algorithm))
}

/// A signature or a message authentication code to look at: 1 to 6,144 bytes (`CiphertextType` of the KMS API).
///
/// # Errors
/// [`Refusal::Length`].
pub(crate) fn signature(signature: &[u8]) -> Result<(), Refusal> {
    if (1..=blob::MAX_BLOB_LEN).contains(&signature.len()) { Ok(()) } else { Err(Refusal::Length) }
}

/// A key of this usage.
///
/// # Errors
/// [`Refusal::Usage`] for another usage; what [`kind()`] refuses.
pub(crate) fn usage(key: &WrappedKey<'_>, usage: Usage) -> Result<Kind, Refusal> {
    kind(&key.binding)?.requires(usage)
}

/// A binding of a symmetric key.
///
/// # Errors
/// [`Refusal::Usage`] for another spec; what [`kind()`] refuses.
pub(crate) fn symmetric(place: &Binding<'_>) -> Result<(), Refusal> {
    if kind(place)?.spec == Spec::SymmetricDefault { Ok(()) } else { Err(Refusal::Usage) }
}

/// What a key is, by its binding.
///
/// # Errors
/// [`Refusal::Usage`] for a spec and usage that do not go together; what [`binding()`] refuses.
pub(crate) fn kind(place: &Binding<'_>) -> Result<Kind, Refusal> {
    binding(place)?;
    Kind::parse(place.spec, place.usage)
}

/// Every part of a binding has a sensible length.
///
/// # Errors
/// [`Refusal::Length`], [`Refusal::Malformed`].
pub(crate) fn binding(place: &Binding<'_>) -> Result<(), Refusal> {
    digits::<12>(place.account)?;
    bounded(place.region, MAX_NAME_LEN)?;
    bounded(place.key_id, MAX_ID_LEN)?;
    bounded(place.spec, MAX_NAME_LEN)?;
    bounded(place.usage, MAX_NAME_LEN)
}

/// A Region other than the one of a binding has a sensible length.
///
/// # Errors
/// [`Refusal::Length`].
pub(crate) fn region(name: &str) -> Result<(), Refusal> {
    bounded(name, MAX_NAME_LEN)
}

/// Every part of a credential's binding has a sensible length.
///
/// # Errors
/// [`Refusal::Length`], [`Refusal::Malformed`].
pub(crate) fn credential(place: &CredentialBinding<'_>) -> Result<(), Refusal> {
    digits::<12>(place.account)?;
    bounded(place.access_key_id, MAX_ID_LEN)
}

/// A credential scope.
///
/// # Errors
/// [`Refusal::Length`], [`Refusal::Malformed`].
pub(crate) fn scope(date: &str, region: &str, service: &str) -> Result<(), Refusal> {
    digits::<8>(date)?;
    bounded(region, MAX_NAME_LEN)?;
    bounded(service, MAX_NAME_LEN)
}

/// A number of bytes to make up.
///
/// # Errors
/// [`Refusal::Length`].
pub(crate) fn random_len(length: u16) -> Result<usize, Refusal> {
    if (1..=MAX_RANDOM_LEN).contains(&length) { Ok(usize::from(length)) } else { Err(Refusal::Length) }
}

fn digits<const N: usize>(text: &str) -> Result<(), Refusal> {
    if text.len() != N {
        return Err(Refusal::Length);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) { Ok(()) } else { Err(Refusal::Malformed) }
}

fn bounded(text: &str, max: usize) -> Result<(), Refusal> {
    if (1..=max).contains(&text.len()) { Ok(()) } else { Err(Refusal::Length) }
}

#[cfg(test)]
mod tests {
    use claviger_hsm_proto::SYMMETRIC_DEFAULT;

    use super::*;

    const ENCRYPT_DECRYPT: &str = "ENCRYPT_DECRYPT";

    fn check(account: &str, region: &str, key_id: &str, spec: &str, usage: &str) -> Result<(), Refusal> {
        symmetric(&Binding { account, region, key_id, spec, usage })
    }

    #[test]
    fn bindings() {
        let (account, region, spec, usage) = ("111122223333", "r", SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT);
        assert_eq!(check(account, region, "k", spec, usage), Ok(()));
        assert_eq!(check(account, &"r".repeat(64), &"k".repeat(128), spec, usage), Ok(()));
        for account in ["", "11112222333", "1111222233334"] {
            assert_eq!(check(account, region, "k", spec, usage), Err(Refusal::Length));
        }
        assert_eq!(check("11112222333x", region, "k", spec, usage), Err(Refusal::Malformed));
        assert_eq!(check(account, "", "k", spec, usage), Err(Refusal::Length));
        assert_eq!(check(account, &"r".repeat(65), "k", spec, usage), Err(Refusal::Length));
        assert_eq!(check(account, region, "", spec, usage), Err(Refusal::Length));
        assert_eq!(check(account, region, &"k".repeat(129), spec, usage), Err(Refusal::Length));
        for (spec, usage) in [("RSA_2048", usage), (spec, "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
        {
            assert_eq!(check(account, region, "k", spec, usage), Err(Refusal::Usage));
        }
    }

    #[test]
    fn scopes_and_lengths() {
        assert_eq!(scope("20150830", "us-east-1", "kms"), Ok(()));
        assert_eq!(scope("2015083", "us-east-1", "kms"), Err(Refusal::Length));
        assert_eq!(scope("2015083x", "us-east-1", "kms"), Err(Refusal::Malformed));
        assert_eq!(scope("20150830", "", "kms"), Err(Refusal::Length));
        assert_eq!(scope("20150830", "us-east-1", &"s".repeat(65)), Err(Refusal::Length));
        for (length, answer) in
            [(0, Err(Refusal::Length)), (1, Ok(1)), (1024, Ok(1024)), (1025, Err(Refusal::Length))]
        {
            assert_eq!(random_len(length), answer);
        }
    }
}
