//! AWS Signature Version 4: who says they sign, and whether they do.
//!
//! A request passes three gates, each a type that only the gate before can make:
//!
//! 1. [`Claim::parse`] reads who claims to sign what. It refuses what is ambiguous, and what leaves anything unsigned
//!    that steers the request: `Host`, `Content-Type` and every `X-Amz-*` header, `X-Amz-Target` above all.
//! 2. [`Claim::check_scope`] compares the claim with this server and its clock, and gives [`InScope`].
//! 3. [`InScope::verify`] compares the signature, and gives [`Verified`]: the only source of an identity.
//!
//! The claim holds the hash of the whole request, so what is verified is what was parsed. The body's hash is always
//! computed; `UNSIGNED-PAYLOAD` and the streaming forms are refused. [`sign()`] is the other side.
//!
//! Source: "Create a signed AWS API request" (IAM User Guide). Costs grow as n log n with the size of the request, which
//! the listener bounds.

use std::fmt;

use http::HeaderMap;

use crate::incoming::Incoming;

mod canonical;
mod forwarded;
mod key;
mod presented;
mod refusal;
mod sign;
mod timestamp;

pub use forwarded::MAX_FORWARDED_SECONDS;
pub use key::SigningKey;
pub use refusal::Refusal;
pub use sign::{Signer, Unsignable, sign};

use canonical::{Canonical, Hash, SignedHeaders};
use presented::Presented;
use refusal::quoted;
use timestamp::Timestamp;

/// The one algorithm that is accepted and made.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last element of a credential scope.
const TERMINATOR: &str = "aws4_request";
/// Longest access key id, in bytes (IAM API reference, `AccessKey`).
const MAX_ACCESS_KEY_ID_LEN: usize = 128;
/// How far the signer's clock may be from ours, in seconds, either way; this far is accepted.
pub const MAX_SKEW_SECONDS: i64 = 300;

/// What a signature is good for: one day, Region and service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `YYYYMMDD`, UTC.
    pub date: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// The service's signing name, such as `kms`.
    pub service: String,
}

/// Who says they sign a request. Nothing of it is verified.
pub struct Claim {
    access_key_id: String,
    scope: Scope,
    /// The scope's last element, when it is not [`TERMINATOR`].
    wrong_terminator: Option<String>,
    security_token: Option<String>,
    signed_at: Timestamp,
    /// Seconds for which a presigned request asks to be valid.
    expires_seconds: Option<u32>,
    string_to_sign: String,
    /// `None` when it is not 64 lower-case hexadecimal digits, which no signature is.
    signature: Option<[u8; 32]>,
}

/// A [`Claim`] that is meant for this server and for now. Its signature is not verified.
pub struct InScope(Claim);

/// Proof that a request was signed with the key of an access key id.
pub struct Verified {
    access_key_id: String,
    scope: Scope,
    security_token: Option<String>,
    signed_at: Timestamp,
}

impl Claim {
    /// Reads the claim of a request: the `Authorization` header, or the query of a presigned request.
    ///
    /// # Errors
    /// [`Refusal::MissingToken`] when there is no claim at all, [`Refusal::UnrecognizedClient`] when the access key id
    /// cannot be one, [`Refusal::Incomplete`] or [`Refusal::InvalidSignature`] when the claim does not hold together.
    pub fn parse(incoming: &Incoming) -> Result<Self, Refusal> {
        let headers = &incoming.headers;
        let parameters = canonical::parameters(&incoming.query);
        let presented = Presented::find(headers, &parameters)?;
        let signed_headers = SignedHeaders::find(presented.signed_headers, headers)?;
        let [access_key_id, date, region, service, terminator] = elements(presented.credential)?;

        let body_hash = Hash::of(&incoming.body);
        check_declared_hash(headers, &body_hash)?;
        let request_hash = Canonical {
            method: &incoming.method,
            path: &incoming.path,
            parameters: &parameters,
            headers: &signed_headers,
            body_hash: &body_hash,
        }
        .hash();
        let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            string_to_sign: string_to_sign(presented.signed_at, &scope, terminator, request_hash.as_str()),
            scope,
            wrong_terminator: (terminator != TERMINATOR).then(|| terminator.to_owned()),
            security_token: presented.security_token.map(str::to_owned),
            signed_at: presented.signed_at,
            expires_seconds: presented.expires_seconds,
            signature: canonical::unhex(presented.signature),
        })
    }

    /// Checks that the claim is for this server and that its time is now.
    ///
    /// `service` is the signing name that the request's target belongs to, `region_served` says which Regions are
    /// served, and `now` is in seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`Refusal::InvalidSignature`], with all that is wrong with the scope in one text, as AWS does.
    pub fn check_scope(
        self,
        service: &str,
        region_served: impl Fn(&str) -> bool,
        now: i64,
    ) -> Result<InScope, Refusal> {
        self.check_time(now)?;
        let mut wrong = String::new();
        if !region_served(&self.scope.region) {
            wrong.push_str("Credential should be scoped to a valid region. ");
        }
        if self.scope.service != service {
            wrong.push_str(&format!("Credential should be scoped to correct service: '{service}'. "));
        }
        if let Some(terminator) = &self.wrong_terminator {
            let given = quoted(terminator);
            wrong.push_str(&format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{given}'. "
            ));
        }
        let signed_at = self.signed_at.basic();
        let day = signed_at.get(..8).unwrap_or_default();
        if self.scope.date != day {
            let given = quoted(&self.scope.date);
            wrong.push_str(&format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{given}' \
                 != '{day}', from '{signed_at}'."
            ));
        }
        if wrong.is_empty() { Ok(InScope(self)) } else { Err(Refusal::InvalidSignature(wrong)) }
    }

    /// Who says they sign.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// What the signature is said to be good for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The session token that came along: opaque here, and signed as far as the claim goes.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// When it says it was signed, in seconds since 1970-01-01T00:00:00Z.
    pub fn signed_at(&self) -> i64 {
        self.signed_at.unix_seconds()
    }

    fn check_time(&self, now: i64) -> Result<(), Refusal> {
        let signed_at = self.signed_at.unix_seconds();
        let lifetime = self.expires_seconds.map_or(MAX_SKEW_SECONDS, i64::from);
        let (oldest, newest) = (now.saturating_sub(lifetime), now.saturating_add(MAX_SKEW_SECONDS));
        if (oldest..=newest).contains(&signed_at) {
            return Ok(());
        }
        let [at, now_text, oldest_text, newest_text] =
            [signed_at, now, oldest, newest].map(|seconds| Timestamp::from_unix_seconds(seconds).basic());
        Err(Refusal::InvalidSignature(if signed_at > newest {
            format!("Signature not yet current: {at} is still later than {newest_text} ({now_text} + 5 min.)")
        } else {
            let shown =
                self.expires_seconds.map_or_else(|| "5 min.".to_owned(), |seconds| format!("{seconds} sec."));
            format!("Signature expired: {at} is now earlier than {oldest_text} ({now_text} - {shown})")
        }))
    }
}

