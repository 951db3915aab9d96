//! SM2 signatures and encryption with SM3 (GB/T 32918, ISO/IEC 14888-3) and Diffie-Hellman on its curve, by RustCrypto:
//! AWS-LC has none of them.
//!
//! **This code is not audited**: the `sm2` crate says so of itself. Its field arithmetic is machine-checked
//! (fiat-crypto), what is around it is not. It compares the hash of what it has decrypted not in constant time, and it
//! does not clear the private scalars of keys that sign or decrypt when they are dropped.
//!
//! Agreement is the cofactor Diffie-Hellman primitive that the AWS KMS API Reference names for DeriveSharedSecret, on
//! SM2 keys as on others. It is not the key exchange protocol of GB/T 32918.3, which takes two key pairs of each side.
//!
//! The distinguishing id is the default one of GM/T 0009, which AWS KMS uses. A digest to sign is
//! `SM3(Z || message)`, with `Z` made of that id and the public key.

use claviger_hsm_proto::Refusal;
use der::Decode;
use elliptic_curve::{Generate, ecdh};
use pkcs8::{AssociatedOid, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use sm2::dsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use sm2::dsa::signature::{RandomizedSigner, Verifier as _};
use sm2::dsa::{Signature, SigningKey as Signer, VerifyingKey as Verifier};
use sm2::pke::{Cipher, DecryptingKey, EncryptingKey};
use sm2::{PublicKey, Scalar, SecretKey};
use zeroize::{Zeroize, Zeroizing};

use super::spec::{EncryptionAlgorithm, Message, SigningAlgorithm};
use super::{Agreement, Encryption, Material, Signing, Verifying, encoding, internal};
use crate::random::Entropy;

/// The default distinguishing id (GM/T 0009 section 10).
const DISTINGUISHING_ID: &str = "1234567812345678";
/// Longest plaintext in bytes ("SM2 key spec" of the AWS KMS Developer Guide).
const MAX_PLAINTEXT_LEN: usize = 1024;

/// A new key.
pub(super) fn generate(entropy: &Entropy) -> Result<Material, Refusal> {
    export(&SecretKey::try_generate_from_rng(&mut entropy.generator()).map_err(|_| Refusal::Randomness)?)
}

/// Reads a PKCS #8 key on this named curve, whose scalar is in range and whose point, if there is one, belongs to it.
pub(super) fn import(der: &[u8]) -> Option<Material> {
    let key = secret_key(der)?;
    // GB/T 32918.1 allows 1 to n - 2: with n - 1 no signature can be made.
    let successor = *key.to_nonzero_scalar() + Scalar::ONE;
    if bool::from(successor.is_zero()) { None } else { export(&key).ok() }
}

fn secret_key(der: &[u8]) -> Option<SecretKey> {
    SecretKey::try_from(encoding::ec_private_key(der, sm2::Sm2::OID)?).ok()
}

fn export(key: &SecretKey) -> Result<Material, Refusal> {
    let private = key.to_pkcs8_der().map_err(internal)?;
    let public = key.public_key().to_public_key_der().map_err(internal)?;
    Ok(Material { private: private.to_bytes(), public: Some(public.into_vec()) })
}

/// A key that signs.
pub(super) struct SigningKey {
    signer: Signer,
    public: VerifyingKey,
}

/// A key that verifies.
pub(super) struct VerifyingKey(Verifier);

impl SigningKey {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        let key = secret_key(stored).ok_or(Refusal::Internal)?;
        let signer = Signer::new(DISTINGUISHING_ID, &key).map_err(internal)?;
        let public = VerifyingKey(signer.verifying_key().clone());
        Ok(Self { signer, public })
    }
}

impl VerifyingKey {
    pub(super) fn parse(public: &[u8]) -> Option<Self> {
        let key = PublicKey::from_public_key_der(public).ok()?;
        Verifier::new(DISTINGUISHING_ID, key).ok().map(Self)
    }
}

impl Signing for SigningKey {
    fn sign(&self, _: SigningAlgorithm, message: Message<'_>, entropy: &Entropy) -> Result<Vec<u8>, Refusal> {
        let mut generator = entropy.generator();
        let signature: Signature = match message {
            Message::Raw(message) => self.signer.try_sign_with_rng(&mut generator, message),
            Message::Digest(digest) => self.signer.sign_prehash_with_rng(&mut generator, digest),
            Message::ExternalMu(_) => return Err(Refusal::Usage),
        }
        .map_err(|_| Refusal::Randomness)?;
        Ok(signature.to_der().to_vec())
    }

    fn public(&self) -> &dyn Verifying {
        &self.public
    }
}

impl Verifying for VerifyingKey {
    fn verify(&self, _: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_der(signature) else { return false };
        match message {
            Message::Raw(message) => self.0.verify(message, &signature).is_ok(),
            Message::Digest(digest) => self.0.verify_prehash(digest, &signature).is_ok(),
            Message::ExternalMu(_) => false,
        }
    }
}

/// A key that encrypts and decrypts, in the DER form of GM/T 0009.
pub(crate) struct EncryptionKey {
    private: DecryptingKey,
    public: EncryptingKey,
}

impl EncryptionKey {
    /// Reads stored material.
    ///
    /// # Errors
    /// [`Refusal::Internal`] for what is none: what was stored was checked.
    pub(crate) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        let key = secret_key(stored).ok_or(Refusal::Internal)?;
        let public = EncryptingKey::new(key.public_key());
        Ok(Self { private: DecryptingKey::new(key), public })
    }

    /// Decrypts into `out`, whatever the length.
    ///
    /// # Errors
    /// [`Refusal::Ciphertext`] for every reason alike.
    pub(crate) fn open(&self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        out.clear();
        let cipher = Cipher::<sm2::Sm2>::from_der(ciphertext).map_err(|_| Refusal::Ciphertext)?;
        out.resize(cipher.c2().len(), 0);
        let opened = self.private.decrypt_cipher_with_buf(&cipher, out);
        opened.map(drop).map_err(|_| {
            // It is there also where its hash is wrong.
            out.zeroize();
            Refusal::Ciphertext
        })
    }
}

impl Encryption for EncryptionKey {
    fn encrypt(
        &self,
        _: EncryptionAlgorithm,
        plaintext: &[u8],
        entropy: &Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if plaintext.len() > MAX_PLAINTEXT_LEN {
            return Err(Refusal::Length);
        }
        let sealed = self.public.encrypt_der(&mut entropy.generator(), plaintext);
        out.clear();
        out.extend_from_slice(&sealed.map_err(|_| Refusal::Randomness)?);
        Ok(())
    }

    fn decrypt(&self, _: EncryptionAlgorithm, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.open(ciphertext, out)?;
        if out.len() > MAX_PLAINTEXT_LEN {
            out.zeroize();
            return Err(Refusal::Ciphertext);
        }
        Ok(())
    }
}

/// A key that agrees on secrets.
pub(super) struct AgreementKey(SecretKey);

impl AgreementKey {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        secret_key(stored).map(Self).ok_or(Refusal::Internal)
    }
}

impl Agreement for AgreementKey {
    fn agree(&self, peer: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let point = encoding::ec_point(peer, sm2::Sm2::OID).ok_or(Refusal::PublicKey)?;
        let peer = PublicKey::from_sec1_bytes(point).map_err(|_| Refusal::PublicKey)?;
        let scalar = Zeroizing::new(self.0.to_nonzero_scalar());
        let secret = ecdh::diffie_hellman(&*scalar, peer.as_affine());
        out.extend_from_slice(secret.raw_secret_bytes());
        Ok(())
    }
}
