//! The requests of IAM and STS against AWS's own models: everything known, nothing ignored, every constraint held.

use std::collections::BTreeSet;

use claviger_service::query::{APIS, Api};
use claviger_wire::codec::Refusal;
use claviger_wire::json;
use serde_json::{Value, json};

use crate::model::{Model, Place, Shape};

fn model(api: &Api) -> Model {
    Model::installed_of(&format!("{}/{}", api.service, api.version))
}

/// Where this service is stricter than the models, which have no bound there: its own, and why.
const STRICTER: [(&str, usize, &str); 12] = [
    ("ActionNameListType", 256, SIMULATED),
    ("ContextEntryListType", 256, SIMULATED),
    ("ContextKeyValueListType", 256, SIMULATED),
    ("ContextKeyValueType", 4096, SIMULATED),
    ("ResourceNameListType", 256, SIMULATED),
    ("SimulationPolicyListType", 50, SIMULATED),
    ("clientIDListType", 1000, "far more than the quota of a provider; memory has a bound"),
    (
        "policyDescriptorListType",
        10,
        "what the model says in words: \"You can provide up to 10 managed policy ARNs\"",
    ),
    ("policyVersionIdType", 1024, "far more than a version can be; memory has a bound"),
    ("thumbprintListType", 1000, "far more than the quota of a provider; memory has a bound"),
    ("unrestrictedSessionPolicyDocumentType", 131_072, "as long as any policy; what can be packed is less"),
    ("virtualMFADeviceName", 226, "what AWS's documentation says"),
];
const SIMULATED: &str = "the model has no bound for what is simulated; time has";

/// Lists that are refused where they are given, so that nothing looks into them.
const UNREAD: [&str; 2] = ["policyExclusionList.", "orderedOrganizationPolicyInputList."];

/// A text of a shape, so long; one that fits its pattern where there is one of that length.
fn text(name: &str, length: usize) -> String {
    match (name, length) {
        ("pathType" | "policyPathType", 3..) => format!("/{}/", "a".repeat(length - 2)),
        ("pathType" | "policyPathType" | "pathPrefixType", 1..) => format!("/{}", "a".repeat(length - 1)),
        ("policyVersionIdType", 1..) => format!("v{}", "1".repeat(length - 1)),
        ("tokenCodeType" | "authenticationCodeType", _) => "1".repeat(length),
        _ => "a".repeat(length),
    }
}

/// The least size of a shape; of a text, also the least that fits its pattern.
fn least(place: &Place<'_>) -> usize {
    if place.name == "policyVersionIdType" { "v1".len() } else { place.shape.min.unwrap_or(0) }
}

/// The body as the query protocol carries it, where all is text.
fn as_text(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(as_text),
        Value::Object(members) => members.values_mut().for_each(as_text),
        Value::Number(_) | Value::Bool(_) => *value = json!(value.to_string()),
        Value::String(_) | Value::Null => {}
    }
}

fn body(model: &Model, operation: &str, full: bool) -> Value {
    let mut body = model.body(operation, full);
    for place in model.places(operation) {
        let fills = place.shape.kind == "string" && place.shape.choices.is_empty();
        if let Some(member) = body.pointer_mut(&place.pointer).filter(|_| fills) {
            *member = json!(text(place.name, least(&place).max(1)));
        }
    }
    as_text(&mut body);
    body
}

fn decode(api: &Api, operation: &str, body: &Value) -> Result<Vec<String>, Refusal> {
    let entry = api.entries.iter().find(|entry| entry.name == operation).unwrap();
    (entry.decode)(&json::parse(body.to_string().as_bytes()).unwrap())
}

fn check_accepted(api: &Api, operation: &str, body: &Value) {
    let ignored = decode(api, operation, body);
    assert_eq!(ignored, Ok(Vec::new()), "{operation} {:.300}", body.to_string());
}

/// The body is refused for what stands at the place, in these words.
fn check_violation(api: &Api, operation: &str, body: &Value, place: &Place<'_>, says: &str) {
    let Err(Refusal::Validation(text)) = decode(api, operation, body) else {
        panic!("{operation} takes {} that breaks `{says}`", place.path);
    };
    let at = format!("at '{}' failed to satisfy constraint: {says}", place.path);
    assert!(text.split("; ").any(|item| item.ends_with(&at)), "{operation}: {at}: {text:.1000}");
}

fn with(full: &Value, place: &Place<'_>, value: Value) -> Value {
    let mut body = full.clone();
    *body.pointer_mut(&place.pointer).unwrap() = value;
    body
}

