//! What a signature is good for: service, Region, day and time.

use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::{Claim, MAX_SKEW_SECONDS};

use super::request::*;

/// The refusal of [`signed`] at another time, if any.
fn at(incoming: &Incoming, now: i64) -> Option<String> {
    let claim = Claim::parse(incoming).unwrap();
    claim.check_scope("kms", |region| region == REGION, now).err().map(|refusal| refusal.to_string())
}

fn scoped(from: &str, to: &str) -> Incoming {
    reauthorized(signed(), |all| all.replacen(from, to, 1))
}

const REGION_TEXT: &str = "Credential should be scoped to a valid region. ";
const SERVICE_TEXT: &str = "Credential should be scoped to correct service: 'kms'. ";

#[test]
fn a08_scope_must_be_ours() {
    for service in ["s3", "sts", "iam", "kms-xks-proxy", "KMS"] {
        refused(&scoped("/kms/", &format!("/{service}/")), INVALID, SERVICE_TEXT);
    }
    for region in ["us-east-2", "US-EAST-1", "us-east-1a"] {
        refused(&scoped("/us-east-1/", &format!("/{region}/")), INVALID, REGION_TEXT);
    }
    for terminator in ["aws4_requesT", "aws5_request", "aws4"] {
        let text = format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'. "
        );
        refused(&scoped("aws4_request", terminator), INVALID, &text);
    }
    for date in ["20150829", "20150831", "2015083", "201508300", "x"] {
        let text = format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != \
             '20150830', from '20150830T123600Z'."
        );
        refused(&scoped("20150830", date), INVALID, &text);
    }
}

#[test]
fn a08_all_that_is_wrong_with_the_scope_is_one_message() {
    refused(
        &scoped("20150830/us-east-1/kms/aws4_request", "b/c/d/e"),
        INVALID,
        "Credential should be scoped to a valid region. Credential should be scoped to correct service: 'kms'. \
         Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential scope does \
         not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20150830', from '20150830T123600Z'.",
    );
}

#[test]
fn a08_a_credential_has_five_elements() {
    for credential in
        ["AKIDEXAMPLE", "a/b/c/d", "a/b/c/d/e/f", "/b/c/d/e", "a//c/d/e", "a/b/c/d/", "a/b/c/d/e/"]
    {
        let text = format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
             '{credential}'"
        );
        refused(&scoped("AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request", credential), INCOMPLETE, &text);
    }
}

#[test]
fn a10_five_minutes_either_way() {
    let signed = signed();
    for skew in [-MAX_SKEW_SECONDS, -299, 0, 299, MAX_SKEW_SECONDS] {
        assert_eq!(at(&signed, NOW + skew), None, "{skew}");
    }
    assert_eq!(
        at(&signed, NOW + 301).as_deref(),
        Some(
            "InvalidSignatureException: Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
             (20150830T124101Z - 5 min.)"
        )
    );
    assert_eq!(
        at(&signed, NOW - 301).as_deref(),
        Some(
            "InvalidSignatureException: Signature not yet current: 20150830T123600Z is still later than \
             20150830T123559Z (20150830T123059Z + 5 min.)"
        )
    );
}

#[test]
fn a10_far_years() {
    for (date, start) in [
        ("00000101T000000Z", "Signature expired: 00000101T000000Z is now earlier than 20150830T123100Z"),
        (
            "99991231T235959Z",
            "Signature not yet current: 99991231T235959Z is still later than 20150830T124100Z",
        ),
    ] {
        let refusal = verify(&with(signed(), "x-amz-date", date), "kms").unwrap_err();
        assert_eq!(refusal.code(), INVALID);
        assert!(refusal.message().starts_with(start), "{refusal}");
    }
    for now in [i64::MIN, i64::MAX] {
        assert!(at(&signed(), now).is_some());
    }
}

