//! What the HSM may answer. No variant can carry a backing key.

use minicbor::{Decode, Encode};

use crate::{MaterialId, Refusal};

/// One answer of the HSM. Borrows from the frame it was read from.
#[derive(Debug, Clone, Encode, Decode)]
pub enum Reply<'a> {
    /// The command was not carried out.
    #[n(0)]
    Refused(#[n(0)] Refusal),
    /// Answer to [`crate::Command::Hello`].
    #[n(1)]
    Hello {
        /// [`crate::VERSION`] of the HSM.
        #[n(0)]
        version: u16,
        /// Names the domain: two HSMs of one domain answer the same.
        #[cbor(n(1), with = "minicbor::bytes")]
        domain: [u8; 16],
    },
    /// A new key, wrapped.
    #[n(2)]
    KeyWrapped {
        /// Names the material.
        #[n(0)]
        material: MaterialId,
        /// The wrapped material.
        #[cbor(b(1), with = "minicbor::bytes")]
        token: &'a [u8],
    },
    /// A ciphertext blob.
    #[n(3)]
    Ciphertext {
        /// The blob.
        #[cbor(b(0), with = "minicbor::bytes")]
        blob: &'a [u8],
    },
    /// The content of a blob.
    #[n(4)]
    Plaintext {
        /// What was encrypted.
        #[b(0)]
        plaintext: Disclosed<'a>,
    },
    /// A data key.
    #[n(5)]
    DataKey {
        /// The data key, encrypted.
        #[cbor(b(0), with = "minicbor::bytes")]
        blob: &'a [u8],
        /// The data key in the clear, when it was asked for.
        #[b(1)]
        plaintext: Option<Disclosed<'a>>,
    },
    /// Random bytes.
    #[n(6)]
    Random {
        /// The bytes.
        #[b(0)]
        bytes: Disclosed<'a>,
    },
    /// A sealed secret access key.
    #[n(7)]
    CredentialWrapped {
        /// The sealed secret.
        #[cbor(b(0), with = "minicbor::bytes")]
        token: &'a [u8],
        /// The secret itself when the HSM made it: it is shown this once.
        #[b(1)]
        secret: Option<Disclosed<'a>>,
    },
    /// A SigV4 signing key.
    #[n(8)]
    SigningKey {
        /// 32 bytes.
        #[b(0)]
        key: Disclosed<'a>,
    },
    /// The materials are forgotten.
    #[n(9)]
    Evicted,
    /// A key for the host's own use.
    #[n(10)]
    HostKey {
        /// 32 bytes.
        #[b(0)]
        key: Disclosed<'a>,
    },
    /// The domain has a new key.
    #[n(11)]
    DomainKeyRotated {
        /// Number of the key that wraps from now on.
        #[n(0)]
        generation: u32,
    },
}

/// Bytes that the API gives to its caller, or that the host needs for itself. Prints its length only.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Disclosed<'a>(#[cbor(b(0), with = "minicbor::bytes")] pub &'a [u8]);

impl std::fmt::Debug for Disclosed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disclosed({} bytes)", self.0.len())
    }
}
