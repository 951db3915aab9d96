//! The requests of IAM and STS against AWS's own models: everything known, nothing ignored, every constraint held.

use std::collections::BTreeSet;

use claviger_service::query::{APIS, Api};
use claviger_wire::codec::Refusal;
use claviger_wire::json;
use serde_json::{Value, json};

use crate::model::{Model, Place};

fn model(api: &Api) -> Model {
    Model::installed_of(&format!("{}/{}", api.service, api.version))
}

/// A text of a shape that fits its pattern, where the shortest text of all does not.
fn fitting(shape: &str) -> Option<&'static str> {
    match shape {
        "pathType" | "pathPrefixType" | "policyPathType" => Some("/"),
        "policyVersionIdType" => Some("v1"),
        "tokenCodeType" | "authenticationCodeType" => Some("123456"),
        _ => None,
    }
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
        if let (Some(text), Some(member)) = (fitting(place.name), body.pointer_mut(&place.pointer)) {
            *member = json!(text);
        }
    }
    as_text(&mut body);
    body
}

fn decode(api: &Api, operation: &str, body: &Value) -> Result<Vec<String>, Refusal> {
    let entry = api.entries.iter().find(|entry| entry.name == operation).unwrap();
    (entry.decode)(&json::parse(body.to_string().as_bytes()).unwrap())
}

fn check_refused(api: &Api, operation: &str, body: &Value, place: &Place<'_>) {
    match decode(api, operation, body) {
        Err(Refusal::Validation(text)) => assert!(text.contains(&place.path), "{operation}: {text}"),
        other => panic!("{operation}.{}: {other:?}", place.path),
    }
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
                assert_eq!(decode(api, entry.name, &body), Ok(Vec::new()), "{} {body}", entry.name);
            }
        }
    }
}

#[test]
fn constraints_are_enforced() {
    for api in APIS {
        let model = model(api);
        for entry in api.entries {
            let full = body(&model, entry.name, true);
            for place in model.places(entry.name) {
                let at_end = full.pointer(&place.pointer).is_some();
                if !at_end || full.pointer(&place.pointer).is_some_and(Value::is_null) {
                    continue;
                }
                check_place(api, entry.name, &full, &place);
            }
        }
    }
}

fn check_place(api: &Api, operation: &str, full: &Value, place: &Place<'_>) {
    let shape = place.shape;
    // What is refused whole is not looked into.
    if place.path.contains("policyExclusionList.")
        || place.path.contains("orderedOrganizationPolicyInputList.")
    {
        return;
    }
    let check = |value: Value| check_refused(api, operation, &with(full, place, value), place);
    if place.required && !place.path.contains("member.arn") {
        let mut body = full.clone();
        let (parent, name) = place.pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        check_refused(api, operation, &body, place);
    }
    match &*shape.kind {
        "string" if !shape.choices.is_empty() => check(json!("no such choice")),
        "string" => {
            if let Some(max) = shape.max {
                check(json!("/".repeat(max + 1)));
            }
            if shape.min.is_some_and(|min| min > 0) {
                check(json!(""));
            }
            if shape.pattern.is_some() {
                check(json!("\u{1}".repeat(shape.min.unwrap_or(1).max(1))));
            }
        }
        "integer" => {
            check(json!((i64::try_from(shape.max.unwrap()).unwrap() + 1).to_string()));
            check(json!((i64::try_from(shape.min.unwrap()).unwrap() - 1).to_string()));
        }
        "list" => {
            if let Some(max) = shape.max {
                let element = full.pointer(&format!("{}/0", place.pointer)).unwrap();
                check(vec![element.clone(); max + 1].into());
            }
        }
        _ => {}
    }
}
