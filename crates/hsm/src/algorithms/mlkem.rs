//! ML-KEM (FIPS 203). What is stored is the seed, `d || z`.

use aws_lc_rs::kem::{
    Algorithm, AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_512, ML_KEM_768,
    ML_KEM_1024,
};
use claviger_hsm_proto::Refusal;
use pkcs8::ObjectIdentifier;
use zeroize::Zeroizing;

use super::ffi::{self, ML_KEM_SEED_LEN, MlKem};
use super::spec::Spec;
use super::{Material, encoding, internal};
use crate::random::Entropy;

/// A set of parameters.
#[derive(Clone, Copy)]
struct Parameters {
    name: ObjectIdentifier,
    algorithm: &'static Algorithm<AlgorithmId>,
    expansion: MlKem,
    /// Length of an encapsulated secret in bytes.
    ciphertext_len: usize,
}

impl Parameters {
    fn of(spec: Spec) -> Option<Self> {
        match spec {
            Spec::MlKem512 => Some(Self {
                name: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.1"),
                algorithm: &ML_KEM_512,
                expansion: ffi::ML_KEM_512,
                ciphertext_len: 768,
            }),
            Spec::MlKem768 => Some(Self {
                name: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.2"),
                algorithm: &ML_KEM_768,
                expansion: ffi::ML_KEM_768,
                ciphertext_len: 1088,
            }),
            Spec::MlKem1024 => Some(Self {
                name: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.3"),
                algorithm: &ML_KEM_1024,
                expansion: ffi::ML_KEM_1024,
                ciphertext_len: 1568,
            }),
            _ => None,
        }
    }
}

/// A new key.
pub(super) fn generate(spec: Spec, entropy: &Entropy) -> Result<Material, Refusal> {
    let mut seed = Zeroizing::new(vec![0; ML_KEM_SEED_LEN]);
    entropy.fill(&mut seed)?;
    export(spec, seed)
}

/// Reads a PKCS #8 key in the seed form of RFC 9935.
pub(super) fn import(spec: Spec, der: &[u8]) -> Option<Material> {
    export(spec, encoding::seed::<ML_KEM_SEED_LEN>(der, Parameters::of(spec)?.name)?).ok()
}

/// A stored seed as PKCS #8.
pub(super) fn private_key_info(spec: Spec, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    encoding::write_seed(Parameters::of(spec).ok_or(Refusal::Usage)?.name, seed)
}

/// The key of a seed.
pub(super) fn export(spec: Spec, seed: Zeroizing<Vec<u8>>) -> Result<Material, Refusal> {
    let parameters = Parameters::of(spec).ok_or(Refusal::Usage)?;
    let (_, public) = expand(parameters, &seed)?;
    Ok(Material { private: seed, public: Some(encoding::write_public(parameters.name, &public)?) })
}

fn expand(parameters: Parameters, seed: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Refusal> {
    let seed = seed.try_into().map_err(internal)?;
    ffi::ml_kem_expand(parameters.expansion, seed).ok_or(Refusal::Internal)
}

/// A key that encapsulates and decapsulates.
pub(crate) struct EncapsulationPair {
    private: DecapsulationKey<AlgorithmId>,
    public: EncapsulationKey<AlgorithmId>,
    ciphertext_len: usize,
}

impl EncapsulationPair {
    pub(super) fn parse(spec: Spec, seed: &[u8]) -> Result<Self, Refusal> {
        let parameters = Parameters::of(spec).ok_or(Refusal::Usage)?;
        let (private, public) = expand(parameters, seed)?;
        Ok(Self {
            private: DecapsulationKey::new(parameters.algorithm, &private).map_err(internal)?,
            public: EncapsulationKey::new(parameters.algorithm, &public).map_err(internal)?,
            ciphertext_len: parameters.ciphertext_len,
        })
    }

    /// Makes a secret of 32 bytes, appended to `secret`, and encapsulates it, appended to `out`.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the library fails.
    pub(crate) fn encapsulate(&self, secret: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (ciphertext, shared) = self.public.encapsulate().map_err(internal)?;
        secret.extend_from_slice(shared.as_ref());
        out.extend_from_slice(ciphertext.as_ref());
        Ok(())
    }

    /// Opens an encapsulated secret, appended to `secret`. What was altered gives 32 other bytes (implicit rejection
    /// of FIPS 203 section 6.3).
    ///
    /// # Errors
    /// [`Refusal::Ciphertext`] for another length.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8], secret: &mut Vec<u8>) -> Result<(), Refusal> {
        if ciphertext.len() != self.ciphertext_len {
            return Err(Refusal::Ciphertext);
        }
        let shared = self.private.decapsulate(Ciphertext::from(ciphertext)).map_err(internal)?;
        secret.extend_from_slice(shared.as_ref());
        Ok(())
    }
}
