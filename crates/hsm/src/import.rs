//! Import of key material (GetParametersForImport and ImportKeyMaterial of the KMS API).
//!
//! For each import the HSM makes a key pair that material is wrapped to, RSA or SM2. It keeps none of them: the private
//! key goes out in the *import token*, wrapped under the domain key and bound to the key that the material is for and
//! to the terms of the import.
//!
//! | algorithm | wrapped material |
//! |---|---|
//! | `RSAES_OAEP_SHA_*` | RSAES-OAEP (RFC 8017) of the material |
//! | `RSA_AES_KEY_WRAP_SHA_*` | RSAES-OAEP of an AES-256 key, then AES-KWP (RFC 5649) of the material under it |
//! | `SM2PKE` | SM2 encryption (GB/T 32918.4) of the material, in the DER form of GM/T 0009 |
//!
//! **What does not unwrap says nothing more.** AWS-LC checks the padding of OAEP and the integrity of AES-KWP in
//! constant time and with one error each, so neither tells what the RSA decryption gave (Manger's attack). And nobody
//! is told which of the two failed: where OAEP gives no AES key, a random one takes its place, AES-KWP runs over the
//! same bytes, and the failure is the same.
//!
//! SM2 checks a hash over the material and the point that both sides share, which nobody knows of a ciphertext of
//! somebody else's. All failures have one refusal. What fails before the multiplication fails for the ciphertext's sake
//! alone; the comparison of the hashes is the library's, and not in constant time.
//!
//! What cannot be covered here: AWS-LC works on copies of the private key, which it clears when it frees them, and on
//! an AES key schedule on the stack, which stands there until something else takes its place.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use claviger_hsm_proto::{Binding, ImportTerms, Refusal, blob};
use zeroize::Zeroizing;

use crate::algorithms::{self, Sm2EncryptionKey, Spec};
use crate::domain::Domain;
use crate::limits;
use crate::primitives::{KEY_LEN, Key};
use crate::random::Entropy;
use crate::session::Scratch;
use crate::token::{self, Place};

/// Longest import token in bytes: what is longer was not made here. The API allows 6,144.
const MAX_TOKEN_LEN: usize = 3_000;
/// Longest wrapped material in bytes (`CiphertextType` of the KMS API).
const MAX_WRAPPED_LEN: usize = blob::MAX_BLOB_LEN;

