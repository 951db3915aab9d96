//! What crosses the line between the host and the HSM process: commands, replies, refusals and frames.
//!
//! Nothing here does I/O or cryptography, so both sides may depend on it. Two rules hold for every type:
//!
//! - **Numbers are never reused.** Each enum variant and field carries an explicit number (`#[n(..)]`). A field that
//!   is no longer sent keeps its number for ever.
//! - **No reply carries key material.** The only secrets a [`Reply`] can hold are [`Disclosed`]: what the API hands to
//!   its own caller (plaintexts, data keys, random bytes, a new secret access key) and what the host needs for itself
//!   (SigV4 signing keys, keys that protect the host's own records). A backing key has no type to travel in.

use std::time::Duration;

pub mod blob;
mod command;
mod context;
pub mod frame;
mod refusal;
mod reply;

pub use command::{
    Binding, Command, CredentialBinding, HostKeyLabel, ImportTerms, MessageKind, RecipientKey,
    WrappedCredential, WrappedKey,
};
pub use context::encode_context;
pub use refusal::Refusal;
pub use reply::{Disclosed, Reply};

/// Version of this protocol. The first command of a connection must be [`Command::Hello`] with this number.
pub const VERSION: u16 = 4;

/// How long a command may wait for the HSM. Then nobody waits for it any more: the host fails it, and the HSM does not
/// begin it.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The only encryption algorithm of symmetric keys (`EncryptionAlgorithmSpec`).
pub const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";

/// Length of a key material id in bytes. It is shown to callers as 64 hexadecimal digits (`KeyMaterialId`).
pub const MATERIAL_ID_LEN: usize = 32;

/// Names one generation of key material of one KMS key.
///
/// It is computed inside the HSM from the material and the key's id with HMAC-SHA-256, so it commits to the material:
/// two different keys cannot share an id, and a ciphertext that names an id can open under one key only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct MaterialId(#[cbor(with = "minicbor::bytes")] pub [u8; MATERIAL_ID_LEN]);

impl MaterialId {
    /// The id in the 64 hexadecimal digits that the API shows.
    pub fn to_hex(self) -> String {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        let mut hex = vec![b'0'; 2 * MATERIAL_ID_LEN];
        for ([high, low], byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
        // Digits are text.
        String::from_utf8(hex).unwrap_or_default()
    }
}

impl std::fmt::Debug for MaterialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MaterialId({})", self.to_hex())
    }
}
