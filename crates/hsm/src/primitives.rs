//! The four primitives everything else is made of, by AWS-LC: HMAC, key derivation and authenticated encryption.
//!
//! What cannot be covered here: while a key is in use AWS-LC holds an expanded copy of it (the AES key schedule, the
//! inner and outer HMAC states) on its own heap or stack, outside the secret memory of [`crate::arena`]. AWS-LC clears
//! those copies when it frees them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::kdf::{
    KbkdfCtrHmacAlgorithm, KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac,
};
use aws_lc_rs::{digest, hmac};
use claviger_hsm_proto::Refusal;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use zeroize::Zeroizing;

use crate::fields::Fields;

/// Length of every symmetric key in bytes.
pub(crate) const KEY_LEN: usize = 32;
/// Length of a GCM initialization vector in bytes.
pub(crate) const IV_LEN: usize = 12;
/// Length of a GCM tag in bytes.
pub(crate) const TAG_LEN: usize = 16;
/// Longest key derivation context in bytes.
const MAX_CONTEXT_LEN: usize = 64;

/// A 256-bit key in the clear, for the time of one operation. Cleared when dropped; does not print.
///
/// It is on the heap because a value that is moved leaves its bytes behind on the stack, where nothing clears them.
pub(crate) struct Key(Box<Zeroizing<[u8; KEY_LEN]>>);

impl Key {
    /// A key of zeros, to be filled.
    pub(crate) fn blank() -> Self {
        Self(Box::new(Zeroizing::new([0; KEY_LEN])))
    }

    /// A key that everybody knows.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; KEY_LEN]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// The key's bytes.
    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The key's bytes, to be filled.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; KEY_LEN] {
        &mut self.0
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        let mut key = Self::blank();
        key.bytes_mut().copy_from_slice(self.bytes());
        key
    }
}

/// A byte string, as the seal keeps it.
impl<C> Encode<C> for Key {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.bytes(self.bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Key {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes: &[u8; KEY_LEN] =
            decoder.bytes()?.try_into().map_err(|_| decode::Error::message("a key has another length"))?;
        let mut key = Self::blank();
        key.bytes_mut().copy_from_slice(bytes);
        Ok(key)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// HMAC-SHA-256 (FIPS 198-1) of the parts one after another.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = Zeroizing::new([0; KEY_LEN]);
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(place, byte)| *place = *byte);
    out
}

/// SHA-256 (FIPS 180-4).
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut()
        .zip(digest::digest(&digest::SHA256, data).as_ref())
        .for_each(|(place, byte)| *place = *byte);
    out
}

/// Derives a 256-bit key: the counter mode of NIST SP 800-108r1 with HMAC-SHA-256 and a 32-bit counter.
///
/// The fixed input is the one of section 4: `label || 0x00 || context || L`, with L = 256 as u32, big endian. Labels
/// hold no zero byte, so no two pairs of label and context share an input.
///
/// # Errors
/// [`Refusal::Length`] for a label and context that are too long; [`Refusal::Internal`] when the library fails.
pub(crate) fn derive(secret: &[u8; KEY_LEN], label: &str, context: &[u8]) -> Result<Key, Refusal> {
    let mut info = Fields::<{ 2 * MAX_CONTEXT_LEN }>::new();
    info.fixed(label.as_bytes())?;
    info.fixed(&[0])?;
    info.fixed(context)?;
    info.fixed(&256_u32.to_be_bytes())?;
    let mut key = Key::blank();
    kbkdf(secret, info.as_slice(), key.bytes_mut())?;
    Ok(key)
}

/// [`derive()`] with the fixed input as it stands; apart because the public test vectors give it so.
pub(crate) fn kbkdf(secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    const ALGORITHM: Option<&KbkdfCtrHmacAlgorithm> =
        get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256);
    kbkdf_ctr_hmac(ALGORITHM.ok_or(Refusal::Internal)?, secret, info, out).map_err(|_| Refusal::Internal)
}

/// Encrypts in place with AES-256-GCM (NIST SP 800-38D) and gives the tag.
///
/// Every key that comes here is derived for one message with a fresh 128-bit nonce, so no number of messages wears
/// a key out.
///
/// # Errors
/// [`Refusal::Internal`] when the library fails.
pub(crate) fn encrypt(
    key: &Key,
    iv: &[u8; IV_LEN],
    associated: &[u8],
    in_out: &mut [u8],
) -> Result<[u8; TAG_LEN], Refusal> {
    let tag = gcm(key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*iv), Aad::from(associated), in_out)
        .map_err(|_| Refusal::Internal)?;
    tag.as_ref().try_into().map_err(|_| Refusal::Internal)
}

/// Decrypts into `out`, which must be as long as the ciphertext. `None` where the tag is wrong; `out` is then to be
/// thrown away.
pub(crate) fn decrypt(
    key: &Key,
    iv: &[u8; IV_LEN],
    associated: &[u8],
    ciphertext: &[u8],
    tag: &[u8; TAG_LEN],
    out: &mut [u8],
) -> Option<()> {
    let nonce = Nonce::assume_unique_for_key(*iv);
    gcm(key).ok()?.open_separate_gather(nonce, Aad::from(associated), ciphertext, tag, out).ok()
}

fn gcm(key: &Key) -> Result<LessSafeKey, Refusal> {
    let unbound = UnboundKey::new(&AES_256_GCM, key.bytes()).map_err(|_| Refusal::Internal)?;
    Ok(LessSafeKey::new(unbound))
}
