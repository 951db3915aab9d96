//! What the cryptographic library takes alone, in this process, on one core.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, PqdsaKeyPair,
};
use aws_lc_rs::{hmac, kem};

use crate::sm2;
use crate::subject::timed;

/// At least how long a measurement takes.
const ENOUGH: Duration = Duration::from_millis(300);
/// At least how many rounds it has: one RSA key takes several times as long as the next.
const FEWEST: u32 = 60;
/// What is signed.
pub(crate) const MESSAGE: [u8; 256] = [3; 256];

/// Microseconds of one operation with one kind of key.
pub(crate) fn micros(operation: &str, spec: &str) -> Result<f64, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{operation} {spec}: {error}");
    match (operation, spec) {
        (_, "SM2") => sm2::micros(operation),
        ("Sign" | "Verify", "RSA_2048" | "RSA_3072" | "RSA_4096") => rsa_signature(operation, spec),
        ("Sign" | "Verify", "ECC_NIST_EDWARDS25519") => {
            let key = Ed25519KeyPair::generate().map_err(|error| failed(&error))?;
            pair(operation, || key.sign(&MESSAGE), key.public_key().as_ref(), &signature::ED25519)
        }
        ("Sign" | "Verify", "ML_DSA_44" | "ML_DSA_65" | "ML_DSA_87") => ml_dsa(operation, spec),
        ("Sign" | "Verify", "ECC_SECG_P256K1") => secp256k1(operation),
        ("Sign" | "Verify", _) => ecdsa(operation, spec),
        ("Decrypt", _) => oaep(spec),
        ("DeriveSharedSecret", _) => agree(spec),
        ("Encapsulate" | "Decapsulate", _) => encapsulation(operation, spec),
        ("GenerateMac", _) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
            rate(|| {
                black_box(hmac::sign(&key, &MESSAGE));
                Ok(())
            })
        }
        ("GenerateDataKeyPair", "ECC_NIST_P256") => rate(|| {
            let made = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING);
            made.map(|key| drop(black_box(key))).map_err(|error| failed(&error))
        }),
        ("GenerateDataKeyPair", _) => rate(|| {
            let made = signature::RsaKeyPair::generate(KeySize::Rsa2048);
            made.map(|key| drop(black_box(key))).map_err(|error| failed(&error))
        }),
        _ => Err(format!("no measurement of {operation} {spec}")),
    }
}

/// A public key to agree with: DER of a SubjectPublicKeyInfo.
pub(crate) fn peer(spec: &str) -> Result<Vec<u8>, String> {
    if spec == "SM2" {
        return sm2::peer();
    }
    let key = PrivateKey::generate(curve(spec)).map_err(|error| error.to_string())?;
    let public = key.compute_public_key().map_err(|error| error.to_string())?;
    let der: PublicKeyX509Der<'_> = public.as_der().map_err(|error| error.to_string())?;
    Ok(der.as_ref().to_vec())
}

/// Repeats until it has taken long enough; answers the microseconds of one.
pub(crate) fn rate(mut once: impl FnMut() -> Result<(), String>) -> Result<f64, String> {
    let (mut rounds, mut total) = (0_u32, Duration::ZERO);
    once()?;
    while total < ENOUGH || rounds < FEWEST {
        let mut outcome = Ok(());
        let ((), elapsed) = timed(|| outcome = once());
        outcome?;
        total += elapsed;
        rounds += 1;
    }
    Ok(total.as_secs_f64() * 1e6 / f64::from(rounds))
}

/// A signature or its verification.
fn pair<S: AsRef<[u8]>>(
    operation: &str,
    mut sign: impl FnMut() -> S,
    public: &[u8],
    algorithm: &'static dyn signature::VerificationAlgorithm,
) -> Result<f64, String> {
    if operation == "Sign" {
        return rate(|| {
            black_box(sign());
            Ok(())
        });
    }
    let made = sign();
    let key = signature::ParsedPublicKey::new(algorithm, public).map_err(|error| error.to_string())?;
    rate(|| key.verify_sig(&MESSAGE, made.as_ref()).map_err(|error| error.to_string()))
}

fn rsa_signature(operation: &str, spec: &str) -> Result<f64, String> {
    let size = match spec {
        "RSA_2048" => KeySize::Rsa2048,
        "RSA_3072" => KeySize::Rsa3072,
        _ => KeySize::Rsa4096,
    };
    let key = signature::RsaKeyPair::generate(size).map_err(|error| error.to_string())?;
    let random = SystemRandom::new();
    let sign = || {
        let mut made = vec![0; key.public_modulus_len()];
        // A failure shows as a signature of zeros, which does not verify.
        let _ = key.sign(&signature::RSA_PSS_SHA256, &random, &MESSAGE, &mut made);
        made
    };
    pair(operation, sign, key.public_key().as_ref(), &signature::RSA_PSS_2048_8192_SHA256)
}

