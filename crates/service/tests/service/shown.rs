//! What of an answer expectations show: not what differs from world to world.

use serde_json::{Value, json};

use crate::world::NO_KEY;

/// Replaces the base64 of a member by its length, unless it is short enough to be a test's own.
pub(crate) fn hide_member(text: &str, member: &str) -> String {
    let opening = format!("\"{member}\":\"");
    let mut parts = text.split(&opening);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (value, rest) = part.split_once('"').unwrap();
        let value = match base64_simd::STANDARD.decode_to_vec(value) {
            // A token is not standard base64, and so no text of a test.
            _ if member == "GrantToken" => "(a token)".to_owned(),
            // A wrapping key is longer or shorter by a few bytes.
            Ok(_) if member == "ImportToken" => "(a token)".to_owned(),
            Ok(bytes) if bytes.len() >= 16 => format!("({} bytes)", bytes.len()),
            _ => value.to_owned(),
        };
        shown.push_str(&format!("{opening}{value}\"{rest}"));
    }
    shown
}

/// Replaces what looks like a UUID or 64 hexadecimal digits.
pub(crate) fn hide_ids(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let run = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (id, after) = from.split_at(run);
        let is_uuid = id.len() == 36 && id.matches('-').count() == 4 && id != NO_KEY;
        // What follows `mrk` in the id of a multi-Region key.
        let is_multi_region = id.len() == 33 && id.starts_with('-');
        let is_digest = id.len() == 64 && !id.contains('-');
        shown.push_str(before);
        shown.push_str(if is_uuid {
            "<uuid>"
        } else if is_digest {
            "<digest>"
        } else if is_multi_region {
            "-<id>"
        } else {
            id
        });
        rest = after;
    }
    shown + rest
}

/// A call that changes a key in another Region writes an event into that Region's trail too. Checks it, and answers
/// whether there is to be one.
pub(crate) fn check_event_elsewhere(operation: &str, event: &Value, written: &[Vec<u8>]) -> bool {
    let (name, region) = match operation {
        "ReplicateKey" => ("CreateKey", "replicaRegion"),
        "UpdatePrimaryRegion" => ("UpdatePrimaryRegion", "primaryRegion"),
        _ => return false,
    };
    if event.get("errorCode").is_some() {
        return false;
    }
    let second: Value = serde_json::from_slice(&written[1]).unwrap();
    assert_eq!((&second["eventName"], &second["requestID"]), (&json!(name), &event["requestID"]));
    assert_eq!(second["awsRegion"], event["requestParameters"][region]);
    assert!(second["awsRegion"] != event["awsRegion"] && second["eventID"] != event["eventID"]);
    true
}

/// Errors that are known only once the HSM has been asked.
pub(crate) fn needs_hsm(operation: &str, code: &str) -> bool {
    match code {
        "InvalidCiphertextException"
        | "IncorrectKeyMaterialException"
        | "InvalidImportTokenException"
        | "KMSInvalidMacException"
        | "KMSInvalidSignatureException"
        | "DryRunOperationException"
        | "KMSInternalException"
        | "DependencyTimeoutException" => true,
        // Names the new material, which the HSM computes.
        "KMSInvalidStateException" => operation == "ImportKeyMaterial",
        // A public key off its curve, and a content that is too long for the key it moves to.
        "ValidationException" => ["DeriveSharedSecret", "ReEncrypt"].contains(&operation),
        _ => false,
    }
}
