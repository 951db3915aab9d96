//! Attacks on authentication, each named after its row in the threat list, each with the exact answer.

use claviger_wire::sigv4::Claim;

use super::request::*;

fn presigned() -> claviger_wire::incoming::Incoming {
    Oracle { expires_seconds: Some(3600), ..KMS }.sign(list_keys())
}

#[test]
fn the_requests_of_these_tests_are_good() {
    accepted(&signed());
    accepted(&presigned());
    accepted(&KMS.sign(list_keys()));
    accepted(&sign_at(list_keys(), Some("token"), NOW));
}

#[test]
fn a01_no_authorization() {
    refused(&list_keys(), MISSING, "Missing Authentication Token");
    refused(&without(signed(), "authorization"), MISSING, "Missing Authentication Token");
}

#[test]
fn a02_a_credential_in_the_query_is_no_identity() {
    let mut incoming = list_keys();
    incoming.query = "X-Amz-Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request".to_owned();
    refused(
        &incoming,
        INCOMPLETE,
        "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include \
         'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string \
         parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.",
    );
    let mut forged = presigned();
    let presigned_query = forged.query.clone();
    let (start, _) = presigned_query.split_once("X-Amz-Signature=").unwrap();
    forged.query = format!("{start}X-Amz-Signature={}", "0".repeat(64));
    refused(&forged, INVALID, MISMATCH);
    forged.query = format!("{start}X-Amz-Signature=");
    refused(
        &forged,
        INCOMPLETE,
        "AWS query-string parameters must include 'X-Amz-Signature'. Re-examine the query-string parameters.",
    );
}

#[test]
fn a03_one_place_for_credentials() {
    let mut both = signed();
    both.query = presigned().query;
    let text = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.";
    refused(&both, INVALID, text);
    for parameter in
        ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Expires"]
    {
        both.query = format!("{parameter}=x");
        let text =
            format!("Found both '{parameter}' as a query-string param and 'Authorization' as HTTP header.");
        refused(&both, INVALID, &text);
    }
    both.query = "X%2DAmz%2DSignature=x".to_owned();
    refused(
        &both,
        INVALID,
        "Found both 'X-Amz-Signature' as a query-string param and 'Authorization' as HTTP header.",
    );
}

#[test]
fn a03_one_authorization_header() {
    let good = signed().header("authorization").unwrap().to_owned();
    let forged = good.replace("AKIDEXAMPLE", "AKIDOTHER");
    for (first, second) in [(&good, &forged), (&forged, &good), (&good, &good)] {
        let incoming = adding(with(signed(), "authorization", first), "authorization", second);
        refused(&incoming, INVALID, "'authorization' must not appear more than once in the request.");
    }
}

