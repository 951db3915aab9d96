//! Four calls of AWS-LC that `aws-lc-rs` does not offer: Ed25519ph, ML-DSA over a representative made outside, ML-KEM
//! from its seed, and whether a number is prime.
//!
//! Nothing but these calls is here. Every length that AWS-LC takes on trust is in a type or checked before the call.
//! `aws-lc-sys` must be the version that `aws-lc-rs` uses, which its `links` key sees to.

#![expect(unsafe_code, reason = "calls into AWS-LC; nothing else in the algorithms is unsafe")]

use std::ptr::{self, NonNull};

use aws_lc_sys::{BIGNUM, BN_CTX, EVP_PKEY, EVP_PKEY_CTX};
use zeroize::Zeroizing;

/// Length of an Ed25519 signature in bytes.
pub(super) const ED25519_SIGNATURE_LEN: usize = 64;
/// Length of the seed of ML-KEM (`d || z` of FIPS 203) in bytes.
pub(super) const ML_KEM_SEED_LEN: usize = 64;

/// AWS-LC answers 1 where a call did what it says.
const DONE: i32 = 1;

/// Signs a SHA-512 digest with Ed25519ph (RFC 8032 section 5.1), with no context. `private` is the seed followed by
/// the public key.
pub(super) fn ed25519ph_sign(private: &[u8; 64], digest: &[u8; 64]) -> Option<[u8; ED25519_SIGNATURE_LEN]> {
    let mut signature = [0; ED25519_SIGNATURE_LEN];
    // SAFETY: the four buffers have the fixed lengths that the function states, the context is empty, and no pointer
    // is kept.
    let done = unsafe {
        aws_lc_sys::ED25519ph_sign_digest(
            signature.as_mut_ptr(),
            digest.as_ptr(),
            private.as_ptr(),
            ptr::null(),
            0,
        )
    };
    succeeded(done).then_some(signature)
}

/// Verifies an Ed25519ph signature of a SHA-512 digest, with no context.
pub(super) fn ed25519ph_verify(
    public: &[u8; 32],
    digest: &[u8; 64],
    signature: &[u8; ED25519_SIGNATURE_LEN],
) -> bool {
    // SAFETY: the three buffers have the fixed lengths that the function states, the context is empty, and no
    // pointer is kept.
    let done = unsafe {
        aws_lc_sys::ED25519ph_verify_digest(
            digest.as_ptr(),
            signature.as_ptr(),
            public.as_ptr(),
            ptr::null(),
            0,
        )
    };
    succeeded(done)
}

/// A set of parameters of ML-DSA (FIPS 204), as AWS-LC numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MlDsa {
    nid: i32,
    public_len: usize,
    signature_len: usize,
}

/// ML-DSA-44.
pub(super) const ML_DSA_44: MlDsa =
    MlDsa { nid: aws_lc_sys::NID_MLDSA44, public_len: 1312, signature_len: 2420 };
/// ML-DSA-65.
pub(super) const ML_DSA_65: MlDsa =
    MlDsa { nid: aws_lc_sys::NID_MLDSA65, public_len: 1952, signature_len: 3309 };
/// ML-DSA-87.
pub(super) const ML_DSA_87: MlDsa =
    MlDsa { nid: aws_lc_sys::NID_MLDSA87, public_len: 2592, signature_len: 4627 };

/// A private key of ML-DSA that signs representatives.
pub(super) struct MuSigner {
    key: Key,
    parameters: MlDsa,
}

impl MuSigner {
    /// Expands a seed.
    pub(super) fn from_seed(parameters: MlDsa, seed: &[u8; 32]) -> Option<Self> {
        // SAFETY: the seed is as long as is said; AWS-LC copies it, and what it gives is ours to free.
        let key = unsafe {
            aws_lc_sys::EVP_PKEY_pqdsa_new_raw_private_key(parameters.nid, seed.as_ptr(), seed.len())
        };
        Some(Self { key: Key::new(key)?, parameters })
    }

