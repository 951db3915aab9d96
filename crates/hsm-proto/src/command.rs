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
    /// Encrypts 1 to 4,096 bytes; answers [`crate::Reply::Ciphertext`].
    #[n(2)]
    Encrypt {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Encoded encryption context ([`crate::encode_context`]); empty for an asymmetric key.
        #[cbor(b(1), with = "minicbor::bytes")]
        context: &'a [u8],
        /// What to encrypt.
        #[cbor(b(2), with = "minicbor::bytes")]
        plaintext: &'a [u8],
        /// `EncryptionAlgorithmSpec` as the API spells it.
        #[b(3)]
        algorithm: &'a str,
    },
    /// Opens a ciphertext; answers [`crate::Reply::Plaintext`], or [`crate::Reply::Enveloped`] for a recipient.
    #[n(3)]
    Decrypt {
        /// The key: for a symmetric one, that whose material the blob names.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Encoded encryption context; empty for an asymmetric key.
        #[cbor(b(1), with = "minicbor::bytes")]
        context: &'a [u8],
        /// The ciphertext, at most 6,144 bytes.
        #[cbor(b(2), with = "minicbor::bytes")]
        blob: &'a [u8],
        /// `EncryptionAlgorithmSpec` as the API spells it.
        #[b(3)]
        algorithm: &'a str,
        /// The key of an attested recipient.
        #[b(4)]
        recipient: Option<RecipientKey<'a>>,
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
        /// How the ciphertext was encrypted (`EncryptionAlgorithmSpec`).
        #[b(5)]
        source_algorithm: &'a str,
        /// How to encrypt (`EncryptionAlgorithmSpec`).
        #[b(6)]
        destination_algorithm: &'a str,
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
        /// Whether the reply also carries the data key: in the clear, or enveloped where there is a recipient.
        #[n(3)]
        disclose: bool,
        /// The key of an attested recipient.
        #[b(4)]
        recipient: Option<RecipientKey<'a>>,
    },
    /// Random bytes, 1 to 1,024; answers [`crate::Reply::Random`], or [`crate::Reply::Enveloped`] for a recipient.
    #[n(6)]
    GenerateRandom {
        /// How many bytes.
        #[n(0)]
        length: u16,
        /// The key of an attested recipient.
        #[b(1)]
        recipient: Option<RecipientKey<'a>>,
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
    /// keep new copies of them for longer than [`crate::LONGEST_WAIT`], so that a command still in flight cannot bring one
    /// back.
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
    /// Makes a new domain key that wraps from now on; older ones still unwrap. Where the domain's newest key is another
    /// than the host knows of, none is made: to ask again after an answer was lost makes no second one.
    #[n(11)]
    RotateDomainKey {
        /// Number of the newest domain key that the host knows of; 0 where it knows none, which no key has.
        #[n(0)]
        newest: u32,
    },
    /// Wraps a key again under the newest domain key; answers [`crate::Reply::KeyWrapped`].
    #[n(12)]
    Rewrap {
        /// The key to wrap again.
        #[b(0)]
        key: WrappedKey<'a>,
    },
    /// Signs; answers [`crate::Reply::Signature`]. Every signature is verified before it leaves.
    #[n(13)]
    Sign {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// `SigningAlgorithmSpec` as the API spells it.
        #[b(1)]
        algorithm: &'a str,
        /// What `message` is.
        #[n(2)]
        kind: MessageKind,
        /// 1 to 4,096 bytes.
        #[cbor(b(3), with = "minicbor::bytes")]
        message: &'a [u8],
    },
    /// Verifies a signature; answers [`crate::Reply::Verified`].
    #[n(14)]
    Verify {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// `SigningAlgorithmSpec` as the API spells it.
        #[b(1)]
        algorithm: &'a str,
        /// What `message` is.
        #[n(2)]
        kind: MessageKind,
        /// 1 to 4,096 bytes.
        #[cbor(b(3), with = "minicbor::bytes")]
        message: &'a [u8],
        /// 1 to 6,144 bytes.
        #[cbor(b(4), with = "minicbor::bytes")]
        signature: &'a [u8],
    },
    /// Computes a message authentication code; answers [`crate::Reply::Mac`].
    #[n(15)]
    GenerateMac {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// `MacAlgorithmSpec` as the API spells it.
        #[b(1)]
        algorithm: &'a str,
        /// 1 to 4,096 bytes.
        #[cbor(b(2), with = "minicbor::bytes")]
        message: &'a [u8],
    },
    /// Verifies a message authentication code in constant time; answers [`crate::Reply::Verified`].
    #[n(16)]
    VerifyMac {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// `MacAlgorithmSpec` as the API spells it.
        #[b(1)]
        algorithm: &'a str,
        /// 1 to 4,096 bytes.
        #[cbor(b(2), with = "minicbor::bytes")]
        message: &'a [u8],
        /// 1 to 6,144 bytes.
        #[cbor(b(3), with = "minicbor::bytes")]
        mac: &'a [u8],
    },
    /// Agrees on a secret with the owner of a public key (NIST SP 800-56A, ECC CDH); answers
    /// [`crate::Reply::SharedSecret`], or [`crate::Reply::Enveloped`] for a recipient.
    #[n(17)]
    DeriveSharedSecret {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// The other's public key: DER of a SubjectPublicKeyInfo (RFC 5280) on the key's curve.
        #[cbor(b(1), with = "minicbor::bytes")]
        peer: &'a [u8],
        /// The key of an attested recipient.
        #[b(2)]
        recipient: Option<RecipientKey<'a>>,
    },
    /// Makes a shared secret and encapsulates it to the key (FIPS 203); answers [`crate::Reply::Encapsulated`].
    #[n(18)]
    Encapsulate {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
    },
    /// Opens an encapsulated secret (FIPS 203); answers [`crate::Reply::SharedSecret`].
    #[n(19)]
    Decapsulate {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// What was encapsulated.
        #[cbor(b(1), with = "minicbor::bytes")]
        ciphertext: &'a [u8],
    },
    /// Makes a key pair and encrypts its private key; answers [`crate::Reply::DataKeyPair`].
    #[n(20)]
    GenerateDataKeyPair {
        /// The symmetric key to encrypt under.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Encoded encryption context.
        #[cbor(b(1), with = "minicbor::bytes")]
        context: &'a [u8],
        /// `DataKeyPairSpec` as the API spells it.
        #[b(2)]
        pair: &'a str,
        /// Whether the reply also carries the private key: in the clear, or enveloped where there is a recipient.
        #[n(3)]
        disclose: bool,
        /// The key of an attested recipient.
        #[b(4)]
        recipient: Option<RecipientKey<'a>>,
    },
    /// Makes a key pair that key material can be wrapped to; answers [`crate::Reply::ImportParameters`].
    #[n(21)]
    ImportParameters {
        /// The key that the material is for.
        #[b(0)]
        binding: Binding<'a>,
        /// How the import is to be done.
        #[b(1)]
        terms: ImportTerms<'a>,
    },
    /// Unwraps imported key material, checks it against the key's spec and wraps it as the key's; answers
    /// [`crate::Reply::KeyWrapped`]. Every failure to unwrap is [`crate::Refusal::Ciphertext`]; with RSA, after the same
    /// work.
    #[n(22)]
    ImportKey {
        /// The key that the material is for.
        #[b(0)]
        binding: Binding<'a>,
        /// What was agreed on when the parameters were made.
        #[b(1)]
        terms: ImportTerms<'a>,
        /// The token of [`crate::Reply::ImportParameters`].
        #[cbor(b(2), with = "minicbor::bytes")]
        token: &'a [u8],
        /// The wrapped material, at most 6,144 bytes.
        #[cbor(b(3), with = "minicbor::bytes")]
        material: &'a [u8],
    },
    /// Wraps a multi-Region key for the same key in another Region; answers [`crate::Reply::Transfer`].
    #[n(23)]
    TransferOut {
        /// The key.
        #[b(0)]
        key: WrappedKey<'a>,
        /// Domain of the receiving HSM.
        #[cbor(n(1), with = "minicbor::bytes")]
        domain: [u8; 16],
        /// The receiving Region.
        #[b(2)]
        region: &'a str,
    },
    /// Takes in a key that was wrapped for this domain and Region; answers [`crate::Reply::KeyWrapped`].
    #[n(24)]
    TransferIn {
        /// Where the key will stand: all but the Region as where it came from.
        #[b(0)]
        binding: Binding<'a>,
        /// The Region it comes from.
        #[b(1)]
        from: &'a str,
        /// Which material it is.
        #[n(2)]
        material: MaterialId,
        /// The package of [`crate::Reply::Transfer`].
        #[cbor(b(3), with = "minicbor::bytes")]
        package: &'a [u8],
    },
}

