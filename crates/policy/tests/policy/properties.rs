//! What holds for all inputs.

use claviger_policy::{Document, Kind, Request, Values, decide};
use proptest::prelude::*;

use crate::model::{Dice, any_statement, render};
use crate::support::{BOB, EVE, FEDERATED, KEY, Keys, ROOT, SESSION, document, guarded};

/// A Deny that is added turns allowed requests into refused ones and never the other way.
#[test]
fn a_deny_never_widens() {
    let mut dice = Dice(2);
    let mut narrowed = 0;
    for _ in 0..20_000 {
        let base: Vec<String> =
            (0..3).map(|_| render(&any_statement(&mut dice, Kind::Key), Kind::Key)).collect();
        let extra =
            render(&any_statement(&mut dice, Kind::Key), Kind::Key).replace(r#""Allow""#, r#""Deny""#);
        let before = document(Kind::Key, &base.join(","));
        let after = document(Kind::Key, &format!("{},{extra}", base.join(",")));
        for principal in [ROOT, BOB, SESSION, FEDERATED, EVE] {
            let keys = Keys::one("x:one", "a");
            let request = Request { principal, action: "kms:Encrypt", resource: KEY, context: &keys };
            let was = decide(&request, &guarded(&before)).is_allow();
            let is = decide(&request, &guarded(&after)).is_allow();
            assert!(was || !is, "{base:?} {extra}");
            narrowed += usize::from(was && !is);
        }
    }
    assert!(narrowed > 1_000);
}

/// Pieces of policies, so that random text gets past the first brace.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"Version\":\"2012-10-17\"",
        "\"Statement\":",
        "\"Effect\":\"Deny\"",
        "\"Principal\":",
        "{\"AWS\":\"",
        "*",
        "arn:aws:iam::111122223333:",
        "\"Action\":\"kms:",
        "\"Resource\":\"",
        "\"Condition\":{\"StringLike\":{\"aws:x\":\"",
        "${",
        "'",
        "?",
        "\u{e9}",
        "1e9",
        "null",
        "\\u00",
        "\\ud800",
        "7",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![fragments(), any::<String>()]) {
        for kind in [Kind::Key, Kind::Identity, Kind::Endpoint, Kind::Trust] {
            if let Err(cause) = Document::parse(&text, kind) {
                prop_assert!(!cause.to_string().is_empty() && !cause.message().is_empty());
            }
        }
    }

    /// Random texts in the places where the grammar takes any text, then a decision on what was accepted.
    #[test]
    fn no_value_panics(
        operator in proptest::sample::select(vec!["StringLike", "ArnLike", "NumericEquals", "DateLessThan", "Bool",
            "BinaryEquals", "IpAddress", "Null", "StringEqualsIgnoreCase"]),
        value in "[*?${}':/a-c0-9.,=\\-+TZ\u{e9} ]{0,24}",
        resource in "(arn:aws:kms:)?[*?${}':/a-c0-9\u{e9}]{0,24}",
        subject in any::<String>(),
    ) {
        let condition = serde_json::json!({ operator: { "x:k": value } });
        let text = serde_json::json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Principal": "*",
            "Action": "*", "Resource": ["*", resource], "Condition": condition } });
        if let Ok(policy) = Document::parse(&text.to_string(), Kind::Key) {
            let keys = Keys(vec![("x:k".to_owned(), Values::One(subject.clone().into()))]);
            let request = Request { principal: BOB, action: "kms:Encrypt", resource: &subject, context: &keys };
            decide(&request, &guarded(&policy));
        }
    }
}
