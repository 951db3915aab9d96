//! Why a request's signature is not accepted, in AWS's names and texts.
//!
//! Texts are those that AWS's JSON services answer today. Where AWS has no text for a check (it does not make it, or
//! it answers before the service is reached) the text is ours and says so in a comment. What a caller sent is quoted
//! only after [`quoted`] has cut it and made it printable.

use std::borrow::Cow;
use std::fmt;

/// Longest quotation of a caller's input in a message, in bytes.
const MAX_QUOTE_LEN: usize = 128;

/// Why a request is not authenticated. Equal for all callers: nothing in it depends on a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Neither an `Authorization` header nor the parameters of a presigned request.
    MissingToken,
    /// A part of the signature is absent or malformed; the text says which.
    Incomplete(String),
    /// The parts are there but do not hold; the text says why.
    InvalidSignature(String),
    /// The access key or the session token is not known. Decided by the service, except for input that cannot be one.
    UnrecognizedClient,
    /// The session's time is over. Decided by the service.
    ExpiredToken,
}

impl Refusal {
    /// AWS's name of the exception, as AWS JSON services spell it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::InvalidSignature(_) => "InvalidSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
        }
    }

    /// The text for the caller.
    pub fn message(&self) -> &str {
        match self {
            Self::MissingToken => "Missing Authentication Token",
            Self::Incomplete(text) | Self::InvalidSignature(text) => text,
            Self::UnrecognizedClient => "The security token included in the request is invalid.",
            Self::ExpiredToken => "The security token included in the request is expired",
        }
    }

    /// The signature is not the one that the key gives for this request.
    pub(super) fn mismatch() -> Self {
        Self::InvalidSignature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
        )
    }

    /// A header or parameter that must be unambiguous stands more than once. The text is ours.
    pub(super) fn repeated(name: &str) -> Self {
        Self::InvalidSignature(format!("'{}' must not appear more than once in the request.", quoted(name)))
    }

    /// Credentials stand in two places.
    pub(super) fn two_places(parameter: &str) -> Self {
        Self::InvalidSignature(format!(
            "Found both '{parameter}' as a query-string param and 'Authorization' as HTTP header."
        ))
    }

    /// A header that must be signed is not. AWS's text for `Host`, ours for the others.
    pub(super) fn unsigned(name: &str) -> Self {
        let subject =
            if name == "host" { Cow::Borrowed("'Host' or ':authority'") } else { format!("'{name}'").into() };
        Self::InvalidSignature(format!("{subject} must be a 'SignedHeader' in the AWS Authorization."))
    }

    /// The time of signing cannot be read.
    pub(super) fn malformed_date(date: &str) -> Self {
        Self::Incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
            quoted(date)
        ))
    }

    /// An algorithm other than `AWS4-HMAC-SHA256`.
    pub(super) fn algorithm(name: &str) -> Self {
        Self::Incomplete(format!(
            "Unsupported AWS 'algorithm': '{}' (only AWS4-HMAC-SHA256 for now). ",
            quoted(name)
        ))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message())
    }
}

impl std::error::Error for Refusal {}

/// What a caller sent, made fit for a message: at most [`MAX_QUOTE_LEN`] bytes, visible ASCII and spaces only.
pub(super) fn quoted(input: &str) -> Cow<'_, str> {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if input.len() <= MAX_QUOTE_LEN && input.bytes().all(printable) {
        return Cow::Borrowed(input);
    }
    let shown =
        input.bytes().take(MAX_QUOTE_LEN).map(|byte| if printable(byte) { char::from(byte) } else { '?' });
    Cow::Owned(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_short_and_printable() {
        assert_eq!(quoted("us-east-1"), "us-east-1");
        assert_eq!(quoted("a\r\nb\u{e9}"), "a??b??");
        assert_eq!(quoted(&"x".repeat(10_000)).len(), MAX_QUOTE_LEN);
    }
}
