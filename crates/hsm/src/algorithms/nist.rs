//! The NIST curves P-256, P-384 and P-521 (NIST SP 800-186): ECDSA (FIPS 186-5) and ECDH (NIST SP 800-56A).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, ParsedPublicKey, VerificationAlgorithm,
};
use claviger_hsm_proto::Refusal;
use pkcs8::ObjectIdentifier;
use zeroize::Zeroizing;

use super::spec::{Message, SigningAlgorithm, Spec};
use super::{Agreement, Material, Signing, Verifying, encoding, internal};
use crate::random::Entropy;

/// A curve and what is done on it.
#[derive(Clone, Copy)]
struct Curve {
    name: ObjectIdentifier,
    /// Length of a scalar in bytes.
    scalar_len: usize,
    agreement: &'static agreement::Algorithm,
    signing: &'static EcdsaSigningAlgorithm,
    verification: &'static dyn VerificationAlgorithm,
    digest: &'static digest::Algorithm,
}

impl Curve {
    fn of(spec: Spec) -> Option<Self> {
        match spec {
            Spec::EccNistP256 => Some(Self {
                name: ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
                scalar_len: 32,
                agreement: &ECDH_P256,
                signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
                verification: &ECDSA_P256_SHA256_ASN1,
                digest: &digest::SHA256,
            }),
            Spec::EccNistP384 => Some(Self {
                name: ObjectIdentifier::new_unwrap("1.3.132.0.34"),
                scalar_len: 48,
                agreement: &ECDH_P384,
                signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
                verification: &ECDSA_P384_SHA384_ASN1,
                digest: &digest::SHA384,
            }),
            Spec::EccNistP521 => Some(Self {
                name: ObjectIdentifier::new_unwrap("1.3.132.0.35"),
                scalar_len: 66,
                agreement: &ECDH_P521,
                signing: &ECDSA_P521_SHA512_ASN1_SIGNING,
                verification: &ECDSA_P521_SHA512_ASN1,
                digest: &digest::SHA512,
            }),
            _ => None,
        }
    }
}

/// A new key.
pub(super) fn generate(spec: Spec) -> Result<Material, Refusal> {
    let curve = Curve::of(spec).ok_or(Refusal::Usage)?;
    export(&PrivateKey::generate(curve.agreement).map_err(internal)?)
}

/// Reads a PKCS #8 key on this named curve. AWS-LC checks the scalar's range, the point, and that they belong
/// together; what is kept is made from the scalar alone, so that one key has one form.
pub(super) fn import(spec: Spec, der: &[u8]) -> Option<Material> {
    let curve = Curve::of(spec)?;
    let given = encoding::ec_private_key(der, curve.name)?;
    EcdsaKeyPair::from_pkcs8(curve.signing, der).ok()?;
    let scalar = padded(given.private_key, curve.scalar_len)?;
    export(&PrivateKey::from_private_key(curve.agreement, &scalar).ok()?).ok()
}

/// A scalar in the curve's length. Some writers leave zeros in front away, or add one.
fn padded(scalar: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
    let digits = scalar.get(zeros..)?;
    let mut padded = Zeroizing::new(vec![0; length]);
    padded.get_mut(length.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some(padded)
}

fn export(key: &PrivateKey) -> Result<Material, Refusal> {
    let private: Pkcs8V1Der<'_> = key.as_der().map_err(internal)?;
    let public = key.compute_public_key().map_err(internal)?;
    let public: PublicKeyX509Der<'_> = public.as_der().map_err(internal)?;
    Ok(Material {
        private: Zeroizing::new(private.as_ref().to_vec()),
        public: Some(public.as_ref().to_vec()),
    })
}

/// A key that signs.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

/// A key that verifies.
pub(super) struct VerifyingKey {
    key: ParsedPublicKey,
    digest: &'static digest::Algorithm,
}

impl SigningKey {
    pub(super) fn parse(spec: Spec, stored: &[u8]) -> Result<Self, Refusal> {
        let curve = Curve::of(spec).ok_or(Refusal::Usage)?;
        let pair = EcdsaKeyPair::from_pkcs8(curve.signing, stored).map_err(internal)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(internal)?;
        let public = VerifyingKey::parse(spec, public.as_ref()).ok_or(Refusal::Internal)?;
        Ok(Self { pair, public })
    }
}

impl VerifyingKey {
    pub(super) fn parse(spec: Spec, public: &[u8]) -> Option<Self> {
        let curve = Curve::of(spec)?;
        let key = ParsedPublicKey::new(curve.verification, public).ok()?;
        Some(Self { key, digest: curve.digest })
    }
}

impl Signing for SigningKey {
    fn sign(&self, _: SigningAlgorithm, message: Message<'_>, _: &Entropy) -> Result<Vec<u8>, Refusal> {
        let signature = match message {
            Message::Raw(message) => self.pair.sign(&SystemRandom::new(), message),
            Message::Digest(digest) => Digest::import_less_safe(digest, self.public.digest)
                .and_then(|digest| self.pair.sign_digest(&digest)),
            Message::ExternalMu(_) => return Err(Refusal::Usage),
        };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(internal)
    }

    fn public(&self) -> &dyn Verifying {
        &self.public
    }
}

impl Verifying for VerifyingKey {
    fn verify(&self, _: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool {
        match message {
            Message::Raw(message) => self.key.verify_sig(message, signature).is_ok(),
            Message::Digest(digest) => Digest::import_less_safe(digest, self.digest)
                .and_then(|digest| self.key.verify_digest_sig(&digest, signature))
                .is_ok(),
            Message::ExternalMu(_) => false,
        }
    }
}

/// A key that agrees on secrets.
pub(super) struct AgreementKey {
    private: PrivateKey,
    curve: ObjectIdentifier,
}

impl AgreementKey {
    pub(super) fn parse(spec: Spec, stored: &[u8]) -> Result<Self, Refusal> {
        let curve = Curve::of(spec).ok_or(Refusal::Usage)?;
        let private = PrivateKey::from_private_key_der(curve.agreement, stored).map_err(internal)?;
        Ok(Self { private, curve: curve.name })
    }
}

impl Agreement for AgreementKey {
    fn agree(&self, peer: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let point = encoding::ec_point(peer, self.curve).ok_or(Refusal::PublicKey)?;
        let peer = UnparsedPublicKey::new(self.private.algorithm(), point);
        agreement::agree(&self.private, peer, Refusal::PublicKey, |secret| {
            out.extend_from_slice(secret);
            Ok(())
        })
    }
}
