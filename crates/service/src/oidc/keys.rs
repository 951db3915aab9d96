//! The keys of an issuer (JSON Web Key Set, RFC 7517).

use claviger_wire::json;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::token::{self, Claims, Unverified};
use crate::error::Result;

/// Most keys of a set.
const MAX_KEYS: usize = 100;
/// Shortest and longest RSA modulus, in bits (NIST SP 800-131A; the longest that the library verifies with).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The algorithms that are accepted, and no other: neither `none` nor one with a shared secret (RFC 8725, 3.1). AWS takes
/// ES512, too, which the library does not have.
pub(crate) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::ES256, Algorithm::ES384];
const RSA: &[Algorithm] = &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];

/// The keys of an issuer that signatures can be verified with.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: String,
    /// What it may be used with.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// Reads a document. Keys that cannot verify a signature here, by their kind, their use or their size, are left out.
    ///
    /// # Errors
    /// What is wrong, for the log: no JSON, members that stand twice, too many keys.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        json::parse(document).map_err(|error| error.cause)?;
        let document: Document<'_> = serde_json::from_slice(document).map_err(|error| error.to_string())?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("the set has {} keys, more than {MAX_KEYS}", document.keys.len()));
        }
        let read =
            |text: &&RawValue| serde_json::from_str::<Jwk>(text.get()).ok().and_then(|jwk| Key::of(&jwk));
        Ok(Self(document.keys.iter().filter_map(read).collect()))
    }

    /// Verifies the signature of a token. Answers what was signed.
    ///
    /// # Errors
    /// `InvalidIdentityToken`.
    pub(crate) fn verify(&self, token: &Unverified<'_>) -> Result<Claims> {
        let key = self.find(&token.key_id, token.algorithm);
        token.verify(key.ok_or_else(|| token::invalid("The key of the token is not one of its issuer"))?)
    }

    /// The key of an id, for an algorithm. An id that names two such keys names none.
    pub(crate) fn find(&self, id: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut named = self.0.iter().filter(|key| key.id == id && key.algorithms.contains(&algorithm));
        match (named.next(), named.next()) {
            (Some(key), None) => Some(&key.key),
            _ => None,
        }
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => RSA_BITS.contains(&bits(&rsa.n)?).then(|| RSA.to_vec())?,
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            _ => return None,
        };
        if let Some(only) = &common.key_algorithm {
            let only: Algorithm = only.to_string().parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        let id = common.key_id.clone()?;
        Some(Self { id, algorithms, key: DecodingKey::from_jwk(jwk).ok()? })
    }
}

/// Length of a number in base64url, in bits.
fn bits(number: &str) -> Option<usize> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(number.as_bytes()).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let first = bytes.get(zeros)?;
    Some((bytes.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsa(id: &str, bits: usize, more: &str) -> String {
        let n = base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0x80; bits / 8]);
        format!(r#"{{"kty":"RSA","kid":"{id}","n":"{n}","e":"AQAB"{more}}}"#)
    }

    fn check(keys: &[String], algorithm: Algorithm, found: bool) {
        let document = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let set = KeySet::parse(document.as_bytes()).unwrap();
        assert_eq!(set.find("k", algorithm).is_some(), found, "{document}");
    }

    #[test]
    fn only_keys_that_verify_signatures_are_found() {
        check(&[rsa("k", 2048, "")], Algorithm::RS256, true);
        check(&[rsa("k", 2048, "")], Algorithm::RS512, true);
        check(&[rsa("k", 2048, "")], Algorithm::ES256, false);
        check(&[rsa("k", 2048, "")], Algorithm::HS256, false);
        check(&[rsa("k", 2048, r#","use":"sig","alg":"RS256""#)], Algorithm::RS256, true);
        check(&[rsa("k", 2048, r#","alg":"RS256""#)], Algorithm::RS384, false);
        check(&[rsa("k", 2048, r#","use":"enc""#)], Algorithm::RS256, false);
        check(&[rsa("k", 2048, r#","alg":"HS256""#)], Algorithm::HS256, false);
        check(&[rsa("j", 2048, "")], Algorithm::RS256, false);
        check(&[rsa("k", 2048, ""), rsa("k", 4096, "")], Algorithm::RS256, false);
        let unknown = r#"{"kty":"new","kid":"k"}"#.to_owned();
        check(&[unknown, rsa("k", 2048, "")], Algorithm::RS256, true);
        let shared = r#"{"kty":"oct","kid":"k","k":"AAAA"}"#.to_owned();
        check(&[shared], Algorithm::HS256, false);
    }

    #[test]
    fn short_rsa_keys_are_left_out() {
        for (bits, found) in
            [(512, false), (1024, false), (2040, false), (2048, true), (8192, true), (8200, false)]
        {
            check(&[rsa("k", bits, "")], Algorithm::RS256, found);
        }
    }

    #[test]
    fn documents_within_limits_are_read() {
        let many = vec![rsa("k", 2048, ""); MAX_KEYS + 1].join(",");
        for refused in [
            "",
            "[]",
            "{}",
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#,
            &format!(r#"{{"keys":[{many}]}}"#),
            &format!("{}{}", r#"{"keys":"#, "[".repeat(1000)),
        ] {
            assert!(KeySet::parse(refused.as_bytes()).is_err(), "{refused}");
        }
    }
}