/// How material is wrapped.
#[derive(Debug, Clone, Copy)]
enum Wrapping {
    Oaep(&'static OaepAlgorithm),
    OaepThenAes(&'static OaepAlgorithm),
    Sm2,
}

/// Terms that were read and go together.
struct Terms {
    wrapping_key: Spec,
    wrapping: Wrapping,
}

impl Terms {
    /// Reads the terms for a key of this spec. `RSAES_PKCS1_V1_5` is none of them: AWS KMS no longer takes it since
    /// October 2023.
    ///
    /// # Errors
    /// [`Refusal::Usage`] for other names and for what does not go together ("Select a wrapping algorithm" of the AWS
    /// KMS Developer Guide).
    fn read(terms: &ImportTerms<'_>, spec: Spec) -> Result<Self, Refusal> {
        let wrapping_key = Spec::parse(terms.wrapping_key)?;
        let wrapping = match wrapping_key {
            Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => match terms.algorithm {
                "RSAES_OAEP_SHA_1" => Wrapping::Oaep(&OAEP_SHA1_MGF1SHA1),
                "RSAES_OAEP_SHA_256" => Wrapping::Oaep(&OAEP_SHA256_MGF1SHA256),
                "RSA_AES_KEY_WRAP_SHA_1" => Wrapping::OaepThenAes(&OAEP_SHA1_MGF1SHA1),
                "RSA_AES_KEY_WRAP_SHA_256" => Wrapping::OaepThenAes(&OAEP_SHA256_MGF1SHA256),
                _ => return Err(Refusal::Usage),
            },
            Spec::Sm2 if terms.algorithm == "SM2PKE" => Wrapping::Sm2,
            _ => return Err(Refusal::Usage),
        };
        let fits = match (wrapping, spec) {
            (Wrapping::OaepThenAes(_) | Wrapping::Sm2, _) => true,
            (_, Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096) => false,
            (_, Spec::EccNistP521) => wrapping_key != Spec::Rsa2048,
            _ => true,
        };
        if fits { Ok(Self { wrapping_key, wrapping }) } else { Err(Refusal::Usage) }
    }
}

/// Makes a wrapping key: its public part goes to `scratch.public`, the import token to `scratch.sealed`.
///
/// # Errors
/// What [`limits::kind()`] refuses; [`Refusal::Usage`] for terms that do not fit the key; [`Refusal::Randomness`],
/// [`Refusal::Internal`].
pub(crate) fn parameters(
    domain: &Domain,
    entropy: &Entropy,
    binding: &Binding<'_>,
    terms: &ImportTerms<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let spec = limits::kind(binding)?.spec;
    let made = algorithms::generate(Terms::read(terms, spec)?.wrapping_key, entropy)?;
    scratch.public.clear();
    scratch.public.extend_from_slice(&made.public.ok_or(Refusal::Internal)?);
    let place = Place::import(domain, binding, terms)?;
    token::wrap(domain, entropy, place, &made.private, &mut scratch.sealed)
}

/// Unwraps material into `scratch.clear`. What it is worth for the key is for the caller to check.
///
/// # Errors
/// What [`limits::kind()`] refuses; [`Refusal::Usage`] for terms that do not fit the key; [`Refusal::Length`] for no
/// material or too much;
/// [`Refusal::ImportToken`]; [`Refusal::Ciphertext`] where the material does not unwrap, for every reason alike;
/// [`Refusal::Randomness`], [`Refusal::Internal`]. Nothing is then left in the clear.
pub(crate) fn unwrap(
    domain: &Domain,
    entropy: &Entropy,
    (binding, terms): (&Binding<'_>, &ImportTerms<'_>),
    token: &[u8],
    wrapped: &[u8],
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let Terms { wrapping, .. } = Terms::read(terms, limits::kind(binding)?.spec)?;
    if !(1..=MAX_WRAPPED_LEN).contains(&wrapped.len()) {
        return Err(Refusal::Length);
    }
    let place = Place::import(domain, binding, terms)?;
    let unwrapped = match wrapping {
        Wrapping::Oaep(hash) => {
            let private = open(domain, place, token, scratch, oaep_key)?;
            oaep(&private, hash, wrapped)
                .map(|material| scratch.clear.extend_from_slice(&material))
                .ok_or(Refusal::Ciphertext)
        }
        Wrapping::OaepThenAes(hash) => {
            let private = open(domain, place, token, scratch, oaep_key)?;
            unwrap_with_aes(&private, hash, entropy, wrapped, &mut scratch.clear)
        }
        Wrapping::Sm2 => {
            let private = open(domain, place, token, scratch, Sm2EncryptionKey::parse)?;
            private.open(wrapped, &mut scratch.clear)
        }
    };
    if unwrapped.is_err() {
        scratch.wipe();
    }
    unwrapped
}

/// Opens an import token and reads the private key in it. `scratch.clear` is empty afterwards.
fn open<K>(
    domain: &Domain,
    place: Place,
    token: &[u8],
    scratch: &mut Scratch,
    read: impl FnOnce(&[u8]) -> Result<K, Refusal>,
) -> Result<K, Refusal> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(Refusal::ImportToken);
    }
    scratch.wipe();
    token::unwrap(domain, place, token, &mut scratch.clear).map_err(|refusal| match refusal {
        Refusal::Token => Refusal::ImportToken,
        other => other,
    })?;
    let private = read(&scratch.clear);
    scratch.wipe();
    private
}

fn oaep_key(stored: &[u8]) -> Result<OaepPrivateDecryptingKey, Refusal> {
    let private = PrivateDecryptingKey::from_pkcs8(stored).map_err(|_| Refusal::Internal)?;
    OaepPrivateDecryptingKey::new(private).map_err(|_| Refusal::Internal)
}

