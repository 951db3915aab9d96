//! Forward access: a signature that a user made for a service, passed on by that service as proof that the user asked.
//!
//! The service holds what it verified itself: whose signature, for which scope, when, over which canonical request. The
//! hash of that request is enough to verify the signature anew, so nothing else of it has to be passed on. From here on
//! it is a [`Claim`] like any other, with a scope that must be the service's own.

use super::presented::distinct_parts;
use super::refusal::{Refusal, quoted};
use super::timestamp::Timestamp;
use super::{Claim, Scope, TERMINATOR, canonical, elements, string_to_sign};

/// How long after its signature a request can be passed on, in seconds: for as long as Amazon S3 would take it.
pub const MAX_FORWARDED_SECONDS: u32 = 900;
/// The parts, in the order in which those that lack are reported.
const PARTS: [&str; 4] = ["Credential", "SignedAt", "RequestHash", "Signature"];

impl Claim {
    /// Reads what a service passes on:
    /// `Credential=KEYID/20261128/us-east-1/s3/aws4_request, SignedAt=20261128T120000Z, RequestHash=.., Signature=..`,
    /// the last two as 64 lower-case hexadecimal digits; and the user's session token, if it has one.
    ///
    /// # Errors
    /// [`Refusal::Incomplete`], [`Refusal::InvalidSignature`] or [`Refusal::UnrecognizedClient`].
    pub fn forwarded(text: &str, security_token: Option<&str>) -> Result<Self, Refusal> {
        let found = distinct_parts(text, PARTS).ok_or_else(malformed)?;
        let [Some(credential), Some(signed_at), Some(request_hash), Some(signature)] = found else {
            return Err(malformed());
        };
        let [access_key_id, date, region, service, terminator] = elements(credential)?;
        let signed_at = Timestamp::parse(signed_at).ok_or_else(|| Refusal::malformed_date(signed_at))?;
        canonical::unhex(request_hash).ok_or_else(malformed)?;
        let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            string_to_sign: string_to_sign(signed_at, &scope, terminator, request_hash),
            scope,
            wrong_terminator: (terminator != TERMINATOR).then(|| quoted(terminator).to_string()),
            security_token: security_token.map(str::to_owned),
            signed_at,
            expires_seconds: Some(MAX_FORWARDED_SECONDS),
            signature: canonical::unhex(signature),
        })
    }
}

fn malformed() -> Refusal {
    let parts = PARTS.join(", ");
    Refusal::Incomplete(format!("Forward access must consist of {parts}, each once."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::SigningKey;

    /// 2015-08-30T12:36:00Z
    const NOW: i64 = 1_440_938_160;
    const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// AWS's worked example ("Signature Version 4 examples"): its canonical request's hash and its signature, for `iam`.
    const EXAMPLE: &str = "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedAt=20150830T123600Z, \
                           RequestHash=f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59, \
                           Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

    fn check(text: &str, service: &str, now: i64) -> Result<(), Refusal> {
        let claim =
            Claim::forwarded(text, None)?.check_scope(service, |region| region == "us-east-1", now)?;
        let key = SigningKey::derive(SECRET, &claim.scope().date, &claim.scope().region, service);
        claim.verify(&key).map(drop)
    }

    #[test]
    fn a_signature_that_is_passed_on_verifies() {
        assert!(include_str!("../../../../docs/services.md").contains(EXAMPLE), "the documented vector");
        assert_eq!(check(EXAMPLE, "iam", NOW), Ok(()));
        assert_eq!(check(EXAMPLE, "iam", NOW + 900), Ok(()));
        assert_eq!(check(EXAMPLE, "iam", NOW - 300), Ok(()));
    }

    #[test]
    fn what_is_stale_altered_or_for_another_service_does_not() {
        for now in [NOW + 901, NOW - 301] {
            assert!(matches!(check(EXAMPLE, "iam", now), Err(Refusal::InvalidSignature(_))), "{now}");
        }
        assert!(matches!(check(EXAMPLE, "s3", NOW), Err(Refusal::InvalidSignature(_))));
        for (from, to) in [
            ("AKIDEXAMPLE/20150830", "AKIDEXAMPLE/20150831"),
            ("us-east-1", "us-east-2"),
            ("/aws4_request", "/aws5_request"),
            ("T123600Z", "T123601Z"),
            ("RequestHash=f5", "RequestHash=f6"),
            ("Signature=5d", "Signature=5e"),
            ("Signature=5d", "Signature=5D"),
        ] {
            let altered = EXAMPLE.replacen(from, to, 1);
            assert_ne!(altered, EXAMPLE);
            assert!(matches!(check(&altered, "iam", NOW), Err(Refusal::InvalidSignature(_))), "{altered}");
        }
    }

    #[test]
    fn what_does_not_hold_together_is_refused() {
        for text in [
            "",
            "Credential",
            &EXAMPLE.replace("SignedAt=", "Signed="),
            &EXAMPLE.replace("RequestHash=f5", "RequestHash=F5"),
            &EXAMPLE.replace("RequestHash=f5", "RequestHash="),
            &EXAMPLE.replace("/iam/", "/"),
            &format!("{EXAMPLE}, Signature=00"),
            &format!("{EXAMPLE}, More=1"),
            &EXAMPLE.replace(", SignedAt=20150830T123600Z", ""),
        ] {
            assert!(matches!(check(text, "iam", NOW), Err(Refusal::Incomplete(_))), "{text}");
        }
        let date = EXAMPLE.replace("20150830T123600Z", "2015-08-30T12:36:00Z");
        assert!(check(&date, "iam", NOW).is_err());
    }
}
