//! Every kind of key of the KMS API but the symmetric one ([`crate::cipher`]): made, taken in, and used.
//!
//! Cryptography is AWS-LC's, but for two curves that it lacks or is slow on ([`sm2`], [`secp256k1`]).
//!
//! What is stored of a key, and wrapped in its token:
//!
//! | spec | stored |
//! |---|---|
//! | `SYMMETRIC_DEFAULT` | 32 bytes |
//! | `HMAC_*` | the key, 28 to 128 bytes |
//! | `RSA_*`, `ECC_*`, `SM2` | PKCS #8 (RFC 5208) in DER |
//! | `ML_DSA_*` | the seed of FIPS 204, 32 bytes |
//! | `ML_KEM_*` | the seed of FIPS 203, `d \|\| z`, 64 bytes |
//!
//! **Parsed keys are outside the secret memory of [`crate::arena`].** AWS-LC and RustCrypto expand a private key on
//! the ordinary heap and keep it there as long as the parsed key lives, which is as long as it is cached. Both clear
//! what they free, but for SM2 ([`sm2`]). The process is confined, not dumpable and not traceable, but whoever reads its
//! heap reads these.

mod ed25519;
mod encoding;
mod ffi;
mod mac;
mod mldsa;
mod mlkem;
mod nist;
mod rsa;
mod secp256k1;
mod sm2;
mod spec;

use claviger_hsm_proto::Refusal;
use zeroize::Zeroizing;

pub(crate) use mac::{MAX_KEY_LEN as MAX_MAC_KEY_LEN, generate_mac, verify_mac};
pub(crate) use mlkem::EncapsulationPair;
pub(crate) use sm2::EncryptionKey as Sm2EncryptionKey;
#[cfg(test)]
pub(crate) use spec::Named;
pub(crate) use spec::{
    EncryptionAlgorithm, Kind, MacAlgorithm, Message, SigningAlgorithm, Spec, Usage, within_bounds,
};

use crate::primitives::KEY_LEN;
use crate::random::Entropy;

/// Most bytes that are stored of a key: an RSA key of 4,096 bits takes about 2,400.
pub(crate) const MAX_MATERIAL_LEN: usize = 3072;

/// Key material as it is stored, and the public key.
pub(crate) struct Material {
    /// What is stored; the table above.
    pub(crate) private: Zeroizing<Vec<u8>>,
    /// DER of a SubjectPublicKeyInfo (RFC 5280), for asymmetric keys.
    pub(crate) public: Option<Vec<u8>>,
}

/// Makes new key material.
///
/// RSA and NIST curve keys are made by AWS-LC with its own generator; all others of what `entropy` gives.
///
/// # Errors
/// [`Refusal::Randomness`], [`Refusal::Internal`] when the library fails.
pub(crate) fn generate(spec: Spec, entropy: &Entropy) -> Result<Material, Refusal> {
    entropy.check()?;
    match spec {
        Spec::SymmetricDefault => {
            let mut private = Zeroizing::new(vec![0; KEY_LEN]);
            entropy.fill(&mut private)?;
            Ok(Material { private, public: None })
        }
        Spec::Hmac224 | Spec::Hmac256 | Spec::Hmac384 | Spec::Hmac512 => mac::generate(spec, entropy),
        Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => rsa::generate(spec),
        Spec::EccNistP256 | Spec::EccNistP384 | Spec::EccNistP521 => nist::generate(spec),
        Spec::EccSecgP256k1 => secp256k1::generate(entropy),
        Spec::EccNistEdwards25519 => ed25519::generate(entropy),
        Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => mldsa::generate(spec, entropy),
        Spec::MlKem512 | Spec::MlKem768 | Spec::MlKem1024 => mlkem::generate(spec, entropy),
        Spec::Sm2 => sm2::generate(entropy),
    }
}

/// Makes a data key pair: the private key as PKCS #8 whatever the spec.
///
/// # Errors
/// Those of [`generate()`].
pub(crate) fn generate_pair(spec: Spec, entropy: &Entropy) -> Result<Material, Refusal> {
    let made = generate(spec, entropy)?;
    match spec {
        Spec::MlKem512 | Spec::MlKem768 | Spec::MlKem1024 => {
            Ok(Material { private: mlkem::private_key_info(spec, &made.private)?, public: made.public })
        }
        _ => Ok(made),
    }
}