/// The same work is done whether OAEP gives a key or not.
fn unwrap_with_aes(
    private: &OaepPrivateDecryptingKey,
    hash: &'static OaepAlgorithm,
    entropy: &Entropy,
    wrapped: &[u8],
    clear: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut aes_key = Key::blank();
    entropy.fill(aes_key.bytes_mut())?;
    let (wrapped_key, wrapped_material) =
        wrapped.split_at_checked(private.key_size_bytes()).ok_or(Refusal::Ciphertext)?;
    let opened = oaep(private, hash, wrapped_key);
    let opened = opened.as_deref().and_then(|key| <&[u8; KEY_LEN]>::try_from(key.as_slice()).ok());
    if let Some(key) = opened {
        aes_key.bytes_mut().copy_from_slice(key);
    }
    clear.resize(wrapped_material.len(), 0);
    let length = AesKek::new(&AES_256, aes_key.bytes())
        .and_then(|kek| kek.unwrap_with_padding(wrapped_material, clear).map(|material| material.len()))
        .map_err(|_| Refusal::Ciphertext)?;
    // What stood behind the material was padding: zeros.
    clear.truncate(length);
    opened.map(|_| ()).ok_or(Refusal::Ciphertext)
}

/// RSAES-OAEP decryption with an empty label. `None` for every failure.
fn oaep(
    private: &OaepPrivateDecryptingKey,
    hash: &'static OaepAlgorithm,
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut clear = Zeroizing::new(vec![0; private.min_output_size()]);
    let length = private.decrypt(hash, wrapped, &mut clear, None).ok()?.len();
    clear.truncate(length);
    Some(clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wrapping_key: &str, algorithm: &str, spec: &str, expected: bool) {
        let terms = ImportTerms { wrapping_key, algorithm, valid_to_ms: 0 };
        let got = Terms::read(&terms, Spec::parse(spec).unwrap()).map(|_| ());
        assert_eq!(got, if expected { Ok(()) } else { Err(Refusal::Usage) }, "{spec} {terms:?}");
    }

    /// "Select a wrapping algorithm" of the AWS KMS Developer Guide: rows are key specs; columns are plain OAEP with
    /// RSA_2048, plain OAEP with a longer key, and AES key wrap with any. SM2 wraps everything, and nothing else is
    /// wrapped to it.
    #[test]
    fn terms_that_go_together() {
        for (spec, short, long, with_aes) in [
            ("SYMMETRIC_DEFAULT", true, true, true),
            ("HMAC_224", true, true, true),
            ("HMAC_512", true, true, true),
            ("ECC_NIST_P256", true, true, true),
            ("ECC_NIST_P384", true, true, true),
            ("ECC_NIST_P521", false, true, true),
            ("ECC_SECG_P256K1", true, true, true),
            ("ECC_NIST_EDWARDS25519", true, true, true),
            ("RSA_2048", false, false, true),
            ("RSA_3072", false, false, true),
            ("RSA_4096", false, false, true),
            ("ML_DSA_44", true, true, true),
            ("ML_DSA_87", true, true, true),
            ("ML_KEM_512", true, true, true),
            ("ML_KEM_1024", true, true, true),
            ("SM2", true, true, true),
        ] {
            for wrapping_key in ["RSA_2048", "RSA_3072", "RSA_4096"] {
                for hash in ["SHA_1", "SHA_256"] {
                    let plain = if wrapping_key == "RSA_2048" { short } else { long };
                    for (name, expected) in [("RSAES_OAEP", plain), ("RSA_AES_KEY_WRAP", with_aes)] {
                        let algorithm = format!("{name}_{hash}");
                        check(wrapping_key, &algorithm, spec, expected);
                        check("SM2", &algorithm, spec, false);
                    }
                }
                check(wrapping_key, "SM2PKE", spec, false);
            }
            check("SM2", "SM2PKE", spec, true);
        }
    }
}