#[test]
fn a04_target_header_must_be_signed() {
    // Signed without a target, as for a harmless request; the target is put in afterwards.
    let unsigned = with(
        sign_at(without(list_keys(), "x-amz-target"), None, NOW),
        "x-amz-target",
        "TrentService.ScheduleKeyDeletion",
    );
    refused(&unsigned, INVALID, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.");
    // Signed with one target, sent with another.
    let swapped = with(signed(), "x-amz-target", "TrentService.ScheduleKeyDeletion");
    refused(&swapped, INVALID, MISMATCH);
    // Taken off the list of what is signed.
    let unlisted = reauthorized(signed(), |all| all.replace(";x-amz-target", ""));
    refused(&unlisted, INVALID, "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.");
}

#[test]
fn a04_all_that_steers_must_be_signed() {
    refused(
        &reauthorized(signed(), |all| all.replace("host;", "")),
        INVALID,
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
    for header in ["content-type", "x-amz-date"] {
        let unlisted = reauthorized(signed(), |all| all.replace(&format!("{header};"), ""));
        let text = format!("'{header}' must be a 'SignedHeader' in the AWS Authorization.");
        refused(&unlisted, INVALID, &text);
    }
    refused(
        &adding(signed(), "x-amz-anything", "1"),
        INVALID,
        "'x-amz-anything' must be a 'SignedHeader' in the AWS Authorization.",
    );
    let mut incoming = presigned();
    incoming.headers.insert("x-amz-meta-owner", "admin".parse().unwrap());
    refused(&incoming, INVALID, "'x-amz-meta-owner' must be a 'SignedHeader' in the AWS Authorization.");
    // What steers nothing may come unsigned.
    accepted(&adding(adding(signed(), "x-amzn-trace-id", "Root=1"), "accept-encoding", "identity"));
}

#[test]
fn a04_the_list_of_signed_headers_is_exact() {
    let text =
        "'SignedHeaders' must be lower-case header names in ascending order, each once, separated by ';'.";
    let list = "content-type;host;x-amz-date;x-amz-target";
    for other in [
        "host;content-type;x-amz-date;x-amz-target",
        "content-type;host;host;x-amz-date;x-amz-target",
        "Content-Type;Host;X-Amz-Date;X-Amz-Target",
        "content-type;host;x-amz-date;x-amz-target;",
        ";content-type;host;x-amz-date;x-amz-target",
        ";",
    ] {
        refused(&reauthorized(signed(), |all| all.replace(list, other)), INCOMPLETE, text);
    }
    let absent =
        reauthorized(signed(), |all| all.replace(list, "absent;content-type;host;x-amz-date;x-amz-target"));
    refused(&absent, INVALID, MISMATCH);
}

#[test]
fn a05_the_session_token_must_be_signed() {
    let unsigned = "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization.";
    refused(&adding(signed(), "x-amz-security-token", "stolen"), INVALID, unsigned);
    let session = sign_at(list_keys(), Some("mine"), NOW);
    refused(&with(session.clone(), "x-amz-security-token", "stolen"), INVALID, MISMATCH);
    refused(
        &reauthorized(session.clone(), |all| all.replace(";x-amz-security-token", "")),
        INVALID,
        unsigned,
    );
    refused(&without(session, "x-amz-security-token"), INVALID, MISMATCH);

    let session = Oracle { token: Some("mine"), expires_seconds: Some(60), ..KMS }.sign(list_keys());
    accepted(&session);
    let mut swapped = session.clone();
    swapped.query = session.query.replace("mine", "stolen");
    refused(&swapped, INVALID, MISMATCH);
    let mut twice = session.clone();
    twice.query.push_str("&X-Amz-Security-Token=stolen");
    refused(&twice, INVALID, "'X-Amz-Security-Token' must not appear more than once in the request.");
    let in_both = adding(session, "x-amz-security-token", "stolen");
    refused(&in_both, INVALID, "'x-amz-security-token' must not appear more than once in the request.");
}

#[test]
fn a06_nothing_that_steers_stands_twice() {
    for header in ["host", "x-amz-date", "x-amz-target", "content-type"] {
        let same = signed().header(header).unwrap().to_owned();
        let text = format!("'{header}' must not appear more than once in the request.");
        refused(&adding(signed(), header, &same), INVALID, &text);
        refused(&adding(signed(), header, "other"), INVALID, &text);
    }
    let session = sign_at(list_keys(), Some("mine"), NOW);
    let text = "'x-amz-security-token' must not appear more than once in the request.";
    refused(&adding(session, "x-amz-security-token", "stolen"), INVALID, text);
    let dated = adding(adding(without(signed(), "x-amz-date"), "date", "a"), "date", "b");
    refused(&dated, INVALID, "'date' must not appear more than once in the request.");
    for parameter in [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "X-Amz-Date",
        "X-Amz-Expires",
    ] {
        let mut incoming = presigned();
        incoming.query.push_str(&format!("&{parameter}=1"));
        let text = format!("'{parameter}' must not appear more than once in the request.");
        refused(&incoming, INVALID, &text);
    }
    let dated = with(presigned(), "x-amz-date", "20150830T123600Z");
    refused(&dated, INVALID, "'x-amz-date' must not appear more than once in the request.");
}

#[test]
fn a07_the_body_is_always_signed() {
    let mut changed = signed();
    changed.body = br#"{"Limit":11}"#.as_slice().into();
    refused(&changed, INVALID, MISMATCH);
    let mut emptied = signed();
    emptied.body = bytes::Bytes::new();
    refused(&emptied, INVALID, MISMATCH);
    let mut changed = presigned();
    changed.body = br#"{"Limit":11}"#.as_slice().into();
    refused(&changed, INVALID, MISMATCH);

    let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    for declared in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        // Signed by our own signer with the header in place: the signature is right, the declaration is not.
        refused(&sign_at(with(list_keys(), "x-amz-content-sha256", declared), None, NOW), INVALID, text);
    }
    accepted(&Oracle { declare_hash: true, ..KMS }.sign(list_keys()));
}

#[test]
fn a09_one_algorithm() {
    for algorithm in [
        "AWS4-HMAC-SHA1",
        "AWS4-HMAC-SHA512",
        "AWS4-ECDSA-P256-SHA256",
        "aws4-hmac-sha256",
        "AWS3-HTTPS",
        "AWS4-HMAC-SHA256\t",
        "AWS",
    ] {
        let text = format!(
            "Unsupported AWS 'algorithm': '{}' (only AWS4-HMAC-SHA256 for now). ",
            algorithm.replace('\t', "?")
        );
        refused(&reauthorized(signed(), |all| all.replace("AWS4-HMAC-SHA256", algorithm)), INCOMPLETE, &text);
    }
    refused(
        &with(signed(), "authorization", "AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="),
        INCOMPLETE,
        "Unsupported AWS 'algorithm': 'AWS' (only AWS4-HMAC-SHA256 for now). ",
    );
    let mut incoming = presigned();
    incoming.query = incoming.query.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1");
    refused(
        &incoming,
        INCOMPLETE,
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). ",
    );
}