/// Takes in key material from outside, as "Requirements for imported key material" of the AWS KMS Developer Guide has
/// it: symmetric and HMAC keys as they are, all others as unencrypted PKCS #8 in DER to the last byte, ML-DSA and
/// ML-KEM in the seed form. Gives the form that is stored, in which one key has one spelling, and the public key.
///
/// # Errors
/// [`Refusal::Usage`] for a spec and usage that do not go together, [`Refusal::Material`] for everything that is not
/// sound material of exactly this spec.
pub(crate) fn import(spec: &str, usage: &str, material: &[u8]) -> Result<Material, Refusal> {
    let spec = Kind::parse(spec, usage)?.spec;
    let taken = match spec {
        Spec::SymmetricDefault => (material.len() == KEY_LEN)
            .then(|| Material { private: Zeroizing::new(material.to_vec()), public: None }),
        Spec::Hmac224 | Spec::Hmac256 | Spec::Hmac384 | Spec::Hmac512 => mac::import(spec, material),
        _ => pkcs8(spec, material),
    };
    taken.filter(|taken| taken.private.len() <= MAX_MATERIAL_LEN).ok_or(Refusal::Material)
}

/// Takes in an asymmetric key.
fn pkcs8(spec: Spec, der: &[u8]) -> Option<Material> {
    match spec {
        Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => rsa::import(spec, der),
        Spec::EccNistP256 | Spec::EccNistP384 | Spec::EccNistP521 => nist::import(spec, der),
        Spec::EccSecgP256k1 => secp256k1::import(der),
        Spec::EccNistEdwards25519 => ed25519::import(der),
        Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => mldsa::import(spec, der),
        Spec::MlKem512 | Spec::MlKem768 | Spec::MlKem1024 => mlkem::import(spec, der),
        Spec::Sm2 => sm2::import(der),
        Spec::SymmetricDefault | Spec::Hmac224 | Spec::Hmac256 | Spec::Hmac384 | Spec::Hmac512 => None,
    }
}

/// Reads what is stored of a key back into what [`generate()`] and [`import()`] gave.
///
/// # Errors
/// [`Refusal::Internal`] for what is not material of this spec: what was stored was checked.
pub(crate) fn restore(kind: Kind, stored: Zeroizing<Vec<u8>>) -> Result<Material, Refusal> {
    let public = match kind.spec {
        Spec::SymmetricDefault | Spec::Hmac224 | Spec::Hmac256 | Spec::Hmac384 | Spec::Hmac512 => None,
        Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => mldsa::export(kind.spec, stored.clone())?.public,
        Spec::MlKem512 | Spec::MlKem768 | Spec::MlKem1024 => mlkem::export(kind.spec, stored.clone())?.public,
        spec => pkcs8(spec, &stored).ok_or(Refusal::Internal)?.public,
    };
    Ok(Material { private: stored, public })
}

/// A parsed private key, by what it may be used for.
pub(crate) enum PrivateKey {
    /// Signs and verifies.
    Signing(Box<dyn Signing>),
    /// Encrypts and decrypts.
    Encryption(Box<dyn Encryption>),
    /// Agrees on secrets.
    Agreement(Box<dyn Agreement>),
    /// Encapsulates and decapsulates secrets.
    Encapsulation(EncapsulationPair),
}

impl PrivateKey {
    /// Reads stored material.
    ///
    /// # Errors
    /// [`Refusal::Usage`] for a kind of key that is not asymmetric, [`Refusal::Internal`] for what is not material of
    /// this kind: what was stored was checked.
    pub(crate) fn parse(kind: Kind, stored: &[u8]) -> Result<Self, Refusal> {
        match kind.usage {
            Usage::SignVerify => signing(kind.spec, stored).map(Self::Signing),
            Usage::EncryptDecrypt => encryption(kind.spec, stored).map(Self::Encryption),
            Usage::KeyAgreement => agreement(kind.spec, stored).map(Self::Agreement),
            Usage::EncapsulateDecapsulate => {
                EncapsulationPair::parse(kind.spec, stored).map(Self::Encapsulation)
            }
            Usage::GenerateVerifyMac => Err(Refusal::Usage),
        }
    }
}

/// A private key that signs.
pub(crate) trait Signing: Send + Sync {
    /// Signs a message that the algorithm has. Not verified; [`sign()`] does that.
    fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: Message<'_>,
        entropy: &Entropy,
    ) -> Result<Vec<u8>, Refusal>;

    /// The key's public part.
    fn public(&self) -> &dyn Verifying;
}

