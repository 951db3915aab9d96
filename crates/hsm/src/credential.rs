//! Secret access keys: made, sealed, and turned into SigV4 signing keys without being shown again.

use claviger_hsm_proto::{CredentialBinding, Refusal, WrappedCredential};
use zeroize::{Zeroize, Zeroizing};

use crate::domain::Domain;
use crate::primitives::{KEY_LEN, hmac_sha256};
use crate::random::Entropy;
use crate::session::Scratch;
use crate::token::{self, OVERHEAD_LEN, Place};

/// Length of a secret access key that is made here, in bytes.
const NEW_SECRET_LEN: usize = 40;
/// Bounds of a secret access key that is given, in bytes.
const SECRET_LENS: std::ops::RangeInclusive<usize> = 16..=128;
/// What AWS's own secret access keys are spelled with.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+";

/// Seals the given secret, or a new one that is left in `scratch.clear`, into `scratch.sealed`.
///
/// # Errors
/// [`Refusal::Length`], [`Refusal::Randomness`], [`Refusal::Internal`].
pub(crate) fn create(
    domain: &Domain,
    entropy: &Entropy,
    binding: &CredentialBinding<'_>,
    secret: Option<&[u8]>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let place = Place::credential(domain, binding)?;
    match secret {
        Some(given) if SECRET_LENS.contains(&given.len()) => {
            token::wrap(domain, entropy, place, given, &mut scratch.sealed)
        }
        Some(_) => Err(Refusal::Length),
        None => {
            draw(entropy, &mut scratch.clear)?;
            token::wrap(domain, entropy, place, &scratch.clear, &mut scratch.sealed)
        }
    }
}

/// Derives a signing key as AWS's "Create a signed AWS API request" describes, into `scratch.clear`: 32 bytes.
///
/// # Errors
/// [`Refusal::Token`] where the credential does not open.
pub(crate) fn signing_key(
    domain: &Domain,
    credential: &WrappedCredential<'_>,
    scope: [&str; 3],
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    if !SECRET_LENS.contains(&credential.token.len().saturating_sub(OVERHEAD_LEN)) {
        return Err(Refusal::Token);
    }
    let place = Place::credential(domain, &credential.binding)?;
    token::unwrap(domain, place, credential.token, &mut scratch.clear)?;
    let key = derive_signing_key(&scratch.clear, scope)?;
    scratch.wipe();
    scratch.clear.extend_from_slice(&*key);
    Ok(())
}

/// The SigV4 chain: HMAC-SHA-256 from `AWS4` and the secret over date, Region, service and `aws4_request`.
pub(crate) fn derive_signing_key(
    secret: &[u8],
    [date, region, service]: [&str; 3],
) -> Result<Zeroizing<[u8; KEY_LEN]>, Refusal> {
    const PREFIX: &[u8; 4] = b"AWS4";
    let mut first = Zeroizing::new([0_u8; PREFIX.len() + *SECRET_LENS.end()]);
    let first = first.get_mut(..PREFIX.len() + secret.len()).ok_or(Refusal::Length)?;
    first.iter_mut().zip(PREFIX.iter().chain(secret)).for_each(|(place, byte)| *place = *byte);
    let mut key = hmac_sha256(first, &[date.as_bytes()]);
    for part in [region, service, "aws4_request"] {
        key = hmac_sha256(&*key, &[part.as_bytes()]);
    }
    Ok(key)
}

/// Appends a new secret. Bytes are mapped to the alphabet by their low six bits: 256 is a multiple of the alphabet's
/// 64 characters, so each is equally likely and no byte has to be rejected.
fn draw(entropy: &Entropy, out: &mut Vec<u8>) -> Result<(), Refusal> {
    const { assert!(256 % ALPHABET.len() == 0) };
    let mut drawn = Zeroizing::new([0_u8; NEW_SECRET_LEN]);
    entropy.fill(&mut *drawn)?;
    for byte in drawn.iter() {
        out.push(*ALPHABET.get(usize::from(byte % 64)).ok_or(Refusal::Internal)?);
    }
    drawn.zeroize();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemEntropy;

    #[test]
    fn new_secrets_use_the_whole_alphabet_evenly() {
        let entropy = Entropy::new(Box::new(SystemEntropy::default())).unwrap();
        let mut counts = [0_u32; 256];
        for _ in 0..1600 {
            let mut secret = Vec::new();
            draw(&entropy, &mut secret).unwrap();
            assert_eq!(secret.len(), NEW_SECRET_LEN);
            secret.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        }
        // 64,000 characters, 1,000 of each expected; ten standard deviations are about 310.
        for (byte, count) in counts.iter().enumerate() {
            let expected = if ALPHABET.contains(&u8::try_from(byte).unwrap()) { 1000 } else { 0 };
            assert!(count.abs_diff(expected) <= expected * 31 / 100, "{byte}: {count}");
        }
    }

    #[test]
    fn signing_keys_depend_on_every_part() {
        let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let key = |secret: &[u8], scope| *derive_signing_key(secret, scope).unwrap();
        let base = key(secret, ["20150830", "us-east-1", "kms"]);
        for other in [
            key(&secret[1..], ["20150830", "us-east-1", "kms"]),
            key(secret, ["20150831", "us-east-1", "kms"]),
            key(secret, ["20150830", "us-east-2", "kms"]),
            key(secret, ["20150830", "us-east-1", "sts"]),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(
            derive_signing_key(&[1; 129], ["20150830", "us-east-1", "kms"]).unwrap_err(),
            Refusal::Length
        );
    }
}
