//! The cryptography alone: the library's own speed, and the HSM engine's, without a socket.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::subject::timed;

/// Rounds of each measurement.
const ROUNDS: u32 = 200_000;

/// Microseconds of what one symmetric encryption asks of the library: two random nonces, a key derivation (NIST SP
/// 800-108) and AES-256-GCM over 64 bytes.
pub(crate) fn encryption_micros() -> Result<f64, String> {
    let random = SystemRandom::new();
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256)
        .ok_or_else(|| "no key derivation".to_owned())?;
    let material = [7; 32];
    let mut failed = false;
    let ((), elapsed) = timed(|| {
        for _ in 0..ROUNDS {
            failed |= encrypt_once(&random, algorithm, &material).is_err();
        }
    });
    if failed {
        Err("the library failed".to_owned())
    } else {
        Ok(elapsed.as_secs_f64() * 1e6 / f64::from(ROUNDS))
    }
}

fn encrypt_once(
    random: &SystemRandom,
    algorithm: &'static aws_lc_rs::kdf::KbkdfCtrHmacAlgorithm,
    material: &[u8; 32],
) -> Result<(), aws_lc_rs::error::Unspecified> {
    let (mut nonce, mut iv, mut key) = ([0; 16], [0; NONCE_LEN], [0; 32]);
    random.fill(&mut nonce)?;
    random.fill(&mut iv)?;
    kbkdf_ctr_hmac(algorithm, material, &nonce, &mut key)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?);
    let mut text = [1; 64];
    let tag =
        key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from([2; 80]), &mut text)?;
    black_box((text, tag.as_ref().first().copied()));
    Ok(())
}
