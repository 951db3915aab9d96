//! Why a document is refused, and what the caller is told of it.

use std::fmt;

use crate::error::Error;
use crate::moment::Moment;

/// What is wrong with a document. For the log; a caller learns only that the document is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// More bytes than a document may have.
    TooLong(usize),
    /// The COSE_Sign1 message is not of the form that AWS documents.
    Envelope(&'static str),
    /// The payload is not one CBOR map of text keys and no more.
    Payload,
    /// The payload has a field that no document has.
    UnknownField,
    /// A field of the payload.
    Field(&'static str, Fault),
    /// Made too long ago, or in the future.
    Stale {
        /// When the document says it was made.
        timestamp: Moment,
        /// When it was presented.
        now: Moment,
    },
    /// No trusted root that is valid at this time, and the document brings no pinned one.
    NoRoot,
    /// The certificates do not lead to a trusted root, in the words of the verifier.
    Chain(String),
    /// A certificate that leads to the root says that its key is for something else, or is no certificate.
    KeyUsage,
    /// A certificate that leads to the root has expired since the document was made.
    Expired,
    /// The key that signed is not a P-384 key.
    LeafKey,
    /// The signature is not that of the certificate's key.
    Signature,
    /// The recipient's key cannot be used.
    PublicKey(&'static str),
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there, or null where it may not be.
    Missing,
    /// It, or a key inside it, stands twice.
    Twice,
    /// It has another type.
    Type,
    /// It has too few or too many bytes or elements.
    Size,
    /// Its value is not one of those allowed.
    Value,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Twice => "stands twice",
            Self::Type => "has a wrong type",
            Self::Size => "has a wrong size",
            Self::Value => "has a value that is not allowed",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attestation document: ")?;
        match self {
            Self::TooLong(len) => write!(f, "{len} bytes are too many"),
            Self::Envelope(fault) => write!(f, "COSE: {fault}"),
            Self::Payload => f.write_str("the payload is not one CBOR map"),
            Self::UnknownField => f.write_str("the payload has an unknown field"),
            Self::Field(name, fault) => write!(f, "`{name}` {fault}"),
            Self::Stale { timestamp, now } => {
                write!(f, "made at {}, presented at {}", timestamp.iso(), now.iso())
            }
            Self::NoRoot => f.write_str("no trusted root"),
            Self::Chain(error) => write!(f, "certificates: {error}"),
            Self::KeyUsage => f.write_str("certificates: a key is meant for something else"),
            Self::Expired => f.write_str("certificates: one has expired"),
            Self::LeafKey => f.write_str("the signing key is not a P-384 key"),
            Self::Signature => f.write_str("the signature is not valid"),
            Self::PublicKey(fault) => write!(f, "public key: {fault}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    /// AWS documents no error of its own for a document that it does not accept.
    fn from(refusal: Refusal) -> Self {
        Self::validation("the attestation document is not valid").because(refusal.to_string())
    }
}
