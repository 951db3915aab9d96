//! What browsers are told about pages of other origins (CORS, Fetch Standard), as AWS KMS tells them: every page may call
//! and read the answer. It needs keys to sign with, and a browser adds none of its own.
//!
//! Never told are `Access-Control-Allow-Credentials` and `Access-Control-Allow-Private-Network`: no cookie or certificate of
//! the browser's is meant, and browsers that ask for the latter let no page of the Internet into a private network.

use bytes::Bytes;
use claviger_wire::incoming::Incoming;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN,
};
use http::{Method, Response, StatusCode};
use http_body_util::Full;

const ANY: HeaderValue = HeaderValue::from_static("*");
/// What of an answer a page may read besides its body.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date");
/// How long a browser may remember a permission, in seconds: two days.
const MAX_AGE: HeaderValue = HeaderValue::from_static("172800");

/// Adds what browsers look for to the answer to a preflight and to a `POST` that comes from a page.
pub fn allow(incoming: &Incoming, response: &mut Response<Full<Bytes>>) {
    let is_preflight = incoming.method == Method::OPTIONS && response.status() == StatusCode::OK;
    let is_call = incoming.method == Method::POST;
    if !incoming.headers.contains_key(ORIGIN) || !(is_preflight || is_call) {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if is_preflight {
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // AWS repeats what was asked for.
        for (asked, allowed) in [
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        ] {
            if let Some(value) = incoming.headers.get(asked) {
                headers.insert(allowed, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use claviger_wire::incoming::Origin;
    use http::HeaderMap;
    use http::header::HeaderName;

    use super::*;

    fn check(method: &str, asked: &[(&'static str, &str)], status: u16, expected: &[(&str, &str)]) {
        let named = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let peer = Ipv4Addr::LOCALHOST.into();
        let incoming = Incoming {
            method: method.parse().unwrap(),
            path: "/".to_owned(),
            query: String::new(),
            headers: asked.iter().map(named).collect(),
            body: Bytes::new(),
            origin: Arc::new(Origin { peer, tls: None, endpoint: None }),
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        allow(&incoming, &mut response);
        let text = |headers: &HeaderMap| {
            let pair =
                |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
            let mut lines: Vec<String> = headers.iter().map(pair).collect();
            lines.sort();
            lines
        };
        let expected: Vec<String> = expected.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(text(response.headers()), expected, "{method} {asked:?} {status}");
    }

    /// As recorded of kms.us-east-1.amazonaws.com.
    #[test]
    fn browsers_are_told_what_aws_tells_them() {
        let read = [
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"),
        ];
        let max_age = ("access-control-max-age", "172800");
        let page = ("origin", "https://page.example");
        let (method, headers) = (
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "Content-Type,X-Amz-Target,Authorization"),
        );
        let asked_for = [
            ("access-control-allow-headers", "Content-Type,X-Amz-Target,Authorization"),
            ("access-control-allow-methods", "POST"),
        ];
        let whole = [&asked_for[..], &read, &[max_age]].concat();
        check("OPTIONS", &[page, method, headers], 200, &whole);
        check("OPTIONS", &[page], 200, &[&read[..], &[max_age]].concat());
        check("OPTIONS", &[page, method, headers], 404, &[]);
        check("OPTIONS", &[method, headers], 403, &[]);
        for status in [200, 400, 403, 500] {
            check("POST", &[page, method, headers], status, &read);
            check("POST", &[method, headers], status, &[]);
            check("GET", &[page, method, headers], status, &[]);
        }
        check("POST", &[page, ("access-control-request-private-network", "true")], 200, &read);
        check("OPTIONS", &[("origin", "null"), ("cookie", "a=b")], 200, &[&read[..], &[max_age]].concat());
    }
}