#[test]
fn a10_malformed_times() {
    for date in [
        "20150830T123660Z",
        "20150830T123600+0000",
        "20150830T123600",
        "2015-08-30T12:36:00Z",
        "1440938160",
        "",
    ] {
        let text = format!(
            "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        );
        refused(&with(signed(), "x-amz-date", date), INCOMPLETE, &text);
    }
    // Only a Date header may have the form of RFC 9110.
    refused(
        &with(signed(), "x-amz-date", "Sun, 30 Aug 2015 12:36:00 GMT"),
        INCOMPLETE,
        "Date must be in ISO-8601 'basic format'. Got 'Sun, 30 Aug 2015 12:36:00 GMT'. See \
         http://en.wikipedia.org/wiki/ISO_8601",
    );
}

#[test]
fn a10_x_amz_date_decides_when_there_is_a_date_as_well() {
    // The signed one decides: a Date that a proxy set neither saves an old signature nor spoils a fresh one.
    accepted(&with(signed(), "date", "Tue, 15 Nov 1994 08:12:31 GMT"));
    let old = with(signed(), "date", "Sun, 30 Aug 2015 12:46:00 GMT");
    assert!(at(&old, NOW + 600).unwrap().contains("Signature expired"));
}

#[test]
fn a10_a_date_header_serves_when_there_is_no_other() {
    // Signatures made with Python's hmac and hashlib. A Date that is not listed is signed as part of what is signed.
    for (list, date, signature) in [
        (
            "date;host",
            "Sun, 30 Aug 2015 12:36:00 GMT",
            "b25370cd745dcb564cdfe73d0c55ea413cd971411616950912ff693cf6b995f2",
        ),
        ("date;host", "20150830T123600Z", "56aff1822f7c31cad75512c2d00f5d08c99323d0e250d8b88d917e14542a05d8"),
        (
            "host",
            "Sun, 30 Aug 2015 12:36:00 GMT",
            "cebd6b7fdb51b35689238f1038fbe23846fbea21e5d3d74b03f4b48ccb285d07",
        ),
        ("host", "20150830T123600Z", "cebd6b7fdb51b35689238f1038fbe23846fbea21e5d3d74b03f4b48ccb285d07"),
    ] {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ID}/{DATE}/{REGION}/kms/aws4_request, SignedHeaders={list}, \
             Signature={signature}"
        );
        let headers = [("host", "example.amazonaws.com"), ("date", date), ("authorization", &authorization)];
        let incoming = request("GET", "/", "", &headers, b"");
        accepted(&incoming);
        for moved in ["Sun, 30 Aug 2015 12:36:01 GMT", "20150830T123601Z"] {
            refused(&with(incoming.clone(), "date", moved), INVALID, MISMATCH);
        }
    }
    refused(
        &with(without(signed(), "x-amz-date"), "date", "yesterday"),
        INCOMPLETE,
        "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601",
    );
}

fn presigned(seconds: u64) -> Incoming {
    Oracle { expires_seconds: Some(seconds), ..KMS }.sign(list_keys())
}

#[test]
fn a_presigned_request_lives_as_long_as_it_asks() {
    for seconds in [1, 60, 3600, 604_800] {
        let incoming = presigned(seconds);
        let lifetime = i64::try_from(seconds).unwrap();
        assert_eq!(at(&incoming, NOW + lifetime), None);
        assert_eq!(at(&incoming, NOW - MAX_SKEW_SECONDS), None);
        assert!(at(&incoming, NOW - MAX_SKEW_SECONDS - 1).unwrap().contains("Signature not yet current"));
        assert!(at(&incoming, NOW + lifetime + 1).unwrap().contains("Signature expired"));
    }
    assert_eq!(
        at(&presigned(60), NOW + 61).as_deref(),
        Some(
            "InvalidSignatureException: Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
             (20150830T123701Z - 60 sec.)"
        )
    );
}

#[test]
fn a_presigned_request_may_ask_for_a_week_at_most() {
    let asking = |value: &str| {
        let mut incoming = presigned(3600);
        incoming.query = incoming.query.replace("X-Amz-Expires=3600", &format!("X-Amz-Expires={value}"));
        incoming
    };
    let week = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
                604800 seconds";
    for (value, text) in [
        ("604801", week),
        ("99999999999999999999", week),
        ("0", "X-Amz-Expires must be non-negative"),
        ("-1", "X-Amz-Expires should be a number"),
        ("%2B60", "X-Amz-Expires should be a number"),
        ("60s", "X-Amz-Expires should be a number"),
    ] {
        refused(&asking(value), INCOMPLETE, text);
    }
    refused(&asking("604800"), INVALID, MISMATCH);
}