    /// Signs the representative `mu` of FIPS 204 section 6.2, hedged.
    pub(super) fn sign(&self, mu: &[u8; 64]) -> Option<Vec<u8>> {
        let context = self.key.context()?;
        let mut signature = vec![0; self.parameters.signature_len];
        let mut length = signature.len();
        // SAFETY: the context is alive and has the key; the signature's buffer is as long as is said, and so is `mu`.
        let done = unsafe {
            aws_lc_sys::EVP_PKEY_sign_init(context.0.as_ptr()) == DONE
                && aws_lc_sys::EVP_PKEY_sign(
                    context.0.as_ptr(),
                    signature.as_mut_ptr(),
                    &raw mut length,
                    mu.as_ptr(),
                    mu.len(),
                ) == DONE
        };
        (succeeded(i32::from(done)) && length == signature.len()).then_some(signature)
    }
}

/// Verifies an ML-DSA signature of a representative.
pub(super) fn mu_verify(parameters: MlDsa, public: &[u8], mu: &[u8; 64], signature: &[u8]) -> bool {
    if public.len() != parameters.public_len || signature.len() != parameters.signature_len {
        return false;
    }
    // SAFETY: the key is as long as is said, which is what the parameters ask for; AWS-LC copies it, and what it
    // gives is ours to free.
    let key = unsafe {
        aws_lc_sys::EVP_PKEY_pqdsa_new_raw_public_key(parameters.nid, public.as_ptr(), public.len())
    };
    let Some(key) = Key::new(key) else { return false };
    let Some(context) = key.context() else { return false };
    // SAFETY: the context is alive and has the key; the signature and `mu` are as long as is said.
    let done = unsafe {
        aws_lc_sys::EVP_PKEY_verify_init(context.0.as_ptr()) == DONE
            && aws_lc_sys::EVP_PKEY_verify(
                context.0.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                mu.as_ptr(),
                mu.len(),
            ) == DONE
    };
    succeeded(i32::from(done))
}

/// A set of parameters of ML-KEM (FIPS 203), as AWS-LC numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MlKem {
    nid: i32,
    private_len: usize,
    public_len: usize,
}

/// ML-KEM-512.
pub(super) const ML_KEM_512: MlKem =
    MlKem { nid: aws_lc_sys::NID_MLKEM512, private_len: 1632, public_len: 800 };
/// ML-KEM-768.
pub(super) const ML_KEM_768: MlKem =
    MlKem { nid: aws_lc_sys::NID_MLKEM768, private_len: 2400, public_len: 1184 };
/// ML-KEM-1024.
pub(super) const ML_KEM_1024: MlKem =
    MlKem { nid: aws_lc_sys::NID_MLKEM1024, private_len: 3168, public_len: 1568 };

/// The decapsulation key and the encapsulation key of a seed (ML-KEM.KeyGen_internal of FIPS 203).
pub(super) fn ml_kem_expand(
    parameters: MlKem,
    seed: &[u8; ML_KEM_SEED_LEN],
) -> Option<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    // SAFETY: makes a context of a kind of key that exists; what it gives is ours to free.
    let context =
        Context::new(unsafe { aws_lc_sys::EVP_PKEY_CTX_new_id(aws_lc_sys::EVP_PKEY_KEM, ptr::null_mut()) })?;
    let mut key = ptr::null_mut();
    let mut seed_len = seed.len();
    // SAFETY: the context is alive; the seed is as long as is said; the key is written only where the call succeeds
    // and is then ours to free.
    let done = unsafe {
        aws_lc_sys::EVP_PKEY_CTX_kem_set_params(context.0.as_ptr(), parameters.nid) == DONE
            && aws_lc_sys::EVP_PKEY_keygen_init(context.0.as_ptr()) == DONE
            && aws_lc_sys::EVP_PKEY_keygen_deterministic(
                context.0.as_ptr(),
                &raw mut key,
                seed.as_ptr(),
                &raw mut seed_len,
            ) == DONE
    };
    let key = Key::new(key).filter(|_| succeeded(i32::from(done)))?;
    let mut private = Zeroizing::new(vec![0; parameters.private_len]);
    let mut public = vec![0; parameters.public_len];
    let (mut private_len, mut public_len) = (private.len(), public.len());
    // SAFETY: the key is alive, and both buffers are as long as is said.
    let done = unsafe {
        let key = key.0.as_ptr().cast_const();
        aws_lc_sys::EVP_PKEY_get_raw_private_key(key, private.as_mut_ptr(), &raw mut private_len) == DONE
            && aws_lc_sys::EVP_PKEY_get_raw_public_key(key, public.as_mut_ptr(), &raw mut public_len) == DONE
    };
    let whole = private_len == private.len() && public_len == public.len();
    (succeeded(i32::from(done)) && whole).then_some((private, public))
}

