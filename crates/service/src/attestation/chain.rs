//! From a document's certificate to a root that is trusted (RFC 5280).

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA384;
use x509_parser::prelude::FromDer;

use super::payload::Payload;
use super::refusal::Refusal;
use crate::moment::Moment;

/// SHA-256 of the certificate (DER) of AWS's root for Nitro Enclaves and NitroTPM in its commercial Regions, named `G1`,
/// as published in the AWS Nitro Enclaves User Guide, "Verifying the root of trust".
pub const NITRO_ROOT_G1: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31, 0x7e,
    0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

/// AWS signs all certificates with P-384 and SHA-384. Nothing weaker, and nothing else, can lead to a root.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[webpki::aws_lc_rs::ECDSA_P384_SHA384];

/// Who may vouch for an enclave. The default is AWS: [`NITRO_ROOT_G1`] alone.
#[derive(Debug, Clone)]
pub struct Roots {
    anchors: Vec<Anchor>,
    pinned: Vec<[u8; 32]>,
}

/// A root whose own certificate was checked.
#[derive(Debug, Clone)]
struct Anchor {
    trusted: TrustAnchor<'static>,
    /// Seconds since 1970, both included.
    not_before: i64,
    not_after: i64,
}

/// Why a certificate cannot be a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootError {
    /// It is not one X.509 certificate in DER.
    NotACertificate,
    /// It does not say that its key signs certificates.
    NotAnAuthority,
    /// It is not signed by its own key, which must be a P-384 key, with SHA-384.
    NotSelfSigned,
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotACertificate => "not an X.509 certificate",
            Self::NotAnAuthority => "not the certificate of an authority",
            Self::NotSelfSigned => "not signed by its own key with P-384 and SHA-384",
        })
    }
}

impl std::error::Error for RootError {}

impl Default for Roots {
    fn default() -> Self {
        Self::pinned(vec![NITRO_ROOT_G1])
    }
}

impl Roots {
    /// Trusts these root certificates (DER).
    ///
    /// # Errors
    /// [`RootError`] of the first that cannot be a root.
    pub fn new(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, RootError> {
        let anchors = certificates.into_iter().map(|certificate| Anchor::read(&certificate));
        Ok(Self { anchors: anchors.collect::<Result<_, _>>()?, pinned: Vec::new() })
    }

    /// Trusts the root certificates whose SHA-256 these are. The certificate itself comes with each document, as the
    /// first of its `cabundle`.
    pub fn pinned(fingerprints: Vec<[u8; 32]>) -> Self {
        Self { anchors: Vec::new(), pinned: fingerprints }
    }

    /// Trusts the roots of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.anchors.extend(other.anchors);
        self.pinned.extend(other.pinned);
        self
    }

    /// The key that a document's certificate vouches for, once that certificate leads to a root. Every certificate on
    /// the way must be valid when the document was made and must not have expired since. A clock that is a little
    /// behind the document's does not refuse a certificate that began with it.
    pub(super) fn leaf_key(&self, payload: &Payload<'_>, now: Moment) -> Result<ParsedPublicKey, Refusal> {
        let made = payload.timestamp;
        let anchors = self.valid_anchors(payload, made.seconds(), made.max(now).seconds());
        if anchors.is_empty() {
            return Err(Refusal::NoRoot);
        }
        let leaf = CertificateDer::from(payload.certificate);
        let leaf = EndEntityCert::try_from(&leaf).map_err(unverified)?;
        let bundle: Vec<_> = payload.cabundle.iter().map(|der| CertificateDer::from(*der)).collect();
        let at = UnixTime::since_unix_epoch(Duration::from_millis(made.0.unsigned_abs()));
        // AWS's certificates have no extended key usage; one that has is for client authentication or is refused.
        let path = leaf
            .verify_for_usage(ALGORITHMS, &anchors, &bundle, at, KeyUsage::client_auth(), None, None)
            .map_err(unverified)?;
        check_path(&path, now)?;
        let spki = leaf.subject_public_key_info();
        ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &spki).map_err(|_| Refusal::LeafKey)
    }

    /// The trusted roots that are valid from one second to another, and the document's own if it is pinned.
    fn valid_anchors(&self, payload: &Payload<'_>, from: i64, to: i64) -> Vec<TrustAnchor<'static>> {
        let brought = payload.cabundle.first().filter(|root| self.pins(root));
        let brought = brought.and_then(|root| Anchor::read(root).ok());
        let all = self.anchors.iter().cloned().chain(brought);
        all.filter(|root| root.not_before <= from && to <= root.not_after).map(|root| root.trusted).collect()
    }

    fn pins(&self, certificate: &[u8]) -> bool {
        let fingerprint = digest::digest(&digest::SHA256, certificate);
        self.pinned.iter().any(|pinned| pinned == fingerprint.as_ref())
    }
}

impl Anchor {
    fn read(der: &[u8]) -> Result<Self, RootError> {
        let certificate = parse(der).ok_or(RootError::NotACertificate)?;
        if !certificate.is_ca() || !is_for(&certificate, Use::Certificates) {
            return Err(RootError::NotAnAuthority);
        }
        if !is_self_signed(&certificate) {
            return Err(RootError::NotSelfSigned);
        }
        let owned = CertificateDer::from(der);
        let trusted = anchor_from_trusted_cert(&owned).map_err(|_| RootError::NotACertificate)?.to_owned();
        let validity = certificate.validity();
        Ok(Self {
            trusted,
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }
}

/// One certificate and nothing after it.
fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    let tbs = &certificate.tbs_certificate;
    let algorithm = &certificate.signature_algorithm;
    if tbs.subject.as_raw() != tbs.issuer.as_raw()
        || *algorithm != tbs.signature
        || algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA384
    {
        return false;
    }
    let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, tbs.subject_pki.raw);
    key.is_ok_and(|key| key.verify_sig(tbs.as_ref(), &certificate.signature_value.data).is_ok())
}

/// What a certificate's key is used for here.
#[derive(Clone, Copy)]
enum Use {
    Certificates,
    Documents,
}

/// Whether the key usage extension is there and says so, as AWS asks of every certificate on the way.
fn is_for(certificate: &X509Certificate<'_>, purpose: Use) -> bool {
    let Ok(Some(usage)) = certificate.key_usage() else { return false };
    match purpose {
        Use::Certificates => usage.value.key_cert_sign(),
        Use::Documents => usage.value.digital_signature(),
    }
}

fn unverified(error: webpki::Error) -> Refusal {
    Refusal::Chain(error.to_string())
}

/// What webpki leaves open: the key usage, and the time since the document was made.
fn check_path(path: &VerifiedPath<'_>, now: Moment) -> Result<(), Refusal> {
    check_certificate(&path.end_entity().der(), Use::Documents, now)?;
    path.intermediate_certificates()
        .try_for_each(|certificate| check_certificate(&certificate.der(), Use::Certificates, now))
}

fn check_certificate(der: &[u8], purpose: Use, now: Moment) -> Result<(), Refusal> {
    let certificate = parse(der).filter(|certificate| is_for(certificate, purpose));
    let certificate = certificate.ok_or(Refusal::KeyUsage)?;
    if now.seconds() > certificate.validity().not_after.timestamp() { Err(Refusal::Expired) } else { Ok(()) }
}