#[test]
fn a09_other_schemes_are_refused_and_not_repeated() {
    // The hashes are `printf %s HEADER | openssl dgst -sha256 -binary | base64`.
    for (authorization, hash) in [
        ("none", "FAvtv5w/bVaphG0rpwiHmGg/TaDCSCMTNuagVnnk/f4="),
        ("Bearer secret-token", "hud0v/kLD+X47AD/2eV5xlNwXKFihdCdmSriv7WLwwg="),
        ("AWS4-HMAC-SHA256", ""),
        ("", ""),
    ] {
        let refusal = verify(&with(signed(), "authorization", authorization), "kms").unwrap_err();
        assert_eq!(refusal.code(), INCOMPLETE, "{authorization}");
        assert!(!refusal.message().contains("secret-token"));
        assert!(refusal.message().contains(hash), "{refusal}");
    }
}

#[test]
fn a09_every_part_of_the_header_is_needed() {
    let hash = "(Hashed with SHA-256 and encoded with Base64) Authorization=";
    for (authorization, missing) in [
        (
            "AWS4-HMAC-SHA256 ",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
             parameter. Authorization header requires 'SignedHeaders' parameter. ",
        ),
        (
            "AWS4-HMAC-SHA256 Signature=a",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' \
             parameter. ",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=",
            "Authorization header requires 'Signature' parameter. ",
        ),
    ] {
        let refusal = verify(&with(signed(), "authorization", authorization), "kms").unwrap_err();
        assert_eq!(refusal.code(), INCOMPLETE);
        assert!(refusal.message().starts_with(&format!("{missing}{hash}")), "{refusal}");
    }
    let refusal = verify(&without(signed(), "x-amz-date"), "kms").unwrap_err();
    let missing = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    assert!(refusal.message().starts_with(&format!("{missing}{hash}")), "{refusal}");
}

#[test]
fn a09_the_grammar_is_strict() {
    let pair = "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded \
                with Base64): '";
    for (from, to) in [("SignedHeaders=", "SignedHeaders"), (", Signature", ",, Signature")] {
        let refusal = verify(&reauthorized(signed(), |all| all.replace(from, to)), "kms").unwrap_err();
        assert_eq!(refusal.code(), INCOMPLETE, "{to}");
        assert!(refusal.message().starts_with(pair), "{refusal}");
    }
    let twice = reauthorized(signed(), |all| format!("{all}, Credential=other"));
    refused(&twice, INVALID, "'Credential' must not appear more than once in the request.");
    let unknown = reauthorized(signed(), |all| format!("{all}, Extra=1"));
    refused(&unknown, INCOMPLETE, "Authorization header has an unknown parameter 'Extra'.");
    // Order and the spaces between are free, as some clients have it.
    accepted(&reauthorized(signed(), |all| all.replace(", ", ",")));
    accepted(&reauthorized(signed(), |all| all.replace(", ", ",  ")));
}