/// Whether a number, big-endian, is prime, by 64 rounds of Miller and Rabin's test with random bases: one that was chosen
/// to pass does so with a chance of 2^-128 (FIPS 186-5 appendix B.3). `None` where AWS-LC has no memory.
pub(super) fn is_prime(number: &[u8]) -> Option<bool> {
    const ROUNDS: i32 = 64;
    let (number, work) = (Number::new(number)?, Work::new()?);
    // SAFETY: both are alive and ours, and nothing is called back.
    let answer =
        unsafe { aws_lc_sys::BN_is_prime_ex(number.0.as_ptr(), ROUNDS, work.0.as_ptr(), ptr::null_mut()) };
    match answer {
        DONE => Some(true),
        0 => Some(false),
        _ => {
            succeeded(answer);
            None
        }
    }
}

/// Whether a call succeeded. What AWS-LC noted about a failure is thrown away: it is queued for each thread.
fn succeeded(answer: i32) -> bool {
    if answer != DONE {
        // SAFETY: touches only the error queue of this thread.
        unsafe { aws_lc_sys::ERR_clear_error() };
    }
    answer == DONE
}

/// A key of AWS-LC's, which clears it when it is freed.
struct Key(NonNull<EVP_PKEY>);

// SAFETY: a key belongs to no thread.
unsafe impl Send for Key {}
// SAFETY: "A given object may be used concurrently on multiple threads by non-mutating functions" (openssl/evp.h), and
// a key is only made, used to sign or read, and freed here.
unsafe impl Sync for Key {}

impl Key {
    fn new(key: *mut EVP_PKEY) -> Option<Self> {
        let key = NonNull::new(key).map(Self);
        succeeded(i32::from(key.is_some()));
        key
    }

    fn context(&self) -> Option<Context> {
        // SAFETY: the key is alive; the context counts itself as a user of it, and is ours to free.
        Context::new(unsafe { aws_lc_sys::EVP_PKEY_CTX_new(self.0.as_ptr(), ptr::null_mut()) })
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is ours and is not used again.
        unsafe { aws_lc_sys::EVP_PKEY_free(self.0.as_ptr()) };
    }
}

/// A number of AWS-LC's, which is cleared when it is freed.
struct Number(NonNull<BIGNUM>);

impl Number {
    fn new(bytes: &[u8]) -> Option<Self> {
        // SAFETY: reads the bytes, and no further; the number that it makes is ours to free.
        let number = unsafe { aws_lc_sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), ptr::null_mut()) };
        let number = NonNull::new(number).map(Self);
        succeeded(i32::from(number.is_some()));
        number
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: the number is ours and is not used again.
        unsafe { aws_lc_sys::BN_clear_free(self.0.as_ptr()) };
    }
}

/// Room for numbers in between, which AWS-LC clears when it frees it, as all of its memory.
struct Work(NonNull<BN_CTX>);

impl Work {
    fn new() -> Option<Self> {
        // SAFETY: what it makes is ours to free.
        let work = NonNull::new(unsafe { aws_lc_sys::BN_CTX_new() }).map(Self);
        succeeded(i32::from(work.is_some()));
        work
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: it is ours and is not used again.
        unsafe { aws_lc_sys::BN_CTX_free(self.0.as_ptr()) };
    }
}

/// The context of one operation.
struct Context(NonNull<EVP_PKEY_CTX>);

impl Context {
    fn new(context: *mut EVP_PKEY_CTX) -> Option<Self> {
        let context = NonNull::new(context).map(Self);
        succeeded(i32::from(context.is_some()));
        context
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is ours and is not used again.
        unsafe { aws_lc_sys::EVP_PKEY_CTX_free(self.0.as_ptr()) };
    }
}
