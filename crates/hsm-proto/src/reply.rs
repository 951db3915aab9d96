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
        /// Public key of an asymmetric key: DER of a SubjectPublicKeyInfo (RFC 5280).
        #[cbor(b(2), with = "minicbor::bytes")]
        public: Option<&'a [u8]>,
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
        /// The data key enveloped to a recipient (RFC 5652), when there is one.
        #[cbor(b(2), with = "minicbor::bytes")]
        enveloped: Option<&'a [u8]>,
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
    /// Answer to [`crate::Command::RotateDomainKey`].
    #[n(11)]
    DomainKeyRotated {
        /// Number of the key that wraps from now on, new or not.
        #[n(0)]
        generation: u32,
    },
    /// A signature, in the form that the API gives: DER for ECDSA and SM2, raw otherwise.
    #[n(12)]
    Signature {
        /// The signature.
        #[cbor(b(0), with = "minicbor::bytes")]
        signature: &'a [u8],
    },
    /// Whether a signature or a message authentication code is right.
    #[n(13)]
    Verified {
        /// Whether it is.
        #[n(0)]
        valid: bool,
    },
    /// A message authentication code.
    #[n(14)]
    Mac {
        /// The code.
        #[cbor(b(0), with = "minicbor::bytes")]
        mac: &'a [u8],
    },
    /// A secret that was agreed on or decapsulated.
    #[n(15)]
    SharedSecret {
        /// The secret.
        #[b(0)]
        secret: Disclosed<'a>,
    },
    /// A new shared secret.
    #[n(16)]
    Encapsulated {
        /// The secret.
        #[b(0)]
        secret: Disclosed<'a>,
        /// The secret, encapsulated.
        #[cbor(b(1), with = "minicbor::bytes")]
        ciphertext: &'a [u8],
    },
    /// A key pair.
    #[n(17)]
    DataKeyPair {
        /// The private key, encrypted.
        #[cbor(b(0), with = "minicbor::bytes")]
        blob: &'a [u8],
        /// DER of a SubjectPublicKeyInfo.
        #[cbor(b(1), with = "minicbor::bytes")]
        public: &'a [u8],
        /// DER of a PKCS #8 PrivateKeyInfo (RFC 5208), when it was asked for.
        #[b(2)]
        private: Option<Disclosed<'a>>,
        /// The same enveloped to a recipient, when there is one.
        #[cbor(b(3), with = "minicbor::bytes")]
        enveloped: Option<&'a [u8]>,
    },
    /// What an import needs.
    #[n(18)]
    ImportParameters {
        /// The wrapping key: DER of a SubjectPublicKeyInfo.
        #[cbor(b(0), with = "minicbor::bytes")]
        public: &'a [u8],
        /// Its private part, sealed to the key, the terms and the domain.
        #[cbor(b(1), with = "minicbor::bytes")]
        token: &'a [u8],
    },
    /// A key on its way to another Region.
    #[n(19)]
    Transfer {
        /// The key, wrapped to the receiving domain and Region.
        #[cbor(b(0), with = "minicbor::bytes")]
        package: &'a [u8],
    },
    /// What was asked for, enveloped to a recipient: a CMS ContentInfo with EnvelopedData (RFC 5652), in BER as
    /// recipients of AWS KMS expect it.
    #[n(20)]
    Enveloped {
        /// The ContentInfo.
        #[cbor(b(0), with = "minicbor::bytes")]
        content: &'a [u8],
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