/// A public key that verifies.
pub(crate) trait Verifying: Send + Sync {
    /// Whether this is a signature of the message. Whatever is wrong, the answer is no.
    fn verify(&self, algorithm: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool;
}

/// A private key that encrypts and decrypts.
pub(crate) trait Encryption: Send + Sync {
    /// Encrypts into `out`; [`Refusal::Length`] for a plaintext that is longer than the key allows.
    fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
        entropy: &Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal>;

    /// Decrypts into `out`; [`Refusal::Ciphertext`] for every reason alike.
    fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal>;
}

/// A private key that agrees on secrets.
pub(crate) trait Agreement: Send + Sync {
    /// The x-coordinate of the shared point (ECC CDH, NIST SP 800-56A section 5.7.1.2), appended to `out`.
    ///
    /// # Errors
    /// [`Refusal::PublicKey`] unless `peer` is the SubjectPublicKeyInfo of a point on the key's named curve, in
    /// compressed or uncompressed form.
    fn agree(&self, peer: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal>;
}

/// Signs, and verifies the signature before it leaves: one that a fault made wrong could give the key away (Boneh,
/// DeMillo and Lipton for RSA; the same holds for every scheme whose signing is deterministic).
///
/// # Errors
/// [`Refusal::Randomness`], [`Refusal::Internal`] when the library fails or the signature is wrong.
pub(crate) fn sign(
    key: &dyn Signing,
    algorithm: SigningAlgorithm,
    message: Message<'_>,
    entropy: &Entropy,
) -> Result<Vec<u8>, Refusal> {
    entropy.check()?;
    let signature = key.sign(algorithm, message, entropy)?;
    if key.public().verify(algorithm, message, &signature) { Ok(signature) } else { Err(Refusal::Internal) }
}

/// A public key of its own, made as the one behind every private key is. `None` for what is no key of this spec.
pub(crate) fn verifying(spec: Spec, public: &[u8]) -> Option<Box<dyn Verifying>> {
    match spec {
        Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => Some(Box::new(rsa::VerifyingKey::parse(public))),
        Spec::EccNistP256 | Spec::EccNistP384 | Spec::EccNistP521 => {
            Some(Box::new(nist::VerifyingKey::parse(spec, public)?))
        }
        Spec::EccSecgP256k1 => Some(Box::new(secp256k1::VerifyingKey::parse(public)?)),
        Spec::EccNistEdwards25519 => Some(Box::new(ed25519::VerifyingKey::parse(public)?)),
        Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => {
            Some(Box::new(mldsa::VerifyingKey::parse(spec, public)?))
        }
        Spec::Sm2 => Some(Box::new(sm2::VerifyingKey::parse(public)?)),
        _ => None,
    }
}

fn signing(spec: Spec, stored: &[u8]) -> Result<Box<dyn Signing>, Refusal> {
    Ok(match spec {
        Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => Box::new(rsa::SigningKey::parse(stored)?),
        Spec::EccNistP256 | Spec::EccNistP384 | Spec::EccNistP521 => {
            Box::new(nist::SigningKey::parse(spec, stored)?)
        }
        Spec::EccSecgP256k1 => Box::new(secp256k1::SigningKey::parse(stored)?),
        Spec::EccNistEdwards25519 => Box::new(ed25519::SigningKey::parse(stored)?),
        Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => Box::new(mldsa::SigningKey::parse(spec, stored)?),
        Spec::Sm2 => Box::new(sm2::SigningKey::parse(stored)?),
        _ => return Err(Refusal::Usage),
    })
}

fn encryption(spec: Spec, stored: &[u8]) -> Result<Box<dyn Encryption>, Refusal> {
    Ok(match spec {
        Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => Box::new(rsa::EncryptionKey::parse(stored)?),
        Spec::Sm2 => Box::new(sm2::EncryptionKey::parse(stored)?),
        _ => return Err(Refusal::Usage),
    })
}

fn agreement(spec: Spec, stored: &[u8]) -> Result<Box<dyn Agreement>, Refusal> {
    Ok(match spec {
        Spec::EccNistP256 | Spec::EccNistP384 | Spec::EccNistP521 => {
            Box::new(nist::AgreementKey::parse(spec, stored)?)
        }
        Spec::Sm2 => Box::new(sm2::AgreementKey::parse(stored)?),
        _ => return Err(Refusal::Usage),
    })
}

/// A library failed on what was checked before.
fn internal<E>(_: E) -> Refusal {
    Refusal::Internal
}

#[cfg(test)]
pub(crate) mod tests;
