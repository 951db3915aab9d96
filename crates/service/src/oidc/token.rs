//! Tokens of issuers (JSON Web Token, RFC 7519; JWS Compact Serialization, RFC 7515): read, then verified.
//!
//! What stands in a token is looked at twice. First without belief, to learn who is said to have signed it and whether
//! it is worth a look at the issuer's keys; then what was signed, once the signature is verified.

use claviger_wire::fault::Code;
use claviger_wire::json::{self, Value};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Number;

use super::keys::ALGORITHMS;
use crate::error::{Error, Result};
use crate::moment::Moment;

/// How far an issuer's clock may be ahead, in seconds.
const SKEW_SECONDS: i64 = 60;
/// How old a token may be, in seconds.
const MAX_AGE_SECONDS: i64 = 24 * 60 * 60;
/// Longest subject, in characters (`webIdentitySubjectType`).
const MAX_SUBJECT: usize = 255;

/// What a token says, as far as anything here asks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: Option<String>,
    pub(crate) aud: Option<OneOrMore>,
    pub(crate) azp: Option<String>,
    pub(crate) amr: Option<OneOrMore>,
    pub(crate) email: Option<String>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    /// Tags of the session ("Pass session tags in AWS STS").
    #[serde(rename = "https://aws.amazon.com/tags")]
    pub(crate) tags: Option<TagClaim>,
    /// Who stands behind the session.
    #[serde(rename = "https://aws.amazon.com/source_identity")]
    pub(crate) source_identity: Option<String>,
}

/// Tags in a token.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TagClaim {
    #[serde(default)]
    pub(crate) principal_tags: std::collections::BTreeMap<String, OneOrMore>,
    #[serde(default)]
    pub(crate) transitive_tag_keys: Vec<String>,
}

/// A text, or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    /// All of them.
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

/// A token that nobody has verified.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    text: &'t str,
    /// Id of the key that is said to have signed it.
    pub(crate) key_id: String,
    pub(crate) algorithm: Algorithm,
    claims: Claims,
}

pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::new(Code::InvalidIdentityToken, text)
}

fn not_a_token(cause: &str) -> Error {
    invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
        .because(cause.to_owned())
}

fn missing(claim: &str) -> Error {
    invalid(format!("Missing a required claim: {claim}"))
}

impl<'t> Unverified<'t> {
    /// Reads a token.
    ///
    /// # Errors
    /// `InvalidIdentityToken` for what is no token, is signed otherwise than with one of [`ALGORITHMS`], names no key,
    /// has a member that stands twice, or asks for an extension.
    pub(crate) fn read(text: &'t str) -> Result<Self> {
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [head, payload, _] = parts.as_slice() else { return Err(not_a_token("it has not three parts")) };
        let head = decoded(head)?;
        let Ok(Value::Object(members)) = json::parse(&head) else {
            return Err(not_a_token("its header is no JSON, or a member stands twice"));
        };
        let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        if member("crit").is_some() {
            return Err(not_a_token("it asks for an extension"));
        }
        let Some(Value::String(algorithm)) = member("alg") else { return Err(not_a_token("it has no alg")) };
        let accepted = algorithm.parse().ok().filter(|named| ALGORITHMS.contains(named));
        let algorithm = accepted.ok_or_else(|| not_a_token("its alg is not accepted"))?;
        let Some(Value::String(key_id)) = member("kid") else { return Err(not_a_token("it names no key")) };
        let payload = decoded(payload)?;
        json::parse(&payload).map_err(|error| not_a_token(&error.cause))?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|error| not_a_token(&error.to_string()))?;
        Ok(Self { text, key_id: key_id.to_string(), algorithm, claims })
    }

    /// Who is said to have issued it.
    pub(crate) fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Checks what can be checked without the issuer's keys, so that a token that is not for us costs no fetch: for whom
    /// it is, and when.
    ///
    /// # Errors
    /// `InvalidIdentityToken`, `ExpiredTokenException`.
    pub(crate) fn check(&self, client_ids: &[String], now: Moment) -> Result<()> {
        let claims = &self.claims;
        if accepted_audiences(claims, client_ids)?.is_empty() {
            return Err(invalid("Incorrect token audience"));
        }
        match &claims.sub {
            None => return Err(missing("sub")),
            Some(subject) if subject.is_empty() || subject.chars().count() > MAX_SUBJECT => {
                return Err(invalid("The sub claim of the token is empty or too long"));
            }
            Some(_) => {}
        }
        check_times(claims, now.seconds())
    }

    /// Verifies the signature. Answers what was signed.
    ///
    /// # Errors
    /// `InvalidIdentityToken`.
    pub(crate) fn verify(&self, key: &DecodingKey) -> Result<Claims> {
        let mut validation = Validation::new(self.algorithm);
        // Times and names are checked above, by the clock of the request.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let verified = jsonwebtoken::decode::<Claims>(self.text, key, &validation);
        let verified = verified
            .map_err(|error| invalid("The signature of the token is not valid").because(error.to_string()))?;
        if verified.claims == self.claims {
            Ok(verified.claims)
        } else {
            Err(Error::internal("a token was read in two ways"))
        }
    }
}

fn decoded(part: &str) -> Result<Vec<u8>> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part.as_bytes());
    bytes.map_err(|_| not_a_token("a part is no base64url"))
}

/// The audiences of a token that the provider is registered for. Where the token says to which party it was issued
/// (`azp`), that is its audience, as for AWS.
///
/// # Errors
/// `InvalidIdentityToken` where it has none.
pub(crate) fn accepted_audiences(claims: &Claims, client_ids: &[String]) -> Result<Vec<String>> {
    let audiences = match (&claims.azp, &claims.aud) {
        (Some(azp), Some(_)) => std::slice::from_ref(azp),
        (_, Some(aud)) => aud.all(),
        (_, None) => return Err(missing("aud")),
    };
    Ok(audiences.iter().filter(|audience| client_ids.contains(audience)).cloned().collect())
}

fn check_times(claims: &Claims, now: i64) -> Result<()> {
    let required = |claim: &Option<Number>, name: &str| {
        claim.as_ref().ok_or_else(|| missing(name)).and_then(|number| seconds(number, name))
    };
    let expires = required(&claims.exp, "exp")?;
    if expires <= now {
        let text = format!(
            "Token expired: current date/time {now} must be before the expiration date/time {expires}"
        );
        return Err(Error::new(Code::ExpiredIdentityToken, text));
    }
    let issued = required(&claims.iat, "iat")?;
    if issued > now.saturating_add(SKEW_SECONDS) {
        return Err(invalid(format!(
            "Token issued-at date/time {issued} is after the current date/time {now}"
        )));
    }
    if issued < now.saturating_sub(MAX_AGE_SECONDS) {
        return Err(invalid("Token issued-at date/time must be within the last 24 hours"));
    }
    let begins = claims.nbf.as_ref().map(|number| seconds(number, "nbf")).transpose()?;
    match begins {
        Some(begins) if begins > now.saturating_add(SKEW_SECONDS) => Err(invalid(format!(
            "Token is not yet valid: current date/time {now} must not be before the date/time {begins}"
        ))),
        _ => Ok(()),
    }
}

/// A `NumericDate` in whole seconds.
fn seconds(number: &Number, claim: &str) -> Result<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from a double saturates")]
    let floored = |number: f64| number.floor() as i64;
    let seconds = number.as_i64().or_else(|| number.as_f64().map(floored));
    seconds.ok_or_else(|| invalid(format!("The {claim} claim of the token is not a date")))
}
