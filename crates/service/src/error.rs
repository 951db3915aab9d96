//! Errors of an operation: a code for machines, a message for the caller, a cause for the log.

use claviger_wire::codec::Refusal;
use claviger_wire::fault::Code;

use crate::moment::NoEntropy;

/// What an operation answers when it does not succeed.
#[derive(Debug)]
pub struct Error {
    /// What a caller's program tells apart.
    pub code: Code,
    /// What the caller reads; some errors of AWS have none.
    pub message: Option<String>,
    /// What the operator reads. Never leaves the host.
    pub cause: Option<String>,
    /// Whether a record changed between being read and being written, so that the call should be decided anew.
    pub(crate) conflict: bool,
    /// Whether the caller is no longer who it was, so that the call should be authenticated anew.
    pub(crate) caller_changed: bool,
}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a message for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()), cause: None, conflict: false, caller_changed: false }
    }

    /// An error for which AWS sends no message.
    pub fn bare(code: Code) -> Self {
        Self { message: None, ..Self::new(code, "") }
    }

    /// A fault of the server: the caller learns nothing of the cause.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::bare(Code::KmsInternal).because(cause)
    }

    /// A part of the installation did not answer; the caller may try again.
    pub fn unavailable(cause: impl Into<String>) -> Self {
        let message = "The system timed out while trying to fulfill the request. You can retry the request.";
        Self::new(Code::DependencyTimeout, message).because(cause)
    }

    /// The caller changed while its call was carried out.
    pub(crate) fn caller_changed() -> Self {
        Self { caller_changed: true, ..claviger_store::Error::Conflict.into() }
    }

    /// A constraint that AWS checks after decoding.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// Adds a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl From<claviger_store::Error> for Error {
    fn from(error: claviger_store::Error) -> Self {
        use claviger_store::Error as Store;
        match error {
            Store::Conflict => {
                Self { conflict: true, ..Self::unavailable("a record changed while it was used") }
            }
            Store::Unavailable(_) => Self::unavailable(error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<NoEntropy> for Error {
    fn from(_: NoEntropy) -> Self {
        Self::internal("the random number generator failed")
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Serialization(text) => Self::new(Code::Serialization, text),
            Refusal::Validation(text) => Self::new(Code::Validation, text),
        }
    }
}
