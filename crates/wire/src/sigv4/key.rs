//! Signing keys: what a secret access key becomes for one day, Region and service.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// A derived signing key, expanded once for use with many requests. It signs for one day, Region and service only.
///
/// The expanded key is on the heap, and AWS-LC clears it when it is dropped.
#[derive(Clone)]
pub struct SigningKey(Box<hmac::Key>);

impl SigningKey {
    /// Takes a key that was derived elsewhere, such as by the HSM, which holds the secret.
    pub fn new(derived: &[u8; 32]) -> Self {
        Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, derived)))
    }

    /// Derives the key from a secret access key, as "Create a signed AWS API request", step 4, does.
    /// `date` is `YYYYMMDD`.
    pub fn derive(secret_access_key: &[u8], date: &str, region: &str, service: &str) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret_access_key.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret_access_key);
        let day = mac(&first, date);
        let place = mac(day.as_slice(), region);
        let user = mac(place.as_slice(), service);
        Self::new(&mac(user.as_slice(), super::TERMINATOR))
    }

    /// The signature over a string to sign.
    pub(super) fn sign(&self, string_to_sign: &str) -> hmac::Tag {
        hmac::sign(&self.0, string_to_sign.as_bytes())
    }

    /// Whether a signature is the one over a string to sign; in a time that does not depend on where they differ.
    pub(super) fn verifies(&self, string_to_sign: &str, signature: &[u8; 32]) -> bool {
        hmac::verify(&self.0, string_to_sign.as_bytes(), signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// One HMAC-SHA-256 of the derivation, its result cleared after use.
#[expect(
    clippy::expect_used,
    reason = "the buffer has the length of the tag; continuing without it would be worse"
)]
fn mac(key: &[u8], data: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign_to_buffer(&key, data.as_bytes(), out.as_mut_slice()).expect("32 bytes hold an HMAC-SHA-256");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of AWS's worked example ("Signature Version 4 examples": iam, us-east-1, 2015-08-30).
    const EXAMPLE: [u8; 32] = [
        0xc4, 0xaf, 0xb1, 0xcc, 0x57, 0x71, 0xd8, 0x71, 0x76, 0x3a, 0x39, 0x3e, 0x44, 0xb7, 0x03, 0x57, 0x1b,
        0x55, 0xcc, 0x28, 0x42, 0x4d, 0x1a, 0x5e, 0x86, 0xda, 0x6e, 0xd3, 0xc1, 0x54, 0xa4, 0xb9,
    ];

    #[test]
    fn derives_the_key_of_the_worked_example() {
        let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let derived = SigningKey::derive(secret, "20150830", "us-east-1", "iam");
        let given = SigningKey::new(&EXAMPLE);
        assert_eq!(derived.sign("x").as_ref(), given.sign("x").as_ref());
        assert_ne!(derived.sign("x").as_ref(), derived.sign("y").as_ref());
    }

    #[test]
    fn does_not_print() {
        assert_eq!(format!("{:?}", SigningKey::new(&EXAMPLE)), "SigningKey(..)");
    }
}
