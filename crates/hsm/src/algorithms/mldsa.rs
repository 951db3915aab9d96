//! ML-DSA (FIPS 204): pure, hedged, with an empty context. What is stored is the seed.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING,
    ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, VerificationAlgorithm,
};
use claviger_hsm_proto::Refusal;
use pkcs8::ObjectIdentifier;
use zeroize::Zeroizing;

use super::ffi::{self, MlDsa, MuSigner};
use super::spec::{Message, SigningAlgorithm, Spec};
use super::{Material, Signing, Verifying, encoding, internal};
use crate::random::Entropy;

const SEED_LEN: usize = 32;

/// A set of parameters.
#[derive(Clone, Copy)]
struct Parameters {
    name: ObjectIdentifier,
    signing: &'static PqdsaSigningAlgorithm,
    verification: &'static dyn VerificationAlgorithm,
    mu: MlDsa,
}

impl Parameters {
    fn of(spec: Spec) -> Option<Self> {
        match spec {
            Spec::MlDsa44 => Some(Self {
                name: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"),
                signing: &ML_DSA_44_SIGNING,
                verification: &ML_DSA_44,
                mu: ffi::ML_DSA_44,
            }),
            Spec::MlDsa65 => Some(Self {
                name: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"),
                signing: &ML_DSA_65_SIGNING,
                verification: &ML_DSA_65,
                mu: ffi::ML_DSA_65,
            }),
            Spec::MlDsa87 => Some(Self {
                name: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"),
                signing: &ML_DSA_87_SIGNING,
                verification: &ML_DSA_87,
                mu: ffi::ML_DSA_87,
            }),
            _ => None,
        }
    }
}

/// A new key.
pub(super) fn generate(spec: Spec, entropy: &Entropy) -> Result<Material, Refusal> {
    let mut seed = Zeroizing::new(vec![0; SEED_LEN]);
    entropy.fill(&mut seed)?;
    export(spec, seed)
}

/// Reads a PKCS #8 key in the seed form of RFC 9881.
pub(super) fn import(spec: Spec, der: &[u8]) -> Option<Material> {
    export(spec, encoding::seed::<SEED_LEN>(der, Parameters::of(spec)?.name)?).ok()
}

/// The key of a seed.
pub(super) fn export(spec: Spec, seed: Zeroizing<Vec<u8>>) -> Result<Material, Refusal> {
    let parameters = Parameters::of(spec).ok_or(Refusal::Usage)?;
    let pair = PqdsaKeyPair::from_seed(parameters.signing, &seed).map_err(internal)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(internal)?;
    Ok(Material { public: Some(public.as_ref().to_vec()), private: seed })
}

/// A key that signs.
pub(super) struct SigningKey {
    pair: PqdsaKeyPair,
    /// Made when a representative is signed for the first time: most keys never do.
    mu: OnceLock<MuSigner>,
    public: VerifyingKey,
}

/// A key that verifies.
pub(super) struct VerifyingKey {
    key: ParsedPublicKey,
    bytes: Vec<u8>,
    parameters: Parameters,
}

impl SigningKey {
    pub(super) fn parse(spec: Spec, seed: &[u8]) -> Result<Self, Refusal> {
        let parameters = Parameters::of(spec).ok_or(Refusal::Usage)?;
        let pair = PqdsaKeyPair::from_seed(parameters.signing, seed).map_err(internal)?;
        let public =
            VerifyingKey::of(parameters, pair.public_key().as_ref().to_vec()).ok_or(Refusal::Internal)?;
        Ok(Self { pair, mu: OnceLock::new(), public })
    }

    fn mu_signer(&self) -> Result<&MuSigner, Refusal> {
        if let Some(signer) = self.mu.get() {
            return Ok(signer);
        }
        let parameters = self.public.parameters;
        let stored = self.pair.to_pkcs8v1().map_err(internal)?;
        let seed = encoding::seed::<SEED_LEN>(stored.as_ref(), parameters.name).ok_or(Refusal::Internal)?;
        let seed = seed.first_chunk::<SEED_LEN>().ok_or(Refusal::Internal)?;
        let signer = MuSigner::from_seed(parameters.mu, seed).ok_or(Refusal::Internal)?;
        Ok(self.mu.get_or_init(|| signer))
    }
}

impl VerifyingKey {
    pub(super) fn parse(spec: Spec, public: &[u8]) -> Option<Self> {
        let parameters = Parameters::of(spec)?;
        Self::of(parameters, encoding::public_key(public, parameters.name)?)
    }

    fn of(parameters: Parameters, bytes: Vec<u8>) -> Option<Self> {
        let key = ParsedPublicKey::new(parameters.verification, &bytes).ok()?;
        Some(Self { key, bytes, parameters })
    }
}

impl Signing for SigningKey {
    fn sign(&self, _: SigningAlgorithm, message: Message<'_>, _: &Entropy) -> Result<Vec<u8>, Refusal> {
        match message {
            Message::Raw(message) => {
                let mut signature = vec![0; self.pair.algorithm().signature_len()];
                self.pair.sign(message, &mut signature).map_err(internal)?;
                Ok(signature)
            }
            Message::ExternalMu(mu) => self.mu_signer()?.sign(mu).ok_or(Refusal::Internal),
            Message::Digest(_) => Err(Refusal::Usage),
        }
    }

    fn public(&self) -> &dyn Verifying {
        &self.public
    }
}

impl Verifying for VerifyingKey {
    fn verify(&self, _: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool {
        match message {
            Message::Raw(message) => self.key.verify_sig(message, signature).is_ok(),
            Message::ExternalMu(mu) => ffi::mu_verify(self.parameters.mu, &self.bytes, mu, signature),
            Message::Digest(_) => false,
        }
    }
}
