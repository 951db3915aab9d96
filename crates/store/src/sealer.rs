//! Seals what is stored: each record is encrypted and bound to its name and to the commit that wrote it.
//!
//! AES-256-GCM-SIV (RFC 8452) rather than GCM, because the nonces are random, the key lives as long as the store, and a
//! machine restored from a snapshot may repeat its random numbers: where GCM would then give away the authentication
//! key, SIV gives away only that one record was written twice with the same name, revision and value.
//!
//! What this does not see is an *older* sealed value of the same record put back in its place; an engine must detect
//! that by itself (see `embedded/backend.rs` for how [`Embedded`](crate::Embedded) does).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{error::Unspecified, hmac};
use zeroize::Zeroizing;

use crate::{Error, Revision};

/// First byte of a sealed record; a different layout gets a different number.
const RECORD_FORMAT: u8 = 1;
/// Bytes before the ciphertext: format, revision (big endian), nonce.
const HEADER_LEN: usize = 1 + 8 + NONCE_LEN;
/// What the two keys are derived for (HKDF's `info`); never changed, or no old store opens.
const RECORD_KEY: &[u8] = b"claviger store record v1";
const TAG_KEY: &[u8] = b"claviger store tag v1";

/// Length of [`Sealer::tag`] in bytes (HMAC-SHA256).
pub(crate) const TAG_LEN: usize = 32;

/// Where nonces come from; `None` when there is no randomness to be had.
type Nonces = dyn Fn() -> Option<[u8; NONCE_LEN]> + Send + Sync;

/// Seals and opens the values of records. Holds the key of a store; never prints it.
pub struct Sealer {
    record_key: LessSafeKey,
    tag_key: hmac::Key,
    nonces: Box<Nonces>,
}

impl Sealer {
    /// A sealer under a 256-bit key, with nonces from the operating system's random number generator.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the cryptographic library fails.
    pub fn new(key: [u8; 32]) -> Result<Self, Error> {
        Self::with_nonces(key, || {
            let mut nonce = [0; NONCE_LEN];
            SystemRandom::new().fill(&mut nonce).ok().map(|()| nonce)
        })
    }

    /// A sealer whose 96-bit nonces come from `nonces`, for simulations that must repeat.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the cryptographic library fails.
    pub fn with_nonces(
        key: [u8; 32],
        nonces: impl Fn() -> Option<[u8; NONCE_LEN]> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let key = Zeroizing::new(key);
        let root = Salt::new(HKDF_SHA256, &[]).extract(key.as_slice());
        let record_key = UnboundKey::new(&AES_256_GCM_SIV, derived(&root, RECORD_KEY)?.as_slice());
        let record_key = LessSafeKey::new(record_key.map_err(library_failed)?);
        let tag_key = hmac::Key::new(hmac::HMAC_SHA256, derived(&root, TAG_KEY)?.as_slice());
        Ok(Self { record_key, tag_key, nonces: Box::new(nonces) })
    }

