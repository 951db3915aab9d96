//! Authorization headers and presigned queries. Without the key, nothing may verify.

#![no_main]

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use claviger_wire::incoming::{Incoming, Origin};
use claviger_wire::sigv4::{Claim, SigningKey};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Lines of the input: the query, then `name: value` headers; the rest after an empty line is the body.
fn incoming(input: &[u8]) -> Option<Incoming> {
    let text = std::str::from_utf8(input).ok()?;
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let query = lines.next().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?);
    }
    Some(Incoming {
        method: Method::POST,
        path: "/".to_owned(),
        query,
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        origin: Arc::new(Origin { peer: Ipv4Addr::LOCALHOST.into(), tls: None, endpoint: None }),
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(incoming) = incoming(input) else { return };
    let Ok(claim) = Claim::parse(&incoming) else { return };
    let now = claim.signed_at();
    let Ok(claim) = claim.check_scope("kms", |_| true, now) else { return };
    assert!(claim.verify(&SigningKey::new(&[0x5a; 32])).is_err());
});
