//! What a request presents as its credentials: the `Authorization` header, or the parameters of a presigned request.
//!
//! One place or the other, never both, each part once. Nothing here is verified.

use std::borrow::Cow;

use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE, HeaderName};

use super::ALGORITHM;
use super::refusal::{Refusal, quoted};
use super::timestamp::Timestamp;

/// Longest time that a presigned request may ask for, in seconds (seven days).
const MAX_EXPIRES_SECONDS: u32 = 604_800;
/// The parameters that make a query a presigned one, in the order in which AWS reports those that lack.
const REQUIRED_PARAMETERS: [&str; 5] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];
/// Parameters that a presigned query may have besides.
const OPTIONAL_PARAMETERS: [&str; 2] = ["X-Amz-Expires", "X-Amz-Security-Token"];
/// The parts of an `Authorization` header, in the order in which AWS reports those that lack.
const REQUIRED_PARTS: [&str; 3] = ["Credential", "Signature", "SignedHeaders"];

/// Where the time of signing stands, as a header.
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
/// Where the session token stands, as a header.
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A query as names and values, decoded the way the query protocol reads it.
pub(super) type Parameters<'a> = [(Cow<'a, str>, Cow<'a, str>)];

/// Credentials as they stand in the request.
pub(super) struct Presented<'a> {
    pub(super) credential: &'a str,
    pub(super) signed_headers: &'a str,
    pub(super) signature: &'a str,
    pub(super) signed_at: Timestamp,
    /// Seconds for which a presigned request asks to be valid.
    pub(super) expires_seconds: Option<u32>,
    pub(super) security_token: Option<&'a str>,
}

impl<'a> Presented<'a> {
    /// Finds the credentials.
    pub(super) fn find(headers: &'a HeaderMap, parameters: &'a Parameters<'a>) -> Result<Self, Refusal> {
        let presigned = REQUIRED_PARAMETERS
            .into_iter()
            .chain(OPTIONAL_PARAMETERS)
            .find(|required| parameters.iter().any(|(name, _)| name == required));
        match (headers.contains_key(&AUTHORIZATION), presigned) {
            (false, None) => Err(Refusal::MissingToken),
            (true, Some(parameter)) => Err(Refusal::two_places(parameter)),
            (true, None) => Self::in_header(headers),
            (false, Some(_)) => Self::in_query(headers, parameters),
        }
    }

    fn in_header(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let authorization = once(headers, &AUTHORIZATION)?.unwrap_or_default();
        let rest = after_algorithm(authorization)?;
        let [credential, signature, signed_headers] = parts(authorization, rest)?;
        let amz_date = once(headers, &X_AMZ_DATE)?;
        let date = if amz_date.is_none() { once(headers, &DATE)? } else { None };

        let mut missing = String::new();
        for (name, part) in REQUIRED_PARTS.into_iter().zip([credential, signature, signed_headers]) {
            if part.is_none() {
                missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
            }
        }
        if amz_date.is_none() && date.is_none() {
            missing.push_str(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
            );
        }
        let (Some(credential), Some(signature), Some(signed_headers), Some(when)) =
            (credential, signature, signed_headers, amz_date.or(date))
        else {
            let hash = hashed(authorization);
            let text = format!("{missing}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}");
            return Err(Refusal::Incomplete(text));
        };
        let signed_at =
            if amz_date.is_some() { Timestamp::parse(when) } else { Timestamp::parse_date_header(when) }
                .ok_or_else(|| Refusal::malformed_date(when))?;
        let security_token = once(headers, &X_AMZ_SECURITY_TOKEN)?;
        Ok(Self { credential, signed_headers, signature, signed_at, expires_seconds: None, security_token })
    }

    fn in_query(headers: &HeaderMap, parameters: &'a Parameters<'a>) -> Result<Self, Refusal> {
        let found = REQUIRED_PARAMETERS.map(|name| parameter(parameters, name));
        let [algorithm, credential, signature, signed_headers, date] = found;
        let found = (algorithm?, credential?, signature?, signed_headers?, date?);
        let (Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(date)) = found
        else {
            return Err(missing_parameters(parameters));
        };
        if algorithm != ALGORITHM {
            return Err(Refusal::algorithm(algorithm));
        }
        // A second date or token, in a header, could be taken for the signed one by whoever reads the request next.
        for header in [X_AMZ_DATE, X_AMZ_SECURITY_TOKEN] {
            if headers.contains_key(&header) {
                return Err(Refusal::repeated(header.as_str()));
            }
        }
        let signed_at = Timestamp::parse(date).ok_or_else(|| Refusal::malformed_date(date))?;
        let expires_seconds = parameter(parameters, "X-Amz-Expires")?.map(expires).transpose()?;
        let security_token = parameter(parameters, "X-Amz-Security-Token")?;
        Ok(Self { credential, signed_headers, signature, signed_at, expires_seconds, security_token })
    }
}

