//! Envelopes to a recipient: what the API calls `CiphertextForRecipient`.
//!
//! A CMS `ContentInfo` with `EnvelopedData` (RFC 5652 sections 3 and 6) for one recipient: a random AES-256 key, itself
//! wrapped with RSAES-OAEP (RFC 3560; both hashes SHA-256), encrypts the content in CBC mode (RFC 3565).
//!
//! It is written the way AWS KMS writes it, because recipients depend on that: the AWS Nitro Enclaves SDK for C reads
//! nothing else. `ContentInfo`, `EnvelopedData`, `EncryptedContentInfo` and the two `[0]` have indefinite lengths (X.690
//! section 8.1.3.6), everything in them is DER; and the recipient is named by the SHA-256 of its whole
//! SubjectPublicKeyInfo (RFC 7093 section 2, method 4).
//!
//! CBC authenticates nothing. Who alters an envelope on its way alters what the recipient reads; the API has no other
//! form, so a recipient should check what it was given.

use aws_lc_rs::cipher::{
    AES_256, AES_CBC_IV_LEN, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use claviger_hsm_proto::{RecipientKey, Refusal};
use der::asn1::{BitStringRef, Null, ObjectIdentifier, OctetStringRef, SetOfVec, UintRef};
use der::{Decode, Encode, Sequence, ValueOrd};

use crate::primitives::{self, Key};
use crate::random::Entropy;
use crate::session::Scratch;

/// `id-envelopedData` (RFC 5652 section 6.1).
const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
/// `id-data` (RFC 5652 section 4).
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// `rsaEncryption` (RFC 8017 appendix C).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-RSAES-OAEP` (RFC 8017 appendix C).
const RSAES_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
/// `id-mgf1` (RFC 8017 appendix C).
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
/// `id-sha256` (RFC 8017 appendix C).
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `id-aes256-CBC` (RFC 3565 section 4.1).
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
/// Version of EnvelopedData and of KeyTransRecipientInfo where a key identifier names the recipient.
const VERSION: u8 = 2;

/// Starts a SEQUENCE of indefinite length.
const SEQUENCE: [u8; 2] = [0x30, 0x80];
/// Starts a constructed `[0]` of indefinite length.
const CONTEXT_0: [u8; 2] = [0xa0, 0x80];
/// Ends what has an indefinite length.
const END: [u8; 2] = [0x00, 0x00];

/// Length of a block of AES in bytes, and so the most that padding adds.
const BLOCK_LEN: usize = 16;
/// Modulus lengths of recipients in bits.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// Length of the longest modulus in bytes.
const MAX_MODULUS_LEN: usize = 512;
/// Smallest public exponent: FIPS 186-5 section 5.4 asks for more than 2^16.
const MIN_EXPONENT: u32 = 65_537;

/// An RSA key that answers are enveloped to.
pub(crate) struct Recipient {
    key: OaepPublicEncryptingKey,
    id: [u8; 32],
}

impl Recipient {
    /// Reads a key: RSA, 2,048 to 4,096 bits, with an odd exponent from 65,537 to 32 bits.
    ///
    /// # Errors
    /// [`Refusal::PublicKey`] for anything else, and for anything but DER.
    pub(crate) fn of(key: &RecipientKey<'_>) -> Result<Self, Refusal> {
        let RecipientKey(der) = *key;
        if !is_sane(der) {
            return Err(Refusal::PublicKey);
        }
        let public = PublicEncryptingKey::from_der(der).map_err(|_| Refusal::PublicKey)?;
        if !MODULUS_BITS.contains(&public.key_size_bits()) {
            return Err(Refusal::PublicKey);
        }
        let key = OaepPublicEncryptingKey::new(public).map_err(|_| Refusal::PublicKey)?;
        Ok(Self { key, id: primitives::sha256(der) })
    }

    /// Envelopes `scratch.clear` into `scratch.enveloped`. Nothing is then left in the clear, whether it succeeds or
    /// not.
    ///
    /// # Errors
    /// [`Refusal::Length`] for a content that leaves no room for its padding, [`Refusal::Randomness`],
    /// [`Refusal::Internal`].
    pub(crate) fn envelop(&self, entropy: &Entropy, scratch: &mut Scratch) -> Result<(), Refusal> {
        let done = self.try_envelop(entropy, scratch);
        scratch.wipe();
        if done.is_err() {
            scratch.enveloped.clear();
        }
        done
    }

    fn try_envelop(&self, entropy: &Entropy, scratch: &mut Scratch) -> Result<(), Refusal> {
        let (mut content_key, mut iv) = (Key::blank(), [0; AES_CBC_IV_LEN]);
        entropy.fill(content_key.bytes_mut())?;
        entropy.fill(&mut iv)?;
        let mut room = [0; MAX_MODULUS_LEN];
        let encrypted_key = self
            .key
            .encrypt(&OAEP_SHA256_MGF1SHA256, content_key.bytes(), &mut room, None)
            .map_err(|_| Refusal::Internal)?;
        let Scratch { clear, enveloped, .. } = scratch;
        encrypt(&content_key, &iv, clear)?;
        enveloped.clear();
        write(&self.id, encrypted_key, &iv, clear, enveloped).map_err(|_| Refusal::Internal)
    }
}

/// AES-256-CBC with the padding of RFC 5652 section 6.3, in place.
fn encrypt(key: &Key, iv: &[u8; AES_CBC_IV_LEN], content: &mut Vec<u8>) -> Result<(), Refusal> {
    // A vector that had to grow would leave its content behind.
    if content.capacity() - content.len() < BLOCK_LEN {
        return Err(Refusal::Length);
    }
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    UnboundCipherKey::new(&AES_256, key.bytes())
        .and_then(PaddedBlockEncryptingKey::cbc_pkcs7)
        .and_then(|key| key.less_safe_encrypt(content, context))
        .map(|_| ())
        .map_err(|_| Refusal::Internal)
}

#[derive(Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: AlgorithmWithNull,
    key: BitStringRef<'a>,
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

#[derive(Sequence, ValueOrd)]
struct AlgorithmWithNull {
    oid: ObjectIdentifier,
    parameters: Null,
}

#[derive(Sequence, ValueOrd)]
struct KeyTransRecipientInfo<'a> {
    version: u8,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    key_id: &'a OctetStringRef,
    algorithm: OaepAlgorithm,
    encrypted_key: &'a OctetStringRef,
}

