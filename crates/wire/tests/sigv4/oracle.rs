//! Random requests, signed by an independent signer, verify; and with one signed byte changed they do not.

use bytes::Bytes;
use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::Claim;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::request::{KMS, NOW, Oracle, reauthorized, request, sign_at, verify, with};

/// Any request to KMS or not: odd paths, queries and headers, any body.
fn requests() -> impl Strategy<Value = Incoming> {
    let path = vec("[A-Za-z0-9._~!$&'()*+,;=:@%-]{0,6}", 0..5).prop_map(|segments| {
        // A percent sign only as part of an escape.
        format!("/{}", segments.join("/").replace('%', "%2F"))
    });
    let word = "[A-Za-z0-9._~*+-]{0,4}(%[2-7][0-9A-E]){0,2}";
    let query = vec((word, word), 0..5).prop_map(|pairs| {
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    });
    let headers = vec(("my-[a-z0-9]{1,5}", "[!-~]{1,8}( {1,3}[!-~]{1,8}){0,2} {0,2}"), 0..5);
    let content_type =
        select(vec![None, Some("application/x-amz-json-1.1"), Some("application/x-www-form-urlencoded")]);
    let target = proptest::option::of("TrentService\\.[A-Z][A-Za-z]{2,20}");
    let parts = (select(vec!["POST", "GET", "PUT", "DELETE"]), path, query, headers, content_type, target);
    (parts, vec(any::<u8>(), 0..300)).prop_map(
        |((method, path, query, headers, content_type, target), body)| {
            let mut all = vec![("host".to_owned(), "kms.us-east-1.amazonaws.com:7080".to_owned())];
            all.extend(headers);
            all.extend(content_type.map(|value| ("content-type".to_owned(), value.to_owned())));
            all.extend(target.map(|value| ("x-amz-target".to_owned(), value)));
            let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            request(method, &path, &query, &all, &body)
        },
    )
}

fn tokens() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[A-Za-z0-9+/]{20,60}={0,2}")
}

/// Puts another letter or digit in the place of one byte, never its other case (`%2f` and `%2F` are one escape).
fn changed(text: &str, place: Index) -> String {
    let at = place.index(text.len());
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at].eq_ignore_ascii_case(&b'q') { b'0' } else { b'q' };
    String::from_utf8(bytes).unwrap()
}

/// Every kind of change to what a header-form request signs.
fn header_mutants(signed: &Incoming, place: Index) -> Vec<(String, Incoming)> {
    let mut mutants = common_mutants(signed, place);
    let authorization = signed.header("authorization").unwrap();
    let (_, list) = authorization.split_once("SignedHeaders=").unwrap();
    let (list, signature) = list.split_once(", Signature=").unwrap();
    let other_signature =
        signature.replacen(|_: char| true, if signature.starts_with('0') { "1" } else { "0" }, 1);
    mutants.push((
        "signature".to_owned(),
        reauthorized(signed.clone(), |all| all.replace(signature, &other_signature)),
    ));
    for name in list.split(';') {
        let shorter: Vec<&str> = list.split(';').filter(|other| *other != name).collect();
        let rewritten = |all: &str| all.replace(list, &shorter.join(";"));
        mutants.push((format!("unsigning {name}"), reauthorized(signed.clone(), rewritten)));
    }
    for (from, to) in [("us-east-1", "us-east-2"), ("/kms/", "/sts/"), ("20150830/", "20150831/")] {
        mutants.push((format!("scope {to}"), reauthorized(signed.clone(), |all| all.replacen(from, to, 1))));
    }
    let mut query = signed.clone();
    query.query.push_str("&added");
    mutants.push(("query".to_owned(), query));
    header_values(&mut mutants, signed, list, place);
    mutants
}

/// Every kind of change to what a query-form request signs.
fn query_mutants(signed: &Incoming, place: Index) -> Vec<(String, Incoming)> {
    let mut mutants = common_mutants(signed, place);
    let mut query = signed.clone();
    query.query = changed(&signed.query, place);
    mutants.push((format!("query {}", query.query), query));
    let list: Vec<&str> = signed.headers.keys().map(HeaderName::as_str).collect();
    header_values(&mut mutants, signed, &list.join(";"), place);
    mutants
}

fn common_mutants(signed: &Incoming, place: Index) -> Vec<(String, Incoming)> {
    let mut method = signed.clone();
    method.method = if signed.method == Method::POST { Method::GET } else { Method::POST };
    let mut path = signed.clone();
    path.path.push_str("/added");
    let mut body = signed.clone();
    let mut bytes = signed.body.to_vec();
    match bytes.is_empty() {
        true => bytes.push(0),
        false => *place.get_mut(&mut bytes) ^= 1,
    }
    body.body = Bytes::from(bytes);
    vec![("method".to_owned(), method), ("path".to_owned(), path), ("body".to_owned(), body)]
}

