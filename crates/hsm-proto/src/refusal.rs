//! Why the HSM did not carry out a command.

use minicbor::{Decode, Encode};

/// A closed, numbered list; a number is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Refusal {
    /// The frame is not a command of this version, or the connection was not opened with `Hello`.
    #[n(0)]
    Malformed,
    /// The host speaks another version of the protocol.
    #[n(1)]
    Version,
    /// A wrapped key or credential does not open where it is used: altered, moved, or of another domain.
    #[n(2)]
    Token,
    /// The ciphertext does not open: altered, of another key, or with another encryption context.
    #[n(3)]
    Ciphertext,
    /// The key's spec or usage does not allow the command.
    #[n(4)]
    Usage,
    /// A length is outside the documented bounds.
    #[n(5)]
    Length,
    /// The random number generator failed; nothing was produced.
    #[n(6)]
    Randomness,
    /// The seal could not be written; nothing was changed.
    #[n(7)]
    Seal,
    /// The HSM failed its self-test or met a fault of its own.
    #[n(8)]
    Internal,
    /// An import token does not open: altered, of another key, or with other terms.
    #[n(9)]
    ImportToken,
    /// Imported key material was unwrapped and is not material of the key's spec.
    #[n(10)]
    Material,
    /// A peer's or recipient's public key is not one that can be used.
    #[n(11)]
    PublicKey,
    /// A transfer is for another domain, or its package does not open here.
    #[n(12)]
    Transfer,
    /// As much of the account's waits for a worker as may; nothing was done.
    #[n(13)]
    Busy,
}
