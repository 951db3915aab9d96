//! OpenID Connect (OpenID Connect Core 1.0, Discovery 1.0): the keys of issuers, and the tokens that they sign.
//!
//! What comes from an issuer's servers is fetched by the shell ([`Fetcher`]); what it means is decided here.

pub(crate) mod issuers;
mod keys;
pub(crate) mod token;

use crate::BoxFuture;

/// Longest document that is fetched, in bytes.
pub const MAX_DOCUMENT_LEN: usize = 256 * 1024;

/// A document that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its address; always `https`.
    pub url: String,
    /// SHA-1 fingerprints of authorities that may vouch for the server beside those that are configured: 40 hexadecimal
    /// digits in lower case.
    pub thumbprints: Vec<String>,
}

/// Why a document was not fetched; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFetched(pub String);

/// Fetches documents of issuers. Implementations follow no redirect, take no more than [`MAX_DOCUMENT_LEN`] bytes, wait
/// a bounded time, and verify the server.
pub trait Fetcher: Send + Sync {
    /// Resolves with the document.
    fn fetch(&self, source: Source) -> BoxFuture<'static, Result<Vec<u8>, NotFetched>>;
}