fn ecdsa(operation: &str, spec: &str) -> Result<f64, String> {
    let (signing, verifying): (
        &'static EcdsaSigningAlgorithm,
        &'static dyn signature::VerificationAlgorithm,
    ) = match spec {
        "ECC_NIST_P256" => (&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &signature::ECDSA_P256_SHA256_ASN1),
        "ECC_NIST_P384" => (&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &signature::ECDSA_P384_SHA384_ASN1),
        _ => (&signature::ECDSA_P521_SHA512_ASN1_SIGNING, &signature::ECDSA_P521_SHA512_ASN1),
    };
    let key = EcdsaKeyPair::generate(signing).map_err(|error| error.to_string())?;
    let random = SystemRandom::new();
    let sign = || key.sign(&random, &MESSAGE).map(|made| made.as_ref().to_vec()).unwrap_or_default();
    pair(operation, sign, key.public_key().as_ref(), verifying)
}

/// With the library that serves this curve, over a digest.
fn secp256k1(operation: &str) -> Result<f64, String> {
    use k256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &MESSAGE);
    let key = k256::ecdsa::SigningKey::from_slice(&[7; 32]).map_err(|error| error.to_string())?;
    let sign = || -> Result<k256::ecdsa::Signature, String> {
        key.sign_prehash(digest.as_ref()).map_err(|error| error.to_string())
    };
    let made = sign()?;
    if operation == "Sign" {
        return rate(|| {
            black_box(sign()?);
            Ok(())
        });
    }
    rate(|| key.verifying_key().verify_prehash(digest.as_ref(), &made).map_err(|error| error.to_string()))
}

fn ml_dsa(operation: &str, spec: &str) -> Result<f64, String> {
    let (signing, verifying): (_, &'static dyn signature::VerificationAlgorithm) = match spec {
        "ML_DSA_44" => (&signature::ML_DSA_44_SIGNING, &signature::ML_DSA_44),
        "ML_DSA_65" => (&signature::ML_DSA_65_SIGNING, &signature::ML_DSA_65),
        _ => (&signature::ML_DSA_87_SIGNING, &signature::ML_DSA_87),
    };
    let key = PqdsaKeyPair::generate(signing).map_err(|error| error.to_string())?;
    let sign = || {
        let mut made = vec![0; signing.signature_len()];
        let _ = key.sign(&MESSAGE, &mut made);
        made
    };
    pair(operation, sign, key.public_key().as_ref(), verifying)
}

fn oaep(spec: &str) -> Result<f64, String> {
    let size = match spec {
        "RSA_2048" => KeySize::Rsa2048,
        "RSA_3072" => KeySize::Rsa3072,
        _ => KeySize::Rsa4096,
    };
    let key = PrivateDecryptingKey::generate(size).map_err(|error| error.to_string())?;
    let public = OaepPublicEncryptingKey::new(key.public_key()).map_err(|error| error.to_string())?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|error| error.to_string())?;
    let mut sealed = vec![0; public.ciphertext_size()];
    let sealed = public
        .encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 64], &mut sealed, None)
        .map_err(|error| error.to_string())?
        .to_vec();
    let mut clear = vec![0; key.min_output_size()];
    rate(|| {
        let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut clear, None);
        opened.map(|_| ()).map_err(|error| error.to_string())
    })
}

fn curve(spec: &str) -> &'static agreement::Algorithm {
    match spec {
        "ECC_NIST_P256" => &agreement::ECDH_P256,
        "ECC_NIST_P384" => &agreement::ECDH_P384,
        _ => &agreement::ECDH_P521,
    }
}

fn agree(spec: &str) -> Result<f64, String> {
    let key = PrivateKey::generate(curve(spec)).map_err(|error| error.to_string())?;
    let peer = peer(spec)?;
    rate(|| {
        let public = UnparsedPublicKey::new(curve(spec), &peer);
        agreement::agree(&key, public, "the agreement failed".to_owned(), |secret| {
            black_box(secret.first());
            Ok(())
        })
    })
}

fn encapsulation(operation: &str, spec: &str) -> Result<f64, String> {
    let algorithm = match spec {
        "ML_KEM_512" => &kem::ML_KEM_512,
        "ML_KEM_768" => &kem::ML_KEM_768,
        _ => &kem::ML_KEM_1024,
    };
    let key = kem::DecapsulationKey::generate(algorithm).map_err(|error| error.to_string())?;
    let public = key.encapsulation_key().map_err(|error| error.to_string())?;
    if operation == "Encapsulate" {
        return rate(|| public.encapsulate().map(|made| drop(black_box(made))).map_err(|e| e.to_string()));
    }
    let (ciphertext, _) = public.encapsulate().map_err(|error| error.to_string())?;
    rate(|| {
        let again = kem::Ciphertext::from(ciphertext.as_ref());
        key.decapsulate(again).map(|made| drop(black_box(made))).map_err(|error| error.to_string())
    })
}
