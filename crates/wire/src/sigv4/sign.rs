//! The signing side: for programs of ours that call the service, such as health checks and load generators.

use std::fmt;

use http::HeaderValue;
use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::request::Parts;

use super::canonical::{Canonical, Hash, SignedHeaders, must_be_signed, parameters};
use super::timestamp::Timestamp;
use super::{ALGORITHM, Scope, SigningKey, TERMINATOR, string_to_sign};

/// Who signs. The key is derived once a day, not once a request.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Whose key it is.
    pub access_key_id: &'a str,
    /// The session token of temporary credentials.
    pub session_token: Option<&'a str>,
    /// What the key was derived for.
    pub scope: &'a Scope,
    /// The key for [`Self::scope`].
    pub key: &'a SigningKey,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsignable {
    /// The signing key is of another day.
    Day,
    /// The request has no `Host` header, or repeats a header that must be signed.
    Headers,
    /// The access key id or the session token cannot stand in a header.
    Credentials,
}

impl fmt::Display for Unsignable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "the signing key was derived for another day",
            Self::Headers => "the request has no `Host` header, or repeats a header that must be signed",
            Self::Credentials => "the access key id or the session token cannot stand in a header",
        })
    }
}

impl std::error::Error for Unsignable {}

/// Signs a request: sets `X-Amz-Date`, `X-Amz-Security-Token` and `Authorization`, replacing those that are there.
///
/// Signed are `Host`, `Content-Type` and every `X-Amz-*` header, which is what a proxy leaves alone. `now` is in
/// seconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// [`Unsignable`]; the request may then have some of the headers, and must not be sent.
pub fn sign(head: &mut Parts, body: &[u8], signer: &Signer<'_>, now: i64) -> Result<(), Unsignable> {
    let signed_at = Timestamp::from_unix_seconds(now);
    let date = signed_at.basic();
    if date.get(..8) != Some(&signer.scope.date) {
        return Err(Unsignable::Day);
    }
    head.headers.remove(AUTHORIZATION);
    head.headers.insert("x-amz-date", header_value(&date)?);
    match signer.session_token {
        None => drop(head.headers.remove("x-amz-security-token")),
        Some(token) => drop(head.headers.insert("x-amz-security-token", sensitive(header_value(token)?))),
    }

    let mut names: Vec<&str> =
        head.headers.keys().map(http::HeaderName::as_str).filter(|n| must_be_signed(n)).collect();
    names.sort_unstable();
    let list = names.join(";");
    // The list is sorted, lower-case and there by construction: only `Host` may lack, or a header stand twice.
    let signed_headers = SignedHeaders::find(&list, &head.headers).map_err(|_| Unsignable::Headers)?;
    let request_hash = Canonical {
        method: &head.method,
        path: head.uri.path(),
        parameters: &parameters(head.uri.query().unwrap_or_default()),
        headers: &signed_headers,
        body_hash: &Hash::of(body),
    }
    .hash();
    let string_to_sign = string_to_sign(signed_at, signer.scope, TERMINATOR, request_hash.as_str());
    let signature = Hash::show(signer.key.sign(&string_to_sign).as_ref());
    let Signer { access_key_id, scope: Scope { date, region, service }, .. } = signer;
    let authorization = format!(
        "{ALGORITHM} Credential={access_key_id}/{date}/{region}/{service}/{TERMINATOR}, SignedHeaders={list}, \
         Signature={}",
        signature.as_str()
    );
    head.headers.insert(AUTHORIZATION, sensitive(header_value(&authorization)?));
    Ok(())
}

fn header_value(text: &str) -> Result<HeaderValue, Unsignable> {
    HeaderValue::from_str(text).map_err(|_: InvalidHeaderValue| Unsignable::Credentials)
}

/// Marks a value that must not be printed or put into a compression table.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// 2015-08-30T12:36:00Z
    const NOW: i64 = 1_440_938_160;

    fn check(
        hosts: &[&str],
        access_key_id: &str,
        session_token: Option<&str>,
        now: i64,
    ) -> Result<(), Unsignable> {
        let request = hosts.iter().fold(Request::get("/"), |request, host| request.header("host", *host));
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let scope =
            Scope { date: "20150830".to_owned(), region: "us-east-1".to_owned(), service: "kms".to_owned() };
        let key = SigningKey::new(&[7; 32]);
        sign(&mut head, b"", &Signer { access_key_id, session_token, scope: &scope, key: &key }, now)
    }

    #[test]
    fn what_the_verifier_would_refuse_is_not_signed() {
        assert_eq!(check(&["a"], "AKID", Some("token"), NOW), Ok(()));
        assert_eq!(check(&["a"], "AKID", None, NOW + 86_400), Err(Unsignable::Day));
        assert_eq!(check(&[], "AKID", None, NOW), Err(Unsignable::Headers));
        assert_eq!(check(&["a", "b"], "AKID", None, NOW), Err(Unsignable::Headers));
        assert_eq!(check(&["a"], "AK\nID", None, NOW), Err(Unsignable::Credentials));
        assert_eq!(check(&["a"], "AKID", Some("to\nken"), NOW), Err(Unsignable::Credentials));
    }
}
