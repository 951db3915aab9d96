//! The DER around a ciphertext: PKCS #7 / CMS `ContentInfo` with `EncryptedData` (RFC 5652 sections 3 and 8) and
//! AES-256-GCM's parameters (RFC 5084 section 3.2).

use claviger_hsm_proto::Refusal;
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Sequence};

use crate::primitives::{IV_LEN, TAG_LEN};

/// `id-encryptedData` (RFC 5652 section 8).
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
/// `id-data` (RFC 5652 section 4).
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// `id-aes256-GCM` (RFC 5084 section 3.2).
const AES_256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");
/// Most bytes of framed plaintext and tag.
const MAX_CONTENT_LEN: usize = 11 + super::MAX_PLAINTEXT_LEN + TAG_LEN;

#[derive(Sequence)]
struct ContentInfo<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: EncryptedData<'a>,
}

#[derive(Sequence)]
struct EncryptedData<'a> {
    version: u8,
    encrypted_content_info: EncryptedContentInfo<'a>,
}

#[derive(Sequence)]
struct EncryptedContentInfo<'a> {
    content_type: ObjectIdentifier,
    algorithm: Algorithm<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    encrypted_content: &'a OctetStringRef,
}

#[derive(Sequence)]
struct Algorithm<'a> {
    oid: ObjectIdentifier,
    parameters: GcmParameters<'a>,
}

#[derive(Sequence)]
struct GcmParameters<'a> {
    nonce: &'a OctetStringRef,
    tag_len: u8,
}

/// What the envelope holds.
pub(super) struct Sealed<'a> {
    pub(super) iv: &'a [u8; IV_LEN],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8; TAG_LEN],
}

/// Appends the envelope up to where the content starts, which is the last thing in it. Gives the length of the whole
/// DER; the caller appends `content_len` bytes of ciphertext and the tag.
pub(super) fn write(iv: &[u8; IV_LEN], content_len: usize, out: &mut Vec<u8>) -> Result<u32, Refusal> {
    const BLANK: [u8; MAX_CONTENT_LEN] = [0; MAX_CONTENT_LEN];
    let content = BLANK.get(..content_len + TAG_LEN).ok_or(Refusal::Length)?;
    let envelope = envelope(iv, content).map_err(|_| Refusal::Internal)?;
    let start = out.len();
    let length = envelope.encode_to_vec(out).map_err(|_| Refusal::Internal)?;
    out.truncate(out.len().saturating_sub(content.len()).max(start));
    Ok(u32::from(length))
}

/// Reads an envelope. `None` for anything that [`write()`] would not have written, byte for byte.
pub(super) fn read(der: &[u8]) -> Option<Sealed<'_>> {
    let info = ContentInfo::from_der(der).ok()?;
    let content_info = &info.content.encrypted_content_info;
    let parameters = &content_info.algorithm.parameters;
    let expected = info.content_type == ENCRYPTED_DATA
        && info.content.version == 0
        && content_info.content_type == DATA
        && content_info.algorithm.oid == AES_256_GCM
        && usize::from(parameters.tag_len) == TAG_LEN;
    let iv = parameters.nonce.as_bytes().try_into().ok()?;
    let (ciphertext, tag) = content_info.encrypted_content.as_bytes().split_last_chunk()?;
    expected.then_some(Sealed { iv, ciphertext, tag })
}

fn envelope<'a>(iv: &'a [u8; IV_LEN], content: &'a [u8]) -> der::Result<ContentInfo<'a>> {
    let parameters = GcmParameters { nonce: OctetStringRef::new(iv)?, tag_len: 16 };
    Ok(ContentInfo {
        content_type: ENCRYPTED_DATA,
        content: EncryptedData {
            version: 0,
            encrypted_content_info: EncryptedContentInfo {
                content_type: DATA,
                algorithm: Algorithm { oid: AES_256_GCM, parameters },
                encrypted_content: OctetStringRef::new(content)?,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(content: &[u8]) -> Vec<u8> {
        envelope(&[7; IV_LEN], content).unwrap().to_der().unwrap()
    }

    #[test]
    fn the_bytes_are_those_of_the_standards() {
        let der = sample(&[0xee; 20]);
        let expected = [
            &[0x30, 0x55, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06, 0xa0, 0x48][..],
            &[0x30, 0x46, 0x02, 0x01, 0x00, 0x30, 0x41],
            &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01],
            &[0x30, 0x1e, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e],
            &[0x30, 0x11, 0x04, 0x0c, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0x02, 0x01, 0x10],
            &[0x80, 0x14],
            &[0xee; 20],
        ];
        assert_eq!(der, expected.concat());
    }

    #[test]
    fn write_stops_where_the_content_starts() {
        for content_len in [12, 43, 100, 127, 128, 300, 11 + 4096] {
            let mut out = vec![0xaa];
            let length = write(&[7; IV_LEN], content_len, &mut out).unwrap();
            assert_eq!(out.len() + content_len + TAG_LEN, length as usize + 1);
            assert_eq!(out[1..], sample(&vec![0; content_len + TAG_LEN])[..out.len() - 1]);
        }
    }

    /// Attack D3: no second spelling of an envelope is accepted.
    fn check_one_spelling(der: &[u8]) -> Result<(), TestCaseError> {
        if let Some(sealed) = read(der) {
            let content = [sealed.ciphertext, sealed.tag].concat();
            prop_assert_eq!(envelope(sealed.iv, &content).unwrap().to_der().unwrap(), der);
        }
        Ok(())
    }

    #[test]
    fn bit_flips_truncations_and_long_lengths_have_no_second_spelling() {
        let der = sample(&[0xee; 130]);
        for bit in 0..der.len() * 8 {
            let mut changed = der.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check_one_spelling(&changed).unwrap();
        }
        for length in 0..der.len() {
            assert!(read(&der[..length]).is_none());
        }
        let mut long = sample(&[0xee; 20]);
        long.splice(1..2, [0x81, long[1]]);
        assert!(read(&long).is_none(), "a length in more bytes than it needs");
        assert!(read(&[sample(&[0xee; 20]), vec![0]].concat()).is_none(), "trailing bytes");
    }

    proptest! {
        #[test]
        fn changed_bytes_have_no_second_spelling(
            changes in proptest::collection::vec((0_usize..105, any::<u8>()), 1..4),
        ) {
            let mut der = sample(&[0xee; 30]);
            for (at, byte) in changes {
                if let Some(place) = der.get_mut(at) {
                    *place = byte;
                }
            }
            check_one_spelling(&der)?;
        }

        #[test]
        fn no_input_panics(der in proptest::collection::vec(any::<u8>(), 0..200)) {
            check_one_spelling(&der)?;
        }
    }
}
