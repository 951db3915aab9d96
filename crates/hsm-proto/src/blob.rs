//! The outer layout of a symmetric ciphertext blob, which the host reads to find the key.
//!
//! The layout is AWS KMS's current one (`AQICAH...` in base64), so that clients which look at the first bytes keep
//! working. What follows the header is DER, read and written inside the HSM only.
//!
//! | offset | length | content |
//! |---|---|---|
//! | 0 | 5 | [`PREFIX`] |
//! | 5 | 32 | key material id |
//! | 37 | 1 | 0x01 |
//! | 38 | 16 | nonce of the key derivation |
//! | 54 | 4 | length of the DER, big endian |
//! | 58 | n | DER of a PKCS #7 ContentInfo holding EncryptedData (RFC 5652) |

use crate::{MATERIAL_ID_LEN, MaterialId};

/// The first five bytes of every blob.
pub const PREFIX: [u8; 5] = [0x01, 0x02, 0x02, 0x00, 0x78];
/// Marks that a key derivation nonce follows.
pub const DERIVATION_MARK: u8 = 0x01;
/// Length of the key derivation nonce in bytes.
pub const NONCE_LEN: usize = 16;
/// Length of everything before the DER, in bytes.
pub const HEADER_LEN: usize = PREFIX.len() + MATERIAL_ID_LEN + 1 + NONCE_LEN + 4;
/// Longest blob the API accepts, in bytes (`CiphertextType`).
pub const MAX_BLOB_LEN: usize = 6144;

/// A blob split into the parts its header names. Borrowed; nothing is verified but the layout.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Which key material encrypted the blob.
    pub material: MaterialId,
    /// Nonce of the key derivation.
    pub nonce: [u8; NONCE_LEN],
    /// The whole header, which the HSM authenticates.
    pub header: &'a [u8],
    /// The DER that follows the header.
    pub der: &'a [u8],
}

/// Splits a blob, or answers `None` where it does not have the layout above to the last byte.
pub fn split(blob: &[u8]) -> Option<Parts<'_>> {
    if blob.len() > MAX_BLOB_LEN {
        return None;
    }
    let (header, der) = blob.split_at_checked(HEADER_LEN)?;
    let (prefix, rest) = header.split_first_chunk::<{ PREFIX.len() }>()?;
    let (material, rest) = rest.split_first_chunk::<MATERIAL_ID_LEN>()?;
    let (mark, rest) = rest.split_first()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let length = u32::from_be_bytes(rest.try_into().ok()?);
    let whole = *prefix == PREFIX && *mark == DERIVATION_MARK && usize::try_from(length) == Ok(der.len());
    whole.then_some(Parts { material: MaterialId(*material), nonce: *nonce, header, der })
}

/// Writes the header of a blob whose DER is `der_len` bytes long.
pub fn header(material: MaterialId, nonce: &[u8; NONCE_LEN], der_len: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let parts: [&[u8]; 5] = [&PREFIX, &material.0, &[DERIVATION_MARK], nonce, &der_len.to_be_bytes()];
    for (place, byte) in header.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut blob = header(MaterialId([7; 32]), &[9; 16], 3).to_vec();
        blob.extend_from_slice(&[1, 2, 3]);
        blob
    }

    #[test]
    fn header_and_split_agree() {
        let blob = sample();
        let parts = split(&blob).unwrap();
        assert_eq!(
            (parts.material, parts.nonce, parts.der),
            (MaterialId([7; 32]), [9; 16], &[1u8, 2, 3][..])
        );
        assert_eq!(parts.header, &blob[..HEADER_LEN]);
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let blob = sample();
        for length in 0..blob.len() {
            assert!(split(&blob[..length]).is_none(), "{length} bytes");
        }
        assert!(split(&[blob, vec![0]].concat()).is_none());
        assert!(split(&vec![1; MAX_BLOB_LEN + 1]).is_none());
    }
}
