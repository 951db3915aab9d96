//! Randomness: passed in, watched, and never replaced by anything when it fails.

use std::sync::Mutex;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use claviger_hsm_proto::{Refusal, blob::NONCE_LEN};
use k256::elliptic_curve::rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroize;

use crate::primitives::IV_LEN;

/// A source of random bytes fit for keys.
pub trait Random: Send + Sync {
    /// Fills the whole of `out`.
    ///
    /// # Errors
    /// [`RandomFailure`] when it cannot; what is then in `out` must not be used.
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomFailure>;
}

/// The source could not give random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomFailure;

impl std::fmt::Display for RandomFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the random number generator failed")
    }
}

impl std::error::Error for RandomFailure {}

/// AWS-LC's CTR_DRBG (NIST SP 800-90A), seeded by the operating system.
#[derive(Debug, Default)]
pub struct SystemEntropy(SystemRandom);

impl Random for SystemEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomFailure> {
        self.0.fill(out).map_err(|_| RandomFailure)
    }
}

/// Length of the sample that is compared with the one before it, in bytes.
const SAMPLE_LEN: usize = NONCE_LEN;

/// A [`Random`] that is watched for being stuck.
///
/// Each draw starts with a sample of 16 bytes; two equal samples in a row (chance 2^-128) refuse the draw. Samples are
/// public nonces or are thrown away: no part of a key is kept for the comparison.
pub(crate) struct Entropy {
    source: Box<dyn Random>,
    last: Mutex<[u8; SAMPLE_LEN]>,
}

impl Entropy {
    /// Takes a first sample.
    ///
    /// # Errors
    /// [`Refusal::Randomness`] when the source fails.
    pub(crate) fn new(source: Box<dyn Random>) -> Result<Self, Refusal> {
        let mut first = [0; SAMPLE_LEN];
        source.fill(&mut first).map_err(|_| Refusal::Randomness)?;
        Ok(Self { source, last: Mutex::new(first) })
    }

    /// Fills `out` with bytes that may be secret.
    ///
    /// # Errors
    /// [`Refusal::Randomness`] when the source fails or is stuck; `out` is then zero.
    pub(crate) fn fill(&self, out: &mut [u8]) -> Result<(), Refusal> {
        let filled = self.try_fill(out);
        if filled.is_err() {
            out.zeroize();
        }
        filled
    }

    fn try_fill(&self, out: &mut [u8]) -> Result<(), Refusal> {
        let mut sample = [0; SAMPLE_LEN];
        self.source.fill(&mut sample).map_err(|_| Refusal::Randomness)?;
        self.watch(&sample)?;
        self.source.fill(out).map_err(|_| Refusal::Randomness)?;
        let (blocks, _) = out.as_chunks::<SAMPLE_LEN>();
        let mut before = &sample;
        for block in blocks {
            if block == before {
                return Err(Refusal::Randomness);
            }
            before = block;
        }
        Ok(())
    }

    /// The nonce of a key derivation and a GCM initialization vector, in one draw. Both are public.
    ///
    /// # Errors
    /// [`Refusal::Randomness`] when the source fails or is stuck.
    pub(crate) fn nonces(&self) -> Result<([u8; NONCE_LEN], [u8; IV_LEN]), Refusal> {
        let mut drawn = [0; NONCE_LEN + IV_LEN];
        self.source.fill(&mut drawn).map_err(|_| Refusal::Randomness)?;
        let (nonce, rest) = drawn.split_first_chunk::<NONCE_LEN>().ok_or(Refusal::Internal)?;
        let iv = rest.first_chunk::<IV_LEN>().ok_or(Refusal::Internal)?;
        self.watch(nonce)?;
        Ok((*nonce, *iv))
    }

    /// Draws a sample and throws it away: for what a library makes with its own generator, so that a stuck or failing
    /// source stops that too.
    ///
    /// # Errors
    /// [`Refusal::Randomness`] when the source fails or is stuck.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.fill(&mut [])
    }

    /// The same source, as RustCrypto takes one.
    pub(crate) fn generator(&self) -> Generator<'_> {
        Generator(self)
    }

    fn watch(&self, sample: &[u8; SAMPLE_LEN]) -> Result<(), Refusal> {
        let mut last = self.last.lock().map_err(|_| Refusal::Internal)?;
        if *last == *sample {
            return Err(Refusal::Randomness);
        }
        *last = *sample;
        Ok(())
    }
}

/// An [`Entropy`] for RustCrypto.
pub(crate) struct Generator<'e>(&'e Entropy);

impl TryRng for Generator<'_> {
    type Error = RandomFailure;

    fn try_next_u32(&mut self) -> Result<u32, RandomFailure> {
        let mut drawn = [0; 4];
        self.try_fill_bytes(&mut drawn)?;
        Ok(u32::from_le_bytes(drawn))
    }

    fn try_next_u64(&mut self) -> Result<u64, RandomFailure> {
        let mut drawn = [0; 8];
        self.try_fill_bytes(&mut drawn)?;
        Ok(u64::from_le_bytes(drawn))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), RandomFailure> {
        self.0.fill(out).map_err(|_| RandomFailure)
    }
}

impl TryCryptoRng for Generator<'_> {}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// The system's generator for a number of draws, then a constant or a failure.
    pub(crate) struct Breaking {
        pub(crate) good: Arc<AtomicUsize>,
        pub(crate) then: Option<u8>,
    }

    impl Random for Breaking {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomFailure> {
            let left =
                self.good.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            match (left, self.then) {
                (Ok(_), _) => SystemEntropy::default().fill(out),
                (Err(_), Some(constant)) => {
                    out.fill(constant);
                    Ok(())
                }
                (Err(_), None) => Err(RandomFailure),
            }
        }
    }

    fn breaking(good: usize, then: Option<u8>) -> Result<Entropy, Refusal> {
        Entropy::new(Box::new(Breaking { good: Arc::new(AtomicUsize::new(good)), then }))
    }

    #[test]
    fn a_failing_source_gives_nothing() {
        assert_eq!(breaking(0, None).unwrap_err(), Refusal::Randomness);
        for good in 1..3 {
            let mut out = [7; 40];
            assert_eq!(breaking(good, None).unwrap().fill(&mut out), Err(Refusal::Randomness));
            assert_eq!(out, [0; 40]);
        }
        assert_eq!(breaking(1, None).unwrap().nonces(), Err(Refusal::Randomness));
    }

    #[test]
    fn a_stuck_source_is_seen() {
        for good in 0..3 {
            let entropy = breaking(good, Some(0x5a)).unwrap();
            let mut out = [0; 64];
            assert_eq!(entropy.fill(&mut out), Err(Refusal::Randomness), "stuck after {good}");
            assert_eq!(out, [0; 64]);
        }
        let entropy = breaking(1, Some(0)).unwrap();
        entropy.nonces().unwrap();
        assert_eq!(entropy.nonces(), Err(Refusal::Randomness));
    }

    #[test]
    fn a_good_source_is_left_alone() {
        let entropy = Entropy::new(Box::new(SystemEntropy::default())).unwrap();
        let mut out = [0; 1024];
        for length in 0..=1024 {
            entropy.fill(&mut out[..length]).unwrap();
        }
        assert_ne!(out, [0; 1024]);
    }
}