#[test]
fn the_apis_are_whole() {
    for api in APIS {
        let served = api.entries.iter().map(|entry| entry.name);
        let known: BTreeSet<&str> = served.chain(api.not_served.iter().copied()).collect();
        assert_eq!(known.len(), api.entries.len() + api.not_served.len(), "{}", api.service);
        let model = model(api);
        let whole: BTreeSet<&str> = model.operations().collect();
        assert_eq!(known, whole, "{}", api.service);
    }
}

#[test]
fn bodies_are_accepted_full_and_minimal() {
    for api in APIS {
        let model = model(api);
        for entry in api.entries {
            for full in [true, false] {
                let body = body(&model, entry.name, full);
                check_accepted(api, entry.name, &body);
            }
        }
    }
}

/// A value of a shape that is so long, or so large.
fn sized(full: &Value, place: &Place<'_>, size: usize) -> Value {
    match &*place.shape.kind {
        "string" => json!(text(place.name, size)),
        "integer" => json!(size.to_string()),
        "list" => json!(vec![full.pointer(&format!("{}/0", place.pointer)).unwrap(); size]),
        other => panic!("a {other} has no size"),
    }
}

fn check_bounds(api: &Api, operation: &str, full: &Value, place: &Place<'_>) {
    let Shape { kind, min, max, .. } = place.shape;
    let what = if kind == "integer" { "value" } else { "length" };
    let at_size = |size: usize| with(full, place, sized(full, place, size));
    let stricter = STRICTER.iter().find(|(name, ..)| *name == place.name).map(|(_, bound, _)| *bound);
    assert!(max.is_some() != stricter.is_some(), "{} has one bound", place.name);
    let max = max.or(stricter).unwrap();
    check_accepted(api, operation, &at_size(max));
    let says = format!("Member must have {what} less than or equal to {max}");
    check_violation(api, operation, &at_size(max + 1), place, &says);
    check_accepted(api, operation, &at_size(least(place)));
    let Some(min) = *min else { return };
    let says = format!("Member must have {what} greater than or equal to {min}");
    let below = match (&**kind, min.checked_sub(1)) {
        ("list", Some(0)) => vec![json!([]), json!("")],
        ("integer", None) => vec![json!("-1")],
        (_, below) => below.map(|below| sized(full, place, below)).into_iter().collect(),
    };
    for value in below {
        check_violation(api, operation, &with(full, place, value), place, &says);
    }
}

fn check_pattern(api: &Api, operation: &str, full: &Value, place: &Place<'_>, pattern: &str) {
    let says = format!("Member must satisfy regular expression pattern: {pattern}");
    // So long that it breaks nothing else.
    let wrong = "\u{1}".repeat(least(place).max(1));
    check_violation(api, operation, &with(full, place, json!(wrong)), place, &says);
}

fn check_choices(api: &Api, operation: &str, full: &Value, place: &Place<'_>) {
    let choices = &place.shape.choices;
    for choice in choices {
        check_accepted(api, operation, &with(full, place, json!(choice)));
    }
    let says = format!("Member must satisfy enum value set: [{}]", choices.join(", "));
    let (lower, upper) = (choices[0].to_lowercase(), choices[0].to_uppercase());
    for wrong in ["no such choice", &*lower, &*upper, ""] {
        if !choices.iter().any(|choice| choice == wrong) {
            check_violation(api, operation, &with(full, place, json!(wrong)), place, &says);
        }
    }
}

/// Checks all that the model says of a place; answers whether it says anything.
fn check_place(api: &Api, operation: &str, full: &Value, place: &Place<'_>) -> bool {
    if place.required {
        let mut body = full.clone();
        let (parent, name) = place.pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        check_violation(api, operation, &body, place, "Member must not be null");
    }
    match &*place.shape.kind {
        "string" if !place.shape.choices.is_empty() => check_choices(api, operation, full, place),
        "string" | "integer" | "list" => check_bounds(api, operation, full, place),
        _ => return false,
    }
    if let Some(pattern) = &place.shape.pattern {
        check_pattern(api, operation, full, place, pattern);
    }
    true
}

/// Every bound, pattern and set of values: exactly at it is accepted, beyond it is refused and named.
#[test]
fn constraints_are_enforced() {
    let (mut checked, mut unread) = (BTreeSet::new(), BTreeSet::new());
    for api in APIS {
        let model = model(api);
        for entry in api.entries {
            let full = body(&model, entry.name, true);
            for place in model.places(entry.name) {
                if let Some(list) = UNREAD.iter().find(|list| place.path.contains(**list)) {
                    unread.insert(*list);
                } else if check_place(api, entry.name, &full, &place) {
                    checked.insert(place.name.to_owned());
                }
            }
        }
    }
    assert!(checked.len() > 70, "the models were read: {}", checked.len());
    assert!(STRICTER.iter().all(|(name, ..)| checked.contains(*name)), "every excuse is still needed");
    assert_eq!(unread, UNREAD.into());
}