impl InScope {
    /// Who says they sign.
    pub fn access_key_id(&self) -> &str {
        self.0.access_key_id()
    }

    /// What the signature is said to be good for: this server's service, a Region it serves, and the day of signing.
    pub fn scope(&self) -> &Scope {
        self.0.scope()
    }

    /// The session token that came along: opaque here, and signed as far as the claim goes.
    pub fn security_token(&self) -> Option<&str> {
        self.0.security_token()
    }

    /// Compares the signature, in a time that does not depend on where it differs.
    ///
    /// `key` must be the signing key of [`Self::access_key_id`] for [`Self::scope`].
    ///
    /// # Errors
    /// [`Refusal::InvalidSignature`], in the same words whatever is wrong.
    pub fn verify(self, key: &SigningKey) -> Result<Verified, Refusal> {
        let claim = self.0;
        match claim.signature {
            Some(signature) if key.verifies(&claim.string_to_sign, &signature) => Ok(Verified {
                access_key_id: claim.access_key_id,
                scope: claim.scope,
                security_token: claim.security_token,
                signed_at: claim.signed_at,
            }),
            _ => Err(Refusal::mismatch()),
        }
    }
}

impl Verified {
    /// Whose key signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// What the signature is good for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The session token, covered by the signature. Whether it belongs to the access key is the service's to check.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// When it was signed, in seconds since 1970-01-01T00:00:00Z.
    pub fn signed_at(&self) -> i64 {
        self.signed_at.unix_seconds()
    }
}

/// The five elements of a credential: access key id, date, Region, service and terminator.
fn elements(credential: &str) -> Result<[&str; 5], Refusal> {
    let mut elements = credential.split('/');
    let five = [(); 5].map(|()| elements.next().filter(|element| !element.is_empty()));
    match (five, elements.next()) {
        ([Some(id), Some(date), Some(region), Some(service), Some(terminator)], None) => {
            // No access key has such an id, and it must not reach a log or a look-up.
            let possible =
                id.len() <= MAX_ACCESS_KEY_ID_LEN && id.bytes().all(|byte| byte.is_ascii_graphic());
            if possible {
                Ok([id, date, region, service, terminator])
            } else {
                Err(Refusal::UnrecognizedClient)
            }
        }
        _ => Err(Refusal::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            quoted(credential)
        ))),
    }
}

/// A hash of the body that the client declares must be the hash of the body. The text is Amazon S3's.
fn check_declared_hash(headers: &HeaderMap, body_hash: &Hash) -> Result<(), Refusal> {
    match headers.get("x-amz-content-sha256") {
        Some(declared) if declared.as_bytes() != body_hash.as_str().as_bytes() => {
            Err(Refusal::InvalidSignature(
                "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned(),
            ))
        }
        _ => Ok(()),
    }
}

/// The text that is signed.
fn string_to_sign(signed_at: Timestamp, scope: &Scope, terminator: &str, request_hash: &str) -> String {
    let Scope { date, region, service } = scope;
    let signed_at = signed_at.basic();
    [ALGORITHM, "\n", &signed_at, "\n", date, "/", region, "/", service, "/", terminator, "\n", request_hash]
        .concat()
}

/// Tells who is claimed, not the token nor the signature.
fn describe(name: &str, access_key_id: &str, scope: &Scope, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name).field("access_key_id", &access_key_id).field("scope", scope).finish_non_exhaustive()
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("Claim", &self.access_key_id, &self.scope, f)
    }
}

impl fmt::Debug for InScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("InScope", self.access_key_id(), self.scope(), f)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("Verified", &self.access_key_id, &self.scope, f)
    }
}