    /// Seals the value of a record for the place where it will stand.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is no randomness.
    pub fn seal(&self, name: &[u8], revision: Revision, value: &[u8]) -> Result<Vec<u8>, Error> {
        let no_nonce = || Error::Unavailable("no randomness for a nonce".into());
        let nonce = (self.nonces)().ok_or_else(no_nonce)?;
        let mut sealed = Vec::with_capacity(HEADER_LEN + value.len() + AES_256_GCM_SIV.tag_len());
        sealed.push(RECORD_FORMAT);
        sealed.extend_from_slice(&revision.to_be_bytes());
        sealed.extend_from_slice(&nonce);

        let mut body = value.to_vec();
        let aad = Aad::from(place(RECORD_FORMAT, name, revision));
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.record_key.seal_in_place_append_tag(nonce, aad, &mut body).map_err(library_failed)?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what was sealed for this name; gives the revision it was written at, and the value.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is not what [`Sealer::seal`] made for this name with this key.
    pub fn open(&self, name: &[u8], sealed: &[u8]) -> Result<(Revision, Vec<u8>), Error> {
        let corrupt = || Error::Corrupt { what: format!("record `{}`", name.escape_ascii()) };
        let (format, rest) = sealed.split_first().ok_or_else(corrupt)?;
        let (revision, rest) = rest.split_first_chunk().ok_or_else(corrupt)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(corrupt)?;
        if *format != RECORD_FORMAT {
            return Err(corrupt());
        }

        let revision = Revision::from_be_bytes(*revision);
        let aad = Aad::from(place(*format, name, revision));
        let mut value = body.to_vec();
        let opened = self.record_key.open_in_place(Nonce::from(nonce), aad, &mut value);
        let len = opened.map_err(|_| corrupt())?.len();
        value.truncate(len);
        Ok((revision, value))
    }

    /// Authenticates bytes that an engine keeps in the open (HMAC-SHA256 under a key of its own).
    pub(crate) fn tag(&self, bytes: &[u8]) -> hmac::Tag {
        hmac::sign(&self.tag_key, bytes)
    }

    /// Whether `tag` is what [`Sealer::tag`] gave for these bytes.
    pub(crate) fn tagged(&self, bytes: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.tag_key, bytes, tag).is_ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// The associated data: an injective encoding, as the name is the only part of variable length and comes last.
fn place(format: u8, name: &[u8], revision: Revision) -> Vec<u8> {
    let mut place = Vec::with_capacity(1 + 8 + name.len());
    place.push(format);
    place.extend_from_slice(&revision.to_be_bytes());
    place.extend_from_slice(name);
    place
}

struct KeyLen;

impl KeyType for KeyLen {
    fn len(&self) -> usize {
        32
    }
}

/// A key for one purpose (HKDF-Expand, RFC 5869).
fn derived(root: &Prk, purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut key = Zeroizing::new([0; 32]);
    let info = [purpose];
    let expanded = root.expand(&info, KeyLen).map_err(library_failed)?;
    expanded.fill(key.as_mut_slice()).map_err(library_failed)?;
    Ok(key)
}

fn library_failed(_: Unspecified) -> Error {
    Error::Unavailable("the cryptographic library failed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn sealer() -> Sealer {
        Sealer::new(KEY).unwrap()
    }

    fn check_refused(sealer: &Sealer, name: &[u8], sealed: &[u8]) {
        match sealer.open(name, sealed) {
            Err(Error::Corrupt { what }) => assert!(what.contains(&name.escape_ascii().to_string())),
            other => panic!("opened or failed otherwise: {other:?}"),
        }
    }

    #[test]
    fn opens_what_it_sealed() {
        let sealer = sealer();
        for value in [&b""[..], b"x", &[0xab; 5000]] {
            let sealed = sealer.seal(b"key/1", 42, value).unwrap();
            assert_eq!(sealer.open(b"key/1", &sealed).unwrap(), (42, value.to_vec()));
        }
    }

    #[test]
    fn refuses_every_flipped_bit() {
        let sealed = sealer().seal(b"key/1", 42, b"a value of some length").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            check_refused(&sealer(), b"key/1", &altered);
        }
    }

    #[test]
    fn refuses_every_other_length() {
        let sealed = sealer().seal(b"key/1", 42, b"value").unwrap();
        for len in 0..sealed.len() {
            check_refused(&sealer(), b"key/1", &sealed[..len]);
        }
        check_refused(&sealer(), b"key/1", &[&sealed[..], b"\0"].concat());
    }

    #[test]
    fn refuses_a_transplanted_row_another_revision_and_another_key() {
        let sealed = sealer().seal(b"key/1", 42, b"value").unwrap();
        for name in [&b"key/2"[..], b"key/", b"key/1\0", b""] {
            check_refused(&sealer(), name, &sealed);
        }
        let newer = sealer().seal(b"key/1", 43, b"value").unwrap();
        let relabelled = [&newer[..9], &sealed[9..]].concat();
        check_refused(&sealer(), b"key/1", &relabelled);
        check_refused(&Sealer::new([8; 32]).unwrap(), b"key/1", &sealed);
    }

    #[test]
    fn nonces_differ_and_their_absence_is_an_error() {
        let sealer = sealer();
        assert_ne!(sealer.seal(b"n", 1, b"v").unwrap(), sealer.seal(b"n", 1, b"v").unwrap());
        let dry = Sealer::with_nonces(KEY, || None).unwrap();
        assert!(matches!(dry.seal(b"n", 1, b"v"), Err(Error::Unavailable(_))));
    }

    #[test]
    fn prints_no_key() {
        assert_eq!(format!("{:?}", sealer()), "Sealer(..)");
    }
}
