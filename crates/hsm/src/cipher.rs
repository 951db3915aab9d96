//! Symmetric encryption: ciphertext blobs are made and opened here.
//!
//! - `K = KDF(material, N)`: counter mode of NIST SP 800-108 with HMAC-SHA-256 and a random 128-bit nonce `N` that
//!   stands in the blob's header, so every message has a key of its own.
//! - AES-256-GCM under `K` with a random 96-bit initialization vector over an *inner frame*: 11 bytes that say what
//!   follows, then the plaintext. The associated data is the header ([`claviger_hsm_proto::blob`], of fixed length)
//!   followed by the encoded encryption context.
//! - The result stands in DER ([`envelope`]), which has one spelling only: there is no byte of a blob that can be
//!   changed without the blob being refused.
//!
//! **A blob opens under one key at most.** GCM alone does not commit to its key: a ciphertext can be made that opens
//! under two chosen keys. But the header names the material, the material id is an HMAC under the material itself
//! (see `token::material_id`), the HSM checks the id when it unwraps a key, and opens a blob only with the key its
//! header names. To open under two keys a blob would have to name both.

mod envelope;

use claviger_hsm_proto::{MaterialId, Refusal, blob};
use zeroize::Zeroize;

use crate::primitives::{self, Key};
use crate::random::Entropy;
use crate::session::Scratch;

/// Longest plaintext in bytes (`PlaintextType` of the KMS API).
pub(crate) const MAX_PLAINTEXT_LEN: usize = 4096;
/// Length of the inner frame in bytes.
const FRAME_LEN: usize = 11;
const MESSAGE_LABEL: &str = "claviger message v1";
/// Version of the inner frame, and its only kind: bytes given by the caller or a data key.
const FRAME_START: [u8; 2] = [0x01, 0x01];

/// Encrypts `scratch.clear` into `scratch.sealed`.
///
/// # Errors
/// [`Refusal::Length`] for a plaintext of no bytes or too many, [`Refusal::Randomness`], [`Refusal::Internal`].
pub(crate) fn seal(
    material: &Key,
    id: MaterialId,
    context: &[u8],
    entropy: &Entropy,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let Scratch { clear, sealed, associated, .. } = scratch;
    if !(1..=MAX_PLAINTEXT_LEN).contains(&clear.len()) {
        return Err(Refusal::Length);
    }
    let (nonce, iv) = entropy.nonces()?;
    let key = primitives::derive(material.bytes(), MESSAGE_LABEL, &nonce)?;
    let content_len = FRAME_LEN + clear.len();
    sealed.clear();
    sealed.extend_from_slice(&[0; blob::HEADER_LEN]);
    let der_len = envelope::write(&iv, content_len, sealed)?;
    let header = blob::header(id, &nonce, der_len);
    sealed.get_mut(..blob::HEADER_LEN).ok_or(Refusal::Internal)?.copy_from_slice(&header);
    associate(associated, &header, context);

    let start = sealed.len();
    sealed.extend_from_slice(&frame(clear.len())?);
    sealed.extend_from_slice(clear);
    let content = sealed.get_mut(start..).ok_or(Refusal::Internal)?;
    match primitives::encrypt(&key, &iv, associated, content) {
        Ok(tag) => sealed.extend_from_slice(&tag),
        Err(refusal) => {
            content.zeroize();
            return Err(refusal);
        }
    }
    Ok(())
}

/// Opens a blob into `scratch.clear`.
///
/// # Errors
/// [`Refusal::Ciphertext`], for every reason alike; `scratch.clear` is then empty.
pub(crate) fn open(
    material: &Key,
    id: MaterialId,
    context: &[u8],
    blob: &[u8],
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let opened = try_open(material, id, context, blob, scratch);
    if opened.is_none() {
        scratch.wipe();
    }
    opened.ok_or(Refusal::Ciphertext)
}

fn try_open(
    material: &Key,
    id: MaterialId,
    context: &[u8],
    blob: &[u8],
    scratch: &mut Scratch,
) -> Option<()> {
    let parts = blob::split(blob).filter(|parts| parts.material == id)?;
    let sealed = envelope::read(parts.der)?;
    let key = primitives::derive(material.bytes(), MESSAGE_LABEL, &parts.nonce).ok()?;
    let Scratch { clear, associated, .. } = scratch;
    associate(associated, parts.header, context);
    clear.clear();
    clear.resize(sealed.ciphertext.len(), 0);
    primitives::decrypt(&key, sealed.iv, associated, sealed.ciphertext, sealed.tag, clear)?;
    let length = clear.len().checked_sub(FRAME_LEN).filter(|length| *length <= MAX_PLAINTEXT_LEN)?;
    if length == 0 || clear.first_chunk::<FRAME_LEN>()? != &frame(length).ok()? {
        return None;
    }
    clear.copy_within(FRAME_LEN.., 0);
    clear.get_mut(length..)?.zeroize();
    clear.truncate(length);
    Some(())
}

/// The 11 bytes before a plaintext: version, kind, length of the plaintext (u32, big endian), five zero bytes.
fn frame(plaintext_len: usize) -> Result<[u8; FRAME_LEN], Refusal> {
    let [a, b, c, d] = u32::try_from(plaintext_len).map_err(|_| Refusal::Length)?.to_be_bytes();
    let [version, kind] = FRAME_START;
    Ok([version, kind, a, b, c, d, 0, 0, 0, 0, 0])
}

fn associate(associated: &mut Vec<u8>, header: &[u8], context: &[u8]) {
    associated.clear();
    associated.extend_from_slice(header);
    associated.extend_from_slice(context);
}

#[cfg(test)]
mod tests;