impl<'a> Command<'a> {
    /// The account whose key or credential this is about; that of the key to decrypt with where it is about two. `None`
    /// where it is about neither.
    pub const fn account(&self) -> Option<&'a str> {
        match self {
            Command::CreateKey { binding }
            | Command::ImportParameters { binding, .. }
            | Command::ImportKey { binding, .. }
            | Command::TransferIn { binding, .. } => Some(binding.account),
            Command::Encrypt { key, .. }
            | Command::Decrypt { key, .. }
            | Command::ReEncrypt { source: key, .. }
            | Command::GenerateDataKey { key, .. }
            | Command::GenerateDataKeyPair { key, .. }
            | Command::Rewrap { key }
            | Command::Sign { key, .. }
            | Command::Verify { key, .. }
            | Command::GenerateMac { key, .. }
            | Command::VerifyMac { key, .. }
            | Command::DeriveSharedSecret { key, .. }
            | Command::Encapsulate { key }
            | Command::Decapsulate { key, .. }
            | Command::TransferOut { key, .. } => Some(key.binding.account),
            Command::CreateCredential { binding, .. } => Some(binding.account),
            Command::SigningKey { credential, .. } => Some(credential.binding.account),
            Command::Hello { .. }
            | Command::GenerateRandom { .. }
            | Command::Evict { .. }
            | Command::HostKey { .. }
            | Command::RotateDomainKey { .. } => None,
        }
    }
}