/// The value of a header that may stand once.
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::repeated(name.as_str()));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Refusal::Incomplete(format!("'{name}' must be visible ASCII."))),
    }
}

/// The value of a parameter that may stand once. An empty value counts as none.
fn parameter<'a>(parameters: &'a Parameters<'a>, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = parameters.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_ref());
    let value = values.next();
    match values.next() {
        None => Ok(value.filter(|value| !value.is_empty())),
        Some(_) => Err(Refusal::repeated(name)),
    }
}

fn missing_parameters(parameters: &Parameters<'_>) -> Refusal {
    let mut text = String::new();
    for name in REQUIRED_PARAMETERS {
        if !parameters.iter().any(|(given, value)| given == name && !value.is_empty()) {
            text.push_str(&format!("AWS query-string parameters must include '{name}'. "));
        }
    }
    text.push_str("Re-examine the query-string parameters.");
    Refusal::Incomplete(text)
}

/// Reads `X-Amz-Expires`: 1 to [`MAX_EXPIRES_SECONDS`], digits only. The texts are those of Amazon S3, which checks it.
fn expires(text: &str) -> Result<u32, Refusal> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>());
    match number {
        None => Err(Refusal::Incomplete("X-Amz-Expires should be a number".to_owned())),
        Some(Ok(0)) => Err(Refusal::Incomplete("X-Amz-Expires must be non-negative".to_owned())),
        Some(Ok(seconds)) if seconds <= MAX_EXPIRES_SECONDS => Ok(seconds),
        Some(_) => Err(Refusal::Incomplete(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds"
                .to_owned(),
        )),
    }
}

/// What follows `AWS4-HMAC-SHA256 ` in an `Authorization` header.
fn after_algorithm(authorization: &str) -> Result<&str, Refusal> {
    let (algorithm, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if algorithm == ALGORITHM {
        return Ok(rest);
    }
    // Other schemes (`Bearer`, `Basic`, a bare token) carry secrets that must not come back in a message.
    let aws = algorithm.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("AWS"));
    Err(if aws && !rest.is_empty() { Refusal::algorithm(algorithm) } else { not_a_pair(authorization) })
}

/// Splits `Credential=.., SignedHeaders=.., Signature=..`: in any order, each once, nothing else.
fn parts<'a>(authorization: &str, rest: &'a str) -> Result<[Option<&'a str>; 3], Refusal> {
    let mut found = [None; 3];
    if rest.trim_matches([' ', '\t']).is_empty() {
        return Ok(found);
    }
    for pair in rest.split(',') {
        let (name, value) =
            pair.trim_matches([' ', '\t']).split_once('=').ok_or_else(|| not_a_pair(authorization))?;
        let slot = REQUIRED_PARTS
            .iter()
            .zip(&mut found)
            .find_map(|(part, slot)| (*part == name).then_some(slot))
            .ok_or_else(|| unknown_part(name))?;
        if slot.replace(value).is_some() {
            return Err(Refusal::repeated(name));
        }
    }
    Ok(found.map(|part| part.filter(|value| !value.is_empty())))
}

/// Splits `Name=value, ..`: the parts of these names in any order, each once at most, nothing else.
pub(super) fn distinct_parts<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Option<[Option<&'a str>; N]> {
    let mut found = [None; N];
    for pair in text.split(',') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        let slot = names.iter().zip(&mut found).find_map(|(part, slot)| (*part == name).then_some(slot))?;
        if slot.replace(value).is_some() {
            return None;
        }
    }
    Some(found)
}

/// A parameter that AWS4-HMAC-SHA256 does not have. The text is ours.
fn unknown_part(name: &str) -> Refusal {
    Refusal::Incomplete(format!("Authorization header has an unknown parameter '{}'.", quoted(name)))
}

fn not_a_pair(authorization: &str) -> Refusal {
    Refusal::Incomplete(format!(
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with \
         Base64): '{}'.",
        hashed(authorization)
    ))
}

/// How AWS names a header in a message without disclosing it.
fn hashed(authorization: &str) -> String {
    base64_simd::STANDARD.encode_to_string(digest::digest(&digest::SHA256, authorization.as_bytes()))
}
