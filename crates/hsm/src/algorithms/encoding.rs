//! PKCS #8 private keys (RFC 5208, RFC 5958) and SubjectPublicKeyInfo (RFC 5280), strictly in DER.

use claviger_hsm_proto::Refusal;
use der::asn1::{BitStringRef, ContextSpecific, OctetStringRef};
use der::{Decode, Encode, Reader as _, SliceReader, TagMode, TagNumber};
use pkcs8::spki::{AlgorithmIdentifier, AlgorithmIdentifierRef, SubjectPublicKeyInfo};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

/// `rsaEncryption` (RFC 8017 appendix A.1).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey` (RFC 5480 section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// Tag of a seed in the private key of ML-DSA (RFC 9881 section 6) and ML-KEM (RFC 9935 section 6).
const SEED_TAG: TagNumber = TagNumber(0);

/// Reads a PKCS #8 private key to its last byte.
pub(super) fn private_key_info(der: &[u8]) -> Option<PrivateKeyInfoRef<'_>> {
    PrivateKeyInfoRef::from_der(der).ok()
}

/// The private key of an elliptic curve (RFC 5915). `None` unless it is on this curve and the curve is named, both
/// outside and, where it is repeated, inside. The scalar and the point are not looked at.
pub(super) fn ec_private_key(der: &[u8], curve: ObjectIdentifier) -> Option<EcPrivateKey<'_>> {
    let info = private_key_info(der).filter(|info| info.public_key.is_none())?;
    info.algorithm.assert_oids(EC_PUBLIC_KEY, curve).ok()?;
    let key = EcPrivateKey::from_der(info.private_key.as_bytes()).ok()?;
    let named = key.parameters.is_none_or(|inner| inner.named_curve() == Some(curve));
    named.then_some(key)
}

/// The point of an elliptic curve's public key, in compressed or uncompressed form (SEC 1 section 2.3.3), where it is
/// said to be on this named curve. Whether it is, is not looked at.
pub(super) fn ec_point(der: &[u8], curve: ObjectIdentifier) -> Option<&[u8]> {
    let info = SubjectPublicKeyInfo::<der::AnyRef<'_>, BitStringRef<'_>>::from_der(der).ok()?;
    info.algorithm.assert_oids(EC_PUBLIC_KEY, curve).ok()?;
    info.subject_public_key.as_bytes().filter(|point| matches!(point.first(), Some(2..=4)))
}

/// The key of a SubjectPublicKeyInfo whose algorithm is this one and has no parameters.
pub(super) fn public_key(der: &[u8], algorithm: ObjectIdentifier) -> Option<Vec<u8>> {
    let info = SubjectPublicKeyInfo::<der::AnyRef<'_>, BitStringRef<'_>>::from_der(der).ok()?;
    let is_named = info.algorithm.oid == algorithm && info.algorithm.parameters.is_none();
    info.subject_public_key.as_bytes().filter(|_| is_named).map(<[u8]>::to_vec)
}

/// The seed of an ML-DSA or ML-KEM private key. `None` for the expanded forms.
pub(super) fn seed<const N: usize>(der: &[u8], algorithm: ObjectIdentifier) -> Option<Zeroizing<Vec<u8>>> {
    let info = private_key_info(der).filter(|info| info.public_key.is_none())?;
    if info.algorithm.oid != algorithm || info.algorithm.parameters.is_some() {
        return None;
    }
    let mut reader = SliceReader::new(info.private_key.as_bytes()).ok()?;
    let seed = ContextSpecific::<&OctetStringRef>::decode_implicit(&mut reader, SEED_TAG).ok()??;
    let seed = Zeroizing::new(seed.value.as_bytes().to_vec());
    (reader.is_finished() && seed.len() == N).then_some(seed)
}

/// A private key that is a seed, as PKCS #8.
///
/// # Errors
/// [`Refusal::Internal`], which no input causes.
pub(super) fn write_seed(algorithm: ObjectIdentifier, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let written = || -> der::Result<_> {
        let value = OctetStringRef::new(seed)?;
        let inner = ContextSpecific { tag_number: SEED_TAG, tag_mode: TagMode::Implicit, value };
        let inner = Zeroizing::new(inner.to_der()?);
        let algorithm = AlgorithmIdentifierRef { oid: algorithm, parameters: None };
        PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&inner)?).to_der()
    };
    written().map(Zeroizing::new).map_err(|_| Refusal::Internal)
}

/// A public key whose algorithm has no parameters, as SubjectPublicKeyInfo.
///
/// # Errors
/// [`Refusal::Internal`], which no input causes.
pub(super) fn write_public(algorithm: ObjectIdentifier, key: &[u8]) -> Result<Vec<u8>, Refusal> {
    let written = || -> der::Result<_> {
        let algorithm = AlgorithmIdentifier::<der::AnyRef<'_>> { oid: algorithm, parameters: None };
        SubjectPublicKeyInfo { algorithm, subject_public_key: BitStringRef::from_bytes(key)? }.to_der()
    };
    written().map_err(|_| Refusal::Internal)
}