/// What a message to be signed is (`MessageType` of the API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum MessageKind {
    /// The message itself.
    #[n(0)]
    Raw,
    /// Its digest, of the algorithm's length.
    #[n(1)]
    Digest,
    /// The 64-byte representative of FIPS 204, made outside.
    #[n(2)]
    ExternalMu,
}

/// An RSA public key that an answer is enveloped to instead of standing in the clear (RFC 5652, EnvelopedData): DER of
/// a SubjectPublicKeyInfo. The host has verified the attestation document that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct RecipientKey<'a>(#[cbor(b(0), with = "minicbor::bytes")] pub &'a [u8]);

/// How key material is imported. Bound to the import token, so a token serves only what it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ImportTerms<'a> {
    /// `WrappingKeySpec` as the API spells it.
    #[b(0)]
    pub wrapping_key: &'a str,
    /// `AlgorithmSpec` as the API spells it.
    #[b(1)]
    pub algorithm: &'a str,
    /// Until when, milliseconds since the epoch. The host compares it with the time; the HSM has no clock.
    #[n(2)]
    pub valid_to_ms: i64,
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
    /// Seals the tokens of sessions.
    #[n(2)]
    Sessions,
    /// Seals grant tokens.
    #[n(3)]
    GrantTokens,
    /// Seals the seeds of devices for multi-factor authentication.
    #[n(4)]
    Seeds,
    /// Keys the hashes of passwords.
    #[n(5)]
    Passwords,
}
