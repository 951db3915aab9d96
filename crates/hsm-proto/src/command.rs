//! What the host may ask of the HSM. Whole commands only: there is no raw primitive to compose.

use minicbor::{Decode, Encode};

use crate::MaterialId;

/// One request to the HSM. Borrows from the frame it was read from.
#[derive(Debug, Clone, Encode, Decode)]
pub enum Command<'a> {
    /// Opens a connection. Must be the first command; any other first command is refused.
    #[n(0)]
    Hello {
        /// [`crate::VERSION`] of the host.
        #[n(0)]
        version: u16,
    },
    /// Generates key material for a new KMS key (or a new generation of one) and wraps it.
    #[n(1)]
    CreateKey {
        /// What the wrapped key will be bound to.
        #[b(0)]
        binding: Binding<'a>,
    },
    /// Encrypts 1 to 4,096 bytes under a symmetric key; answers [`crate::Reply::Ciphertext`].
    #[n(2)]
    Encrypt {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Encoded encryption context ([`crate::encode_context`]).
        #[cbor(b(1), with = "minicbor::bytes")]
        context: &'a [u8],
        /// What to encrypt.
        #[cbor(b(2), with = "minicbor::bytes")]
        plaintext: &'a [u8],
    },
    /// Opens a ciphertext blob; answers [`crate::Reply::Plaintext`].
    #[n(3)]
    Decrypt {
        /// The key whose material the blob names.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Encoded encryption context.
        #[cbor(b(1), with = "minicbor::bytes")]
        context: &'a [u8],
        /// The blob, at most 6,144 bytes.
        #[cbor(b(2), with = "minicbor::bytes")]
        blob: &'a [u8],
    },
    /// Opens a blob and encrypts its content again in one step, so the plaintext never leaves the HSM.
    #[n(4)]
    ReEncrypt {
        /// The key whose material the blob names.
        #[b(0)]
        source: WrappedKey<'a>,
        /// Encoded encryption context of the blob.
        #[cbor(b(1), with = "minicbor::bytes")]
        source_context: &'a [u8],
        /// The blob to open.
        #[cbor(b(2), with = "minicbor::bytes")]
        blob: &'a [u8],
        /// The key to encrypt under.
        #[b(3)]
        destination: WrappedKey<'a>,
        /// Encoded encryption context of the new blob.
        #[cbor(b(4), with = "minicbor::bytes")]
        destination_context: &'a [u8],
    },
    /// Generates a random data key and encrypts it; answers [`crate::Reply::DataKey`].
    #[n(5)]
    GenerateDataKey {
        /// The key to encrypt under.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Encoded encryption context.
        #[cbor(b(1), with = "minicbor::bytes")]
        context: &'a [u8],
        /// Length of the data key in bytes, 1 to 1,024.
        #[n(2)]
        length: u16,
        /// Whether the reply also carries the data key in the clear.
        #[n(3)]
        disclose: bool,
    },
    /// Random bytes, 1 to 1,024; answers [`crate::Reply::Random`].
    #[n(6)]
    GenerateRandom {
        /// How many bytes.
        #[n(0)]
        length: u16,
    },
    /// Seals a secret access key: a new random one, or the one given.
    #[n(7)]
    CreateCredential {
        /// What the sealed secret will be bound to.
        #[b(0)]
        binding: CredentialBinding<'a>,
        /// The secret to seal (16 to 128 bytes); a new one of 40 characters is made when absent.
        #[cbor(b(1), with = "minicbor::bytes")]
        secret: Option<&'a [u8]>,
    },
    /// Derives the SigV4 signing key of one day, Region and service from a sealed secret access key.
    #[n(8)]
    SigningKey {
        /// The sealed secret.
        #[b(0)]
        credential: WrappedCredential<'a>,
        /// The day as `YYYYMMDD`.
        #[b(1)]
        date: &'a str,
        /// Region of the credential scope.
        #[b(2)]
        region: &'a str,
        /// Service of the credential scope.
        #[b(3)]
        service: &'a str,
    },
    /// Forgets every unwrapped copy of these materials before it answers [`crate::Reply::Evicted`], and does not
    /// keep new copies of them for a while, so that a command still in flight cannot bring one back.
    #[n(9)]
    Evict {
        /// The materials to forget.
        #[n(0)]
        materials: Vec<MaterialId>,
    },
    /// A key for the host's own use, derived from the domain: the same at every start, different for each label.
    #[n(10)]
    HostKey {
        /// What the key is for.
        #[n(0)]
        label: HostKeyLabel,
    },
    /// Makes a new domain key that wraps from now on; older ones still unwrap.
    #[n(11)]
    RotateDomainKey,
    /// Wraps a key again under the newest domain key; answers [`crate::Reply::KeyWrapped`].
    #[n(12)]
    Rewrap {
        /// The key to wrap again.
        #[b(0)]
        key: WrappedKey<'a>,
    },
}

/// What a wrapped key is bound to: it opens only where all of this is the same as when it was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Binding<'a> {
    /// Account of the key, 12 digits.
    #[b(0)]
    pub account: &'a str,
    /// Region of the key.
    #[b(1)]
    pub region: &'a str,
    /// Key id (the last part of the key's ARN).
    #[b(2)]
    pub key_id: &'a str,
    /// `KeySpec` as the API spells it.
    #[b(3)]
    pub spec: &'a str,
    /// `KeyUsage` as the API spells it.
    #[b(4)]
    pub usage: &'a str,
}

/// A key as it stands in the store: useless without the domain key that wraps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct WrappedKey<'a> {
    /// Where the key stands.
    #[b(0)]
    pub binding: Binding<'a>,
    /// Which generation of its material this is.
    #[n(1)]
    pub material: MaterialId,
    /// The material, sealed under a domain key with the binding and the material id as associated data.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub token: &'a [u8],
}

/// What a sealed secret access key is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CredentialBinding<'a> {
    /// Account the credential belongs to, 12 digits.
    #[b(0)]
    pub account: &'a str,
    /// Access key id.
    #[b(1)]
    pub access_key_id: &'a str,
}

/// A secret access key as it stands in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct WrappedCredential<'a> {
    /// Whose secret this is.
    #[b(0)]
    pub binding: CredentialBinding<'a>,
    /// The secret, sealed under a domain key with the binding as associated data.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub token: &'a [u8],
}

/// What a host key is for. Each label gives an independent key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum HostKeyLabel {
    /// Seals the records of the host's store.
    #[n(0)]
    Records,
    /// Authenticates pagination markers.
    #[n(1)]
    Markers,
}
