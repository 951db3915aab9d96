//! Encryption under a key of any spec, so that ReEncrypt can go from one to another.

use super::*;
use crate::algorithms::{Encryption, EncryptionAlgorithm, Spec};
use claviger_hsm_proto::blob;

/// A key that was loaded to encrypt or decrypt, and what else goes with that.
pub(super) enum Cipher<'c> {
    /// A symmetric key and the encoded encryption context.
    Symmetric { key: Key, material: MaterialId, context: &'c [u8] },
    /// An asymmetric key.
    Asymmetric { key: Arc<PrivateKey>, algorithm: EncryptionAlgorithm },
}

impl Engine {
    /// Loads a key that encrypts with this algorithm.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where it does not, or for an encryption context with an asymmetric key.
    pub(super) fn cipher<'c>(
        &self,
        key: &WrappedKey<'_>,
        algorithm: &str,
        context: &'c [u8],
        now: Duration,
        scratch: &mut Scratch,
    ) -> Result<Cipher<'c>, Refusal> {
        let (kind, algorithm) = limits::encrypts(key, algorithm)?;
        if kind.spec == Spec::SymmetricDefault {
            let material = key.material;
            return Ok(Cipher::Symmetric { key: self.material(key, now, scratch)?, material, context });
        }
        if !context.is_empty() {
            return Err(Refusal::Usage);
        }
        Ok(Cipher::Asymmetric { key: self.private_key(kind, key, now, scratch)?, algorithm })
    }

    /// Encrypts `scratch.clear` into `scratch.sealed`.
    ///
    /// # Errors
    /// [`Refusal::Length`] for a plaintext of no bytes or more than the key allows, [`Refusal::Randomness`].
    pub(super) fn seal(&self, cipher: &Cipher<'_>, scratch: &mut Scratch) -> Result<(), Refusal> {
        match cipher {
            Cipher::Symmetric { key, material, context } => {
                cipher::seal(key, *material, context, &self.entropy, scratch)
            }
            Cipher::Asymmetric { .. } if scratch.clear.is_empty() => Err(Refusal::Length),
            Cipher::Asymmetric { key, algorithm } => {
                self.entropy.check()?;
                let Scratch { clear, sealed, .. } = scratch;
                encryption(key)?.encrypt(*algorithm, clear, &self.entropy, sealed)
            }
        }
    }

    /// Decrypts into `scratch.clear`.
    ///
    /// # Errors
    /// [`Refusal::Ciphertext`], for every reason alike; `scratch.clear` is then empty.
    pub(super) fn open(
        &self,
        cipher: &Cipher<'_>,
        blob: &[u8],
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        match cipher {
            Cipher::Symmetric { key, material, context } => {
                cipher::open(key, *material, context, blob, scratch)
            }
            Cipher::Asymmetric { .. } if blob.len() > blob::MAX_BLOB_LEN => Err(Refusal::Ciphertext),
            Cipher::Asymmetric { key, algorithm } => {
                scratch.wipe();
                let opened = encryption(key)?.decrypt(*algorithm, blob, &mut scratch.clear);
                if opened.is_err() {
                    scratch.wipe();
                }
                opened
            }
        }
    }
}

fn encryption(key: &PrivateKey) -> Result<&dyn Encryption, Refusal> {
    match key {
        PrivateKey::Encryption(key) => Ok(&**key),
        _ => Err(Refusal::Internal),
    }
}