#[test]
fn a12_a_signature_is_64_lower_case_digits() {
    let good = signed();
    let (_, signature) = good.header("authorization").unwrap().split_once("Signature=").unwrap();
    let full_width: String =
        signature.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    let text = signature.to_owned();
    for other in [
        text.to_ascii_uppercase(),
        text.get(..63).unwrap().to_owned(),
        format!("{text}0"),
        format!("0{text}"),
        format!("0x{}", text.get(..62).unwrap()),
        "g".repeat(64),
        "0".repeat(64),
        text.replacen(|_: char| true, "\t", 1),
    ] {
        refused(&reauthorized(signed(), |all| all.replace(&text, &other)), INVALID, MISMATCH);
    }
    for other in
        [full_width.as_str(), "%00", &format!("{}%00", text.get(..63).unwrap()), &format!("{text}%0A")]
    {
        let mut incoming = presigned();
        let (start, _) = incoming.query.split_once("X-Amz-Signature=").unwrap();
        incoming.query = format!("{start}X-Amz-Signature={other}");
        refused(&incoming, INVALID, MISMATCH);
    }
    // A header that is not ASCII is refused before it is read.
    let wide = with(signed(), "authorization", &full_width);
    refused(&wide, INCOMPLETE, "'authorization' must be visible ASCII.");
}

#[test]
fn a15_another_path_or_query_is_another_request() {
    for path in [
        "/%2F",
        "/%2f",
        "/x",
        "/x/",
        "/.%2e",
        "/;",
        "/*",
        "*",
        "http://kms.us-east-1.amazonaws.com/",
        "/#x",
        "/\\",
    ] {
        let mut incoming = signed();
        incoming.path = path.to_owned();
        refused(&incoming, INVALID, MISMATCH);
    }
    for query in ["X=1", "x", "=", "Action=ScheduleKeyDeletion", "%20", "+"] {
        let mut incoming = signed();
        incoming.query = query.to_owned();
        refused(&incoming, INVALID, MISMATCH);
    }
    // AWS's rules make these the same request; whoever routes by path must read it the same way.
    for path in ["", "//", "/./", "/x/..", "/../"] {
        let mut incoming = signed();
        incoming.path = path.to_owned();
        accepted(&incoming);
    }
    let mut incoming = signed();
    incoming.query = "&&".to_owned();
    accepted(&incoming);
}

#[test]
fn a16_white_space_in_values() {
    let spaced = |value: &str| with(list_keys(), "x-amz-meta", value);
    let signed = sign_at(spaced("a b \"c d\""), None, NOW);
    let resent = |value: &str| with(signed.clone(), "x-amz-meta", value);
    for same in ["a b \"c d\"", "  a   b  \"c    d\" ", "a\tb \"c \t d\"", "\ta b \"c d\"\t"] {
        accepted(&resent(same));
    }
    for other in ["ab \"c d\"", "a b \"cd\"", "a b \" c d\"", "a b \"c\u{a0}d\"", "a,b \"c d\"", ""] {
        refused(&resent(other), INVALID, MISMATCH);
    }
    // A header that is listed and empty is signed as empty.
    accepted(&sign_at(spaced(""), None, NOW));
}

#[test]
fn a17_an_access_key_id_is_short_and_visible() {
    let text = "The security token included in the request is invalid.";
    let renamed = |id: &str| {
        let mut incoming = presigned();
        incoming.query = incoming.query.replace(ID, id);
        incoming
    };
    for id in ["AK%0AID", "AK%00", "%C3%A9", "AK+ID", &"A".repeat(129), &"A".repeat(1024)] {
        refused(&renamed(id), "UnrecognizedClientException", text);
    }
    refused(&renamed(&"A".repeat(128)), INVALID, MISMATCH);
    let long = reauthorized(signed(), |all| all.replace(ID, &"A".repeat(129)));
    refused(&long, "UnrecognizedClientException", text);
}

#[test]
fn a18_a_session_token_is_carried_unread() {
    // Whatever a token claims inside, here it is an opaque, signed string.
    for token in
        ["opaque", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "a b", "FwoGZXIvYXdzE//+=="]
    {
        let verified = verify(&sign_at(list_keys(), Some(token), NOW), "kms").unwrap();
        assert_eq!(verified.security_token(), Some(token));
        let mut flipped = token.to_owned();
        flipped.replace_range(..1, "#");
        let session = sign_at(list_keys(), Some(token), NOW);
        refused(&with(session, "x-amz-security-token", &flipped), INVALID, MISMATCH);
    }
}

#[test]
fn claims_do_not_print_tokens_or_signatures() {
    let signed = sign_at(list_keys(), Some("the-token"), NOW);
    let (_, signature) = signed.header("authorization").unwrap().split_once("Signature=").unwrap();
    let claim = Claim::parse(&signed).unwrap();
    for printed in [format!("{claim:?}"), format!("{:?}", verify(&signed, "kms").unwrap())] {
        assert!(printed.contains(ID));
        assert!(!printed.contains("the-token") && !printed.contains(signature), "{printed}");
    }
}
