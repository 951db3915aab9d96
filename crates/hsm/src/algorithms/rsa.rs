//! RSA (RFC 8017): PKCS #1 v1.5 and PSS signatures, OAEP encryption.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, VerificationAlgorithm,
};
use claviger_hsm_proto::Refusal;
use der::asn1::UintRef;
use der::{Decode, Sequence};
use zeroize::Zeroizing;

use super::encoding::{self, RSA_ENCRYPTION};
use super::spec::{EncryptionAlgorithm, Message, SigningAlgorithm, Spec};
use super::{Encryption, Material, Signing, Verifying, ffi, internal};
use crate::random::Entropy;

/// The smallest public exponent that is taken in, F4 (FIPS 186-5 appendix A.1.1).
const MIN_EXPONENT: &[u8] = &[1, 0, 1];

/// `RSAPrivateKey` of RFC 8017 appendix A.1.2, of two primes: version 0 has no others.
#[derive(Sequence)]
struct TwoPrimes<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime1: UintRef<'a>,
    prime2: UintRef<'a>,
    exponent1: UintRef<'a>,
    exponent2: UintRef<'a>,
    coefficient: UintRef<'a>,
}

/// A new key with the public exponent 65,537.
pub(super) fn generate(spec: Spec) -> Result<Material, Refusal> {
    export(&KeyPair::generate(key_size(spec).ok_or(Refusal::Usage)?).map_err(internal)?)
}

/// Reads a PKCS #8 key of two primes and exactly this size. AWS-LC checks that its parts belong together, but neither that
/// the primes are any nor that they are large.
pub(super) fn import(spec: Spec, der: &[u8]) -> Option<Material> {
    let info = encoding::private_key_info(der).filter(|info| info.algorithm.oid == RSA_ENCRYPTION)?;
    let parts = TwoPrimes::from_der(info.private_key.as_bytes()).ok()?;
    // AWS-LC reads a key without its primes too, and would work with it without them.
    let primes = [parts.prime1, parts.prime2, parts.exponent1, parts.exponent2, parts.coefficient];
    let is_whole = parts.version == 0 && primes.iter().all(|part| part.as_bytes() != [0]);
    let modulus = parts.modulus.as_bytes();
    let is_sized = modulus.len() == key_size(spec)?.len() && modulus.first()? >= &0x80;
    if !is_whole || !is_sized || !is_exponent(parts.public_exponent.as_bytes()) {
        return None;
    }
    let pair = KeyPair::from_pkcs8(der).ok()?;
    if are_primes(parts.prime1.as_bytes(), parts.prime2.as_bytes(), modulus.len())? {
        export(&pair).ok()
    } else {
        None
    }
}

/// Whether these are primes of half the modulus' length each, in bits, and not so close to each other that their product
/// tells them: they are 2^(half - 100) apart at least (FIPS 186-5 appendix A.1.1), here 2^(half - 96).
fn are_primes(prime1: &[u8], prime2: &[u8], modulus_len: usize) -> Option<bool> {
    let is_half =
        |prime: &[u8]| prime.len() * 2 == modulus_len && prime.first().is_some_and(|byte| *byte >= 0x80);
    let apart = distance(prime1, prime2);
    let are_apart = apart.get(..12).is_some_and(|first| first.iter().any(|byte| *byte != 0));
    Some(is_half(prime1) && is_half(prime2) && are_apart && ffi::is_prime(prime1)? && ffi::is_prime(prime2)?)
}

/// The larger of two numbers of one length, big-endian, less the smaller.
fn distance(one: &[u8], other: &[u8]) -> Zeroizing<Vec<u8>> {
    let (large, small) = if one < other { (other, one) } else { (one, other) };
    let mut digits = Zeroizing::new(vec![0; large.len()]);
    let mut borrow = false;
    for ((digit, large), small) in digits.iter_mut().zip(large).zip(small).rev() {
        let (difference, first) = large.overflowing_sub(*small);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        (*digit, borrow) = (difference, first || second);
    }
    digits
}

/// Odd and at least 65,537. How large it may be AWS-LC decides (33 bits).
fn is_exponent(exponent: &[u8]) -> bool {
    let is_large = match exponent.len().cmp(&MIN_EXPONENT.len()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => exponent >= MIN_EXPONENT,
        std::cmp::Ordering::Greater => true,
    };
    is_large && exponent.last().is_some_and(|last| last % 2 == 1)
}

fn export(pair: &KeyPair) -> Result<Material, Refusal> {
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(internal)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(internal)?;
    Ok(Material {
        private: Zeroizing::new(private.as_ref().to_vec()),
        public: Some(public.as_ref().to_vec()),
    })
}

fn key_size(spec: Spec) -> Option<KeySize> {
    match spec {
        Spec::Rsa2048 => Some(KeySize::Rsa2048),
        Spec::Rsa3072 => Some(KeySize::Rsa3072),
        Spec::Rsa4096 => Some(KeySize::Rsa4096),
        _ => None,
    }
}

