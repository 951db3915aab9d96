//! A request as it came off the socket: parsed once, within limits, never parsed again.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use http::header::AsHeaderName;
use http::{HeaderMap, Method};

/// Largest request body in bytes. KMS publishes none; the largest valid request (an attestation document and an
/// encryption context) stays well below.
pub const MAX_BODY_LEN: usize = 1024 * 1024;

/// One HTTP request, whole.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Request method.
    pub method: Method,
    /// Path of the request target as sent, still percent-encoded.
    pub path: String,
    /// Query of the request target as sent, without the `?`; empty when there is none.
    pub query: String,
    /// All header fields.
    pub headers: HeaderMap,
    /// The body, at most [`MAX_BODY_LEN`] bytes.
    pub body: Bytes,
    /// Where it came from: one for all requests of a connection.
    pub origin: Arc<Origin>,
}

/// What the listener knows of a connection. Nothing here is taken from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Address of the peer: of the socket's, or the one that a trusted load balancer accepted.
    pub peer: Peer,
    /// What TLS agreed on; `None` over plain HTTP.
    pub tls: Option<Tls>,
    /// Id of the VPC endpoint that it came through, such as `vpce-0123456789abcdef0`.
    pub endpoint: Option<Arc<str>>,
}

/// The address of a peer, and its text: every request leaves it behind in the trail and in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    address: IpAddr,
    text: Box<str>,
}

impl Peer {
    /// As text, such as `192.0.2.10`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<A: Into<IpAddr>> From<A> for Peer {
    fn from(address: A) -> Self {
        let address = address.into();
        Self { address, text: address.to_string().into() }
    }
}

impl Deref for Peer {
    type Target = IpAddr;

    fn deref(&self) -> &IpAddr {
        &self.address
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a TLS handshake agreed on, in the names of the IANA registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// Such as `X25519MLKEM768`.
    pub key_exchange: String,
}

impl Incoming {
    /// The value of a header that stands exactly once and is visible ASCII. `None` when absent, repeated or not text.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        match values.next() {
            None => first.to_str().ok(),
            Some(_) => None,
        }
    }
}
