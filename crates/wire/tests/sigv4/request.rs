//! Requests for the tests: built, signed by us, signed by the oracle, and checked.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use claviger_wire::incoming::{Incoming, Origin};
use claviger_wire::sigv4::{Claim, Refusal, Scope, Signer, SigningKey, Verified, sign};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};

pub(crate) const ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const REGION: &str = "us-east-1";
/// 2015-08-30T12:36:00Z
pub(crate) const NOW: i64 = 1_440_938_160;
pub(crate) const DATE: &str = "20150830";

pub(crate) fn request(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Incoming {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    Incoming {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: map,
        body: Bytes::copy_from_slice(body),
        origin: Arc::new(Origin { peer: Ipv4Addr::LOCALHOST.into(), tls: None, endpoint: None }),
    }
}

/// A KMS request as an SDK sends it, without a signature.
pub(crate) fn list_keys() -> Incoming {
    let headers = [
        ("host", "kms.us-east-1.amazonaws.com"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "TrentService.ListKeys"),
        ("user-agent", "test"),
    ];
    request("POST", "/", "", &headers, br#"{"Limit":10}"#)
}

/// [`list_keys`], signed at [`NOW`] by our own signer.
pub(crate) fn signed() -> Incoming {
    sign_at(list_keys(), None, NOW)
}

/// Signs with our own signer.
pub(crate) fn sign_at(mut incoming: Incoming, session_token: Option<&str>, now: i64) -> Incoming {
    let scope = Scope { date: DATE.to_owned(), region: REGION.to_owned(), service: "kms".to_owned() };
    let key = SigningKey::derive(SECRET.as_bytes(), &scope.date, &scope.region, &scope.service);
    let signer = Signer { access_key_id: ID, session_token, scope: &scope, key: &key };
    let uri = format!("{}?{}", incoming.path, incoming.query);
    let (mut head, ()) = Request::builder().method(&incoming.method).uri(uri).body(()).unwrap().into_parts();
    head.headers = incoming.headers;
    sign(&mut head, &incoming.body, &signer, now).unwrap();
    incoming.headers = head.headers;
    incoming
}

/// What the oracle signs with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oracle<'a> {
    pub(crate) service: &'a str,
    pub(crate) token: Option<&'a str>,
    /// A presigned request, for so many seconds.
    pub(crate) expires_seconds: Option<u64>,
    /// Declares the body's hash in a header.
    pub(crate) declare_hash: bool,
    /// The path is given as the canonical request has it.
    pub(crate) canonical_path: bool,
}

/// The oracle for a KMS request in header form.
pub(crate) const KMS: Oracle<'_> =
    Oracle { service: "kms", token: None, expires_seconds: None, declare_hash: false, canonical_path: false };

impl Oracle<'_> {
    /// Signs with the `aws-sigv4` crate at [`NOW`].
    pub(crate) fn sign(&self, mut incoming: Incoming) -> Incoming {
        let identity: Identity = Credentials::from_keys(ID, SECRET, self.token.map(str::to_owned)).into();
        let mut settings = SigningSettings::default();
        if let Some(seconds) = self.expires_seconds {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(seconds));
        }
        if self.declare_hash {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if self.canonical_path {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(self.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let host = incoming.header("host").unwrap();
        let uri = match incoming.query.as_str() {
            "" => format!("https://{host}{}", incoming.path),
            query => format!("https://{host}{}?{query}", incoming.path),
        };
        let headers = incoming
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), str::from_utf8(value.as_bytes()).unwrap()));
        let body = SignableBody::Bytes(&incoming.body);
        let signable = SignableRequest::new(incoming.method.as_str(), uri, headers, body).unwrap();
        let (new_headers, new_parameters) =
            aws_sigv4::http_request::sign(signable, &params).unwrap().into_parts().0.into_parts();
        for header in new_headers {
            incoming.headers.insert(header.name(), HeaderValue::from_str(header.value()).unwrap());
        }
        for (name, value) in new_parameters {
            let separator = if incoming.query.is_empty() { "" } else { "&" };
            let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            incoming.query.push_str(&format!("{separator}{name}={}", value.replace('+', "%20")));
        }
        incoming
    }
}

/// Takes a request through all gates at [`NOW`].
pub(crate) fn verify(incoming: &Incoming, service: &str) -> Result<Verified, Refusal> {
    let claim = Claim::parse(incoming)?.check_scope(service, |region| region == REGION, NOW)?;
    let scope = claim.scope();
    let key = SigningKey::derive(SECRET.as_bytes(), &scope.date, &scope.region, &scope.service);
    claim.verify(&key)
}

/// Sets a header, replacing what is there.
pub(crate) fn with(mut incoming: Incoming, name: &'static str, value: &str) -> Incoming {
    incoming.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    incoming
}

/// Adds a header to what is there.
pub(crate) fn adding(mut incoming: Incoming, name: &'static str, value: &str) -> Incoming {
    incoming.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    incoming
}

/// Removes a header.
pub(crate) fn without(mut incoming: Incoming, name: &str) -> Incoming {
    incoming.headers.remove(name);
    incoming
}

/// Rewrites the `Authorization` header.
pub(crate) fn reauthorized(incoming: Incoming, rewrite: impl FnOnce(&str) -> String) -> Incoming {
    let rewritten = rewrite(incoming.header("authorization").unwrap());
    with(incoming, "authorization", &rewritten)
}

pub(crate) const MISSING: &str = "MissingAuthenticationTokenException";
pub(crate) const INCOMPLETE: &str = "IncompleteSignatureException";
pub(crate) const INVALID: &str = "InvalidSignatureException";
pub(crate) const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
                            AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// Asserts that a KMS request is refused, with this code and exactly this text.
#[track_caller]
pub(crate) fn refused(incoming: &Incoming, code: &str, message: &str) {
    let refusal = verify(incoming, "kms").expect_err("must be refused");
    assert_eq!((refusal.code(), refusal.message()), (code, message));
}

/// Asserts that a KMS request is accepted.
#[track_caller]
pub(crate) fn accepted(incoming: &Incoming) {
    let verified = verify(incoming, "kms").expect("must be accepted");
    assert_eq!(verified.access_key_id(), ID);
}