/// A key that signs.
pub(super) struct SigningKey {
    pair: KeyPair,
    public: VerifyingKey,
}

/// A key that verifies: DER of a SubjectPublicKeyInfo. Reading it is small beside using it.
pub(super) struct VerifyingKey(Vec<u8>);

impl SigningKey {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        let pair = KeyPair::from_pkcs8(stored).map_err(internal)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(internal)?;
        let public = VerifyingKey(public.as_ref().to_vec());
        Ok(Self { pair, public })
    }
}

impl VerifyingKey {
    pub(super) fn parse(public: &[u8]) -> Self {
        Self(public.to_vec())
    }
}

impl Signing for SigningKey {
    fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: Message<'_>,
        _: &Entropy,
    ) -> Result<Vec<u8>, Refusal> {
        let scheme = Scheme::of(algorithm).ok_or(Refusal::Usage)?;
        let mut signature = vec![0; self.pair.public_modulus_len()];
        match message {
            Message::Raw(message) => {
                self.pair.sign(scheme.signing, &SystemRandom::new(), message, &mut signature)
            }
            Message::Digest(digest) => Digest::import_less_safe(digest, scheme.digest)
                .and_then(|digest| self.pair.sign_digest(scheme.signing, &digest, &mut signature)),
            Message::ExternalMu(_) => return Err(Refusal::Usage),
        }
        .map_err(internal)?;
        Ok(signature)
    }

    fn public(&self) -> &dyn Verifying {
        &self.public
    }
}

impl Verifying for VerifyingKey {
    fn verify(&self, algorithm: SigningAlgorithm, message: Message<'_>, signature: &[u8]) -> bool {
        let Some(scheme) = Scheme::of(algorithm) else { return false };
        let Ok(key) = ParsedPublicKey::new(scheme.verification, &self.0) else { return false };
        match message {
            Message::Raw(message) => key.verify_sig(message, signature).is_ok(),
            Message::Digest(digest) => Digest::import_less_safe(digest, scheme.digest)
                .and_then(|digest| key.verify_digest_sig(&digest, signature))
                .is_ok(),
            Message::ExternalMu(_) => false,
        }
    }
}

/// What an algorithm is made of. The salt of PSS is as long as the digest, and no other is accepted.
struct Scheme {
    signing: &'static dyn RsaEncoding,
    verification: &'static dyn VerificationAlgorithm,
    digest: &'static digest::Algorithm,
}

impl Scheme {
    fn of(algorithm: SigningAlgorithm) -> Option<Self> {
        use SigningAlgorithm as Algorithm;
        let (signing, verification, digest): (&dyn RsaEncoding, &dyn VerificationAlgorithm, _) =
            match algorithm {
                Algorithm::PssSha256 => (&RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256, &digest::SHA256),
                Algorithm::PssSha384 => (&RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384, &digest::SHA384),
                Algorithm::PssSha512 => (&RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512, &digest::SHA512),
                Algorithm::Pkcs1Sha256 => (&RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256, &digest::SHA256),
                Algorithm::Pkcs1Sha384 => (&RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384, &digest::SHA384),
                Algorithm::Pkcs1Sha512 => (&RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512, &digest::SHA512),
                _ => return None,
            };
        Some(Self { signing, verification, digest })
    }
}

/// A key that encrypts and decrypts.
pub(super) struct EncryptionKey {
    private: OaepPrivateDecryptingKey,
    public: OaepPublicEncryptingKey,
}

impl EncryptionKey {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Refusal> {
        let private = PrivateDecryptingKey::from_pkcs8(stored).map_err(internal)?;
        let public = OaepPublicEncryptingKey::new(private.public_key()).map_err(internal)?;
        Ok(Self { private: OaepPrivateDecryptingKey::new(private).map_err(internal)?, public })
    }
}

impl Encryption for EncryptionKey {
    fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
        _: &Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let algorithm = oaep(algorithm).ok_or(Refusal::Usage)?;
        if plaintext.len() > self.public.max_plaintext_size(algorithm) {
            return Err(Refusal::Length);
        }
        out.clear();
        out.resize(self.public.ciphertext_size(), 0);
        self.public.encrypt(algorithm, plaintext, out, None).map(drop).map_err(internal)
    }

    fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let algorithm = oaep(algorithm).ok_or(Refusal::Usage)?;
        if ciphertext.len() != self.private.key_size_bytes() {
            return Err(Refusal::Ciphertext);
        }
        out.clear();
        out.resize(self.private.min_output_size(), 0);
        let opened = self.private.decrypt(algorithm, ciphertext, out, None);
        let length = opened.map(|plaintext| plaintext.len()).map_err(|_| Refusal::Ciphertext)?;
        out.truncate(length);
        Ok(())
    }
}

fn oaep(algorithm: EncryptionAlgorithm) -> Option<&'static OaepAlgorithm> {
    match algorithm {
        EncryptionAlgorithm::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        EncryptionAlgorithm::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
        EncryptionAlgorithm::SymmetricDefault | EncryptionAlgorithm::Sm2Pke => None,
    }
}
