//! Seeds of devices: random, shown once, and sealed.
//!
//! A seed is sealed with AES-256-GCM-SIV (RFC 8452) under a key that the HSM derives for the domain, for the name of its
//! record: a row that is copied over another does not open.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::moment::Entropy;

/// Seals and opens seeds.
pub(crate) struct Seeds(LessSafeKey);

fn failed() -> Error {
    Error::internal("the cryptographic library failed")
}

impl Seeds {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self> {
        UnboundKey::new(&AES_256_GCM_SIV, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| failed())
    }

    /// Seals a seed for a record.
    pub(crate) fn seal(&self, entropy: &dyn Entropy, place: &[u8], seed: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut body = Zeroizing::new(seed.to_vec());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(place), &mut *body).map_err(|_| failed())?;
        Ok([&nonce[..], &body].concat())
    }

    /// Opens what was sealed for a record.
    ///
    /// # Errors
    /// Where it was sealed for another, or altered.
    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let corrupt = || Error::internal("the seed of a device does not open");
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(corrupt)?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = self.0.open_in_place(Nonce::from(nonce), Aad::from(place), &mut body);
        let len = opened.map_err(|_| corrupt())?.len();
        body.truncate(len);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::NoEntropy;

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
            bytes.fill(7);
            Ok(())
        }
    }

    #[test]
    fn a_seed_opens_where_it_was_sealed_and_nowhere_else() {
        let seeds = Seeds::new(&[1; 32]).unwrap();
        let sealed = seeds.seal(&Fixed, b"mfa/1/ann", b"a seed of a device").unwrap();
        assert_eq!(**seeds.open(b"mfa/1/ann", &sealed).unwrap(), *b"a seed of a device");
        assert!(!sealed.windows(6).any(|window| window == b"a seed"));
        assert!(seeds.open(b"mfa/1/bob", &sealed).is_err());
        assert!(Seeds::new(&[2; 32]).unwrap().open(b"mfa/1/ann", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(seeds.open(b"mfa/1/ann", &flipped).is_err(), "bit {bit}");
        }
        assert!(seeds.open(b"mfa/1/ann", &[]).is_err());
    }
}