#[derive(Sequence, ValueOrd)]
struct OaepAlgorithm {
    oid: ObjectIdentifier,
    parameters: OaepParameters,
}

/// RFC 8017 appendix A.2.1. The label is the default one, empty, so DER leaves it out.
#[derive(Sequence, ValueOrd)]
struct OaepParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmWithNull,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask_generation: MaskGeneration,
}

#[derive(Sequence, ValueOrd)]
struct MaskGeneration {
    oid: ObjectIdentifier,
    hash: AlgorithmWithNull,
}

#[derive(Sequence)]
struct ContentEncryption<'a> {
    oid: ObjectIdentifier,
    iv: &'a OctetStringRef,
}

/// Whether this is DER of an RSA key whose exponent is odd and of a usual size. The library judges the modulus.
fn is_sane(der: &[u8]) -> bool {
    let Ok(info) = SubjectPublicKeyInfo::from_der(der) else { return false };
    let key = info.key.as_bytes().and_then(|bits| RsaPublicKey::from_der(bits).ok());
    let exponent = key.and_then(|key| exponent(&key));
    info.algorithm.oid == RSA_ENCRYPTION && exponent.is_some_and(|e| e >= MIN_EXPONENT && e % 2 == 1)
}

/// The exponent where it has at most 32 bits.
fn exponent(key: &RsaPublicKey<'_>) -> Option<u32> {
    let mut bytes = [0; 4];
    let digits = key.exponent.as_bytes();
    let start = bytes.len().checked_sub(digits.len())?;
    bytes.get_mut(start..)?.copy_from_slice(digits);
    Some(u32::from_be_bytes(bytes))
}

fn write(id: &[u8], encrypted_key: &[u8], iv: &[u8], content: &[u8], out: &mut Vec<u8>) -> der::Result<()> {
    let sha_256 = || AlgorithmWithNull { oid: SHA_256, parameters: Null };
    let parameters =
        OaepParameters { hash: sha_256(), mask_generation: MaskGeneration { oid: MGF1, hash: sha_256() } };
    let mut recipients = SetOfVec::new();
    recipients.insert(KeyTransRecipientInfo {
        version: VERSION,
        key_id: OctetStringRef::new(id)?,
        algorithm: OaepAlgorithm { oid: RSAES_OAEP, parameters },
        encrypted_key: OctetStringRef::new(encrypted_key)?,
    })?;
    out.extend_from_slice(&SEQUENCE);
    ENVELOPED_DATA.encode_to_vec(out)?;
    out.extend_from_slice(&CONTEXT_0);
    out.extend_from_slice(&SEQUENCE);
    VERSION.encode_to_vec(out)?;
    recipients.encode_to_vec(out)?;
    out.extend_from_slice(&SEQUENCE);
    DATA.encode_to_vec(out)?;
    ContentEncryption { oid: AES_256_CBC, iv: OctetStringRef::new(iv)? }.encode_to_vec(out)?;
    out.extend_from_slice(&CONTEXT_0);
    OctetStringRef::new(content)?.encode_to_vec(out)?;
    out.extend_from_slice(&END.repeat(5));
    Ok(())
}

#[cfg(test)]
mod tests;
