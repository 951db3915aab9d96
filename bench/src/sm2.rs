//! What SM2 takes alone, in the library that serves it.

use std::hint::black_box;

use elliptic_curve::ecdh;
use getrandom::SysRng;
use pkcs8::{DecodePublicKey, EncodePublicKey};
use sm2::dsa::signature::{Signer, Verifier};
use sm2::dsa::{Signature, SigningKey};
use sm2::pke::{DecryptingKey, EncryptingKey};
use sm2::{PublicKey, SecretKey};

use crate::library::{MESSAGE, rate};

/// The default distinguishing id (GM/T 0009 section 10).
const DISTINGUISHING_ID: &str = "1234567812345678";

fn key(scalar: u8) -> Result<SecretKey, String> {
    SecretKey::from_slice(&[scalar; 32]).map_err(|error| error.to_string())
}

/// Microseconds of one operation.
pub(crate) fn micros(operation: &str) -> Result<f64, String> {
    match operation {
        "Sign" | "Verify" => signature(operation),
        "Decrypt" => decryption(),
        _ => agreement(),
    }
}

/// A public key to agree with: DER of a SubjectPublicKeyInfo.
pub(crate) fn peer() -> Result<Vec<u8>, String> {
    let der = key(9)?.public_key().to_public_key_der().map_err(|error| error.to_string())?;
    Ok(der.as_bytes().to_vec())
}

fn signature(operation: &str) -> Result<f64, String> {
    let signer = SigningKey::new(DISTINGUISHING_ID, &key(7)?).map_err(|error| error.to_string())?;
    let sign =
        || -> Result<Signature, String> { signer.try_sign(&MESSAGE).map_err(|error| error.to_string()) };
    if operation == "Sign" {
        return rate(|| {
            black_box(sign()?);
            Ok(())
        });
    }
    let made = sign()?;
    rate(|| signer.verifying_key().verify(&MESSAGE, &made).map_err(|error| error.to_string()))
}

fn decryption() -> Result<f64, String> {
    let key = key(7)?;
    let sealed = EncryptingKey::new(key.public_key()).encrypt_der(&mut SysRng, &[7; 64]);
    let sealed = sealed.map_err(|error| error.to_string())?;
    let key = DecryptingKey::new(key);
    rate(|| {
        let opened = key.decrypt_der(&sealed);
        opened.map(|clear| drop(black_box(clear))).map_err(|error| error.to_string())
    })
}

fn agreement() -> Result<f64, String> {
    let (key, peer) = (key(7)?, peer()?);
    rate(|| {
        let public = PublicKey::from_public_key_der(&peer).map_err(|error| error.to_string())?;
        let secret = ecdh::diffie_hellman(key.to_nonzero_scalar(), public.as_affine());
        black_box(secret.raw_secret_bytes().first());
        Ok(())
    })
}