/// Changes one byte of each value of each listed header, and removes the header.
fn header_values(mutants: &mut Vec<(String, Incoming)>, signed: &Incoming, list: &str, place: Index) {
    for name in list.split(';') {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let values: Vec<HeaderValue> = signed.headers.get_all(&name).iter().cloned().collect();
        for chosen in 0..values.len() {
            let mut mutant = signed.clone();
            mutant.headers.remove(&name);
            for (index, value) in values.iter().enumerate() {
                let text = value.to_str().unwrap().trim();
                let text = if index == chosen { changed(text, place) } else { text.to_owned() };
                mutant.headers.append(&name, HeaderValue::from_str(&text).unwrap());
            }
            mutants.push((format!("value of {name}"), mutant));
        }
        let mut mutant = signed.clone();
        mutant.headers.remove(&name);
        mutants.push((format!("without {name}"), mutant));
    }
}

fn all_refused(mutants: Vec<(String, Incoming)>) -> Result<(), TestCaseError> {
    for (what, mutant) in mutants {
        prop_assert!(verify(&mutant, "kms").is_err(), "accepted after a change of {what}: {mutant:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a14_header_form(incoming in requests(), token in tokens(), declare_hash: bool, place: Index) {
        let signed = Oracle { token: token.as_deref(), declare_hash, ..KMS }.sign(incoming);
        let verified = verify(&signed, "kms").map_err(|refusal| TestCaseError::fail(format!("{refusal}: {signed:?}")))?;
        prop_assert_eq!(verified.security_token(), token.as_deref());
        prop_assert_eq!(verified.signed_at(), NOW);
        all_refused(header_mutants(&signed, place))?;
    }

    #[test]
    fn a14_query_form(incoming in requests(), token in tokens(), seconds in 1_u64..=604_800, place: Index) {
        let signed = Oracle { token: token.as_deref(), expires_seconds: Some(seconds), ..KMS }.sign(incoming);
        let verified = verify(&signed, "kms").map_err(|refusal| TestCaseError::fail(format!("{refusal}: {signed:?}")))?;
        prop_assert_eq!(verified.security_token(), token.as_deref());
        all_refused(query_mutants(&signed, place))?;
    }

    /// Our signer makes what our verifier takes, and the oracle signs the same request the same way.
    #[test]
    fn our_signer_agrees_with_the_oracle(incoming in requests(), token in tokens()) {
        let mut incoming = incoming;
        let steering = |name: &HeaderName| !name.as_str().starts_with("my-");
        incoming.headers = incoming.headers.iter().filter(|(name, _)| steering(name))
            .map(|(name, value)| (name.clone(), value.clone())).collect();
        let ours = sign_at(incoming.clone(), token.as_deref(), NOW);
        prop_assert!(verify(&ours, "kms").is_ok());
        let theirs = Oracle { token: token.as_deref(), ..KMS }.sign(incoming);
        prop_assert_eq!(ours.header("authorization"), theirs.header("authorization"));
    }

    /// Whatever arrives, the answer is a claim or a refusal.
    #[test]
    fn nothing_panics(
        path in ".{0,40}",
        query in "(X-Amz-(Algorithm|Credential|Signature|SignedHeaders|Date|Expires|Security-Token)=.{0,20}&?){0,8}.{0,20}",
        authorization in vec(any::<u8>(), 0..120),
        shaped in "AWS4-HMAC-SHA256 (Credential=[a-z/0-9]{0,30}|SignedHeaders=[a-z;-]{0,30}|Signature=[0-9a-f]{0,66}|.{0,9}|, ?){0,6}",
        headers in vec((select(vec!["host", "x-amz-date", "date", "x-amz-target", "x-amz-content-sha256", "content-type"]),
            vec(any::<u8>(), 0..30)), 0..8),
        form in 0_u8..3,
        now: i64,
    ) {
        let mut incoming = request("POST", &path, if form == 2 { &query } else { "" }, &[], b"");
        let mut map = HeaderMap::new();
        let authorization = if form == 0 { authorization } else { shaped.into_bytes() };
        if form < 2 && let Ok(value) = HeaderValue::from_bytes(&authorization) {
            map.append("authorization", value);
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(name, value);
            }
        }
        incoming.headers = map;
        if let Err(refusal) = Claim::parse(&incoming).and_then(|claim| claim.check_scope("kms", |_| true, now)) {
            prop_assert!(!refusal.message().is_empty());
            prop_assert!(refusal.message().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
        }
    }

    /// Any time at all, around a claim that is otherwise good.
    #[test]
    fn no_clock_panics(now: i64, date in "[0-9]{8}T[0-9]{6}Z") {
        let incoming = with(sign_at(request("POST", "/", "", &[("host", "x")], b""), None, NOW), "x-amz-date", &date);
        if let Ok(claim) = Claim::parse(&incoming) {
            prop_assert!(claim.check_scope("kms", |_| true, now).is_err() || date.starts_with("20150830"));
        }
    }
}
