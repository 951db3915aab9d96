//! AWS's model as the oracle: every operation takes what the model says it takes, refuses what the model says it
//! refuses, answers what the model says it answers, and fails as the model says it fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use claviger_service::kms::{NOT_SERVED, ops};
use claviger_wire::codec::Refusal;
use claviger_wire::json;
use serde_json::{Value, json};

use crate::enclave::Document;
use crate::enclave_requests::{named, trusted};
use crate::kinds::make;
use crate::material::{Parameters, external};
use crate::model::{Model, Place, Shape, shortest, text};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, Ask, START, World, base64};

/// Where this service is stricter than the model, and why.
const STRICTER: [(&str, &str); 5] = [
    (
        "EncryptionContextType",
        "8,192 bytes in its encoding: what an external key store takes as associated data",
    ),
    ("TagList", "1,000 elements: twenty times the quota of a key; the model has no bound, and memory has"),
    ("TagKeyList", "1,000 elements, for the same reason"),
    ("GrantOperationList", "1,000 elements, for the same reason"),
    ("DryRunModifierList", "1,000 elements, for the same reason"),
];

/// Members of answers that no call of this version can have, and why.
const ABSENT: [(&str, &str); 6] = [
    (
        "GetKeyRotationStatusResponse.OnDemandRotationStartDate",
        "a rotation on demand is done when its call is answered",
    ),
    ("ListKeyPoliciesResponse.NextMarker", "a list of one name has no second page"),
    ("KeyMetadata.CloudHsmClusterId", "custom key stores are not served"),
    ("KeyMetadata.CustomKeyStoreId", "custom key stores are not served"),
    ("KeyMetadata.XksKeyConfiguration", "custom key stores are not served"),
    ("XksKeyConfigurationType.Id", "custom key stores are not served"),
];

/// Exceptions that every operation may answer (API reference, "Common Errors").
const COMMON: [&str; 4] =
    ["AccessDeniedException", "SerializationException", "UnknownOperationException", "ValidationException"];

fn decode(operation: &str, body: &Value) -> Result<Vec<String>, Refusal> {
    let entry = ops::ALL.iter().find(|entry| entry.name == operation).unwrap();
    let text = body.to_string();
    (entry.decode)(&json::parse(text.as_bytes()).unwrap())
}

fn check_accepted(operation: &str, body: &Value) {
    let ignored = decode(operation, body);
    assert_eq!(ignored, Ok(Vec::new()), "{operation} {:.300}", body.to_string());
}

/// The body is refused for what stands at the place, in these words.
fn check_violation(operation: &str, body: &Value, place: &Place<'_>, says: &str) {
    let Err(Refusal::Validation(text)) = decode(operation, body) else {
        panic!("{operation} takes {} that breaks `{says}`", place.path);
    };
    let at = format!("at '{}' failed to satisfy constraint: ", place.path);
    assert!(text.split("; ").any(|item| item.contains(&at) && item.contains(says)), "{says}: {:.1000}", text);
}

/// The full body with something else at the place.
fn with(full: &Value, place: &Place<'_>, value: Value) -> Value {
    let mut body = full.clone();
    *body.pointer_mut(&place.pointer).unwrap() = value;
    body
}

#[test]
fn the_api_is_whole() {
    let model = Model::installed();
    let served: BTreeSet<&str> = ops::ALL.iter().map(|entry| entry.name).collect();
    let not_served: BTreeSet<&str> = NOT_SERVED.iter().copied().collect();
    assert_eq!((served.len(), not_served.len()), (ops::ALL.len(), NOT_SERVED.len()), "no name stands twice");
    assert!(served.is_disjoint(&not_served));
    assert_eq!(&served | &not_served, model.operations().collect());
}

#[test]
fn bodies_are_accepted_full_and_minimal() {
    let model = Model::installed();
    for entry in ops::ALL {
        check_accepted(entry.name, &model.body(entry.name, true));
        check_accepted(entry.name, &model.body(entry.name, false));
    }
}

#[test]
fn required_members_are_required() {
    let model = Model::installed();
    for entry in ops::ALL {
        let full = model.body(entry.name, true);
        for place in model.places(entry.name) {
            let (parent, member) = place.pointer.rsplit_once('/').unwrap();
            let mut without = full.clone();
            if let Some(structure) = without.pointer_mut(parent).unwrap().as_object_mut() {
                structure.remove(member);
            } else {
                continue;
            }
            for body in [without, with(&full, &place, Value::Null)] {
                if place.required {
                    check_violation(entry.name, &body, &place, "Member must not be null");
                } else {
                    check_accepted(entry.name, &body);
                }
            }
        }
    }
}

#[test]
fn members_have_their_types() {
    let model = Model::installed();
    for entry in ops::ALL {
        let full = model.body(entry.name, true);
        for place in model.places(entry.name) {
            let wrong = match &*place.shape.kind {
                "string" | "blob" => [json!(1), json!(true), json!([]), json!({})],
                "timestamp" => [json!("2026-11-20"), json!(true), json!([]), json!({})],
                "integer" | "boolean" => [json!("a"), json!([]), json!({}), json!("\u{e9}")],
                "list" => [json!(1), json!(true), json!("a"), json!({})],
                _ => [json!(1), json!(true), json!("a"), json!([])],
            };
            for value in wrong {
                let refusal = decode(entry.name, &with(&full, &place, value.clone()));
                let is_type = matches!(refusal, Err(Refusal::Serialization(_)));
                assert!(is_type, "{} takes {value} at {}: {refusal:?}", entry.name, place.path);
            }
        }
    }
}

/// A value of a shape that is so long, or so large.
fn sized(full: &Value, place: &Place<'_>, size: usize) -> Value {
    match &*place.shape.kind {
        "string" => json!(text(place.name, size)),
        "blob" => json!(base64(&vec![7; size])),
        "integer" => json!(size),
        "list" => json!(vec![full.pointer(&format!("{}/0", place.pointer)).unwrap(); size]),
        other => panic!("a {other} has no size"),
    }
}

fn check_bounds(operation: &str, full: &Value, place: &Place<'_>) {
    let Shape { kind, min, max, .. } = place.shape;
    let what = if kind == "integer" { "value" } else { "length" };
    let at_size = |size: usize| with(full, place, sized(full, place, size));
    if let Some(max) = *max {
        check_accepted(operation, &at_size(max));
        let says = format!("Member must have {what} less than or equal to {max}");
        check_violation(operation, &at_size(max + 1), place, &says);
    }
    if let Some(min) = *min {
        check_accepted(operation, &at_size(min.max(shortest(place.name))));
        let says = format!("Member must have {what} greater than or equal to {min}");
        if let Some(below) = min.checked_sub(1) {
            check_violation(operation, &at_size(below), place, &says);
        }
    }
}

/// Every bound, pattern and set of values: exactly at it is accepted, beyond it is refused and named.
#[test]
fn constraints_are_enforced() {
    let model = Model::installed();
    let mut checked = BTreeSet::new();
    for entry in ops::ALL {
        let full = model.body(entry.name, true);
        for place in model.places(entry.name) {
            check_bounds(entry.name, &full, &place);
            if let Some(pattern) = &place.shape.pattern {
                let says = format!("Member must satisfy regular expression pattern: {pattern}");
                check_violation(entry.name, &with(&full, &place, json!("\u{100}")), &place, &says);
            }
            for choice in &place.shape.choices {
                check_accepted(entry.name, &with(&full, &place, json!(choice)));
            }
            if !place.shape.choices.is_empty() {
                let says =
                    format!("Member must satisfy enum value set: [{}]", place.shape.choices.join(", "));
                for wrong in [json!("NO_SUCH"), json!(place.shape.choices[0].to_lowercase()), json!("")] {
                    if !place.shape.choices.iter().any(|choice| wrong == json!(choice)) {
                        check_violation(entry.name, &with(&full, &place, wrong), &place, &says);
                    }
                }
            }
            checked.insert(place.name.to_owned());
        }
    }
    assert!(checked.len() > 30, "the model was read");
}

/// All violations of a body are told at once.
#[test]
fn violations_are_told_together() {
    let text = decode("ListKeys", &json!({"Limit": 0, "Marker": "\u{100}", "ResourceOwners": ["ME"]}));
    let expected = "3 validation errors detected: Value '0' at 'limit' failed to satisfy constraint: Member must have \
                    value greater than or equal to 1; Value '\u{100}' at 'marker' failed to satisfy constraint: Member \
                    must satisfy regular expression pattern: [\\u0020-\\u00FF]*; Value 'ME' at \
                    'resourceOwners.1.member' failed to satisfy constraint: Member must satisfy enum value set: [SELF, \
                    OTHER_ACCOUNTS_VIA_RAM]";
    assert_eq!(text, Err(Refusal::Validation(expected.to_owned())));
}

/// What is stricter than the model is so by intent, and no more than it says.
#[test]
fn nothing_else_is_stricter_than_the_model() {
    let model = Model::installed();
    let mut shown = BTreeSet::new();
    for entry in ops::ALL {
        let full = model.body(entry.name, true);
        for place in model.places(entry.name) {
            let unbounded = place.shape.max.is_none() && place.shape.choices.is_empty();
            let (fits, beyond) = match &*place.shape.kind {
                "map" => (json!({"k": "v".repeat(8192 - 13)}), json!({"k": "v".repeat(8192 - 12)})),
                "list" if unbounded => (sized(&full, &place, 1000), sized(&full, &place, 1001)),
                "string" | "blob" | "integer" => {
                    assert!(!unbounded, "{} has no bound", place.name);
                    continue;
                }
                _ => continue,
            };
            check_accepted(entry.name, &with(&full, &place, fits));
            check_violation(
                entry.name,
                &with(&full, &place, beyond),
                &place,
                "Member must have length less than",
            );
            shown.insert(place.name.to_owned());
        }
    }
    assert_eq!(shown, STRICTER.iter().map(|(name, _)| (*name).to_owned()).collect());
}

/// Requests of every operation that succeed, one after the other, on a key, another, a multi-Region key and a blob of the
/// first.
fn successes(key: &str, other: &str, set: &str, blob: &str) -> Vec<(&'static str, Value)> {
    let on_key = json!({"KeyId": key});
    let owned = policy(open_to(ALICE.account));
    vec![
        ("CreateKey", json!({})),
        ("DescribeKey", on_key.clone()),
        ("ListKeys", json!({"Limit": 1})),
        ("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})),
        ("CreateAlias", json!({"AliasName": "alias/b", "TargetKeyId": key})),
        ("UpdateAlias", json!({"AliasName": "alias/b", "TargetKeyId": other})),
        ("ListAliases", json!({"Limit": 1})),
        ("DeleteAlias", json!({"AliasName": "alias/b"})),
        (
            "TagResource",
            json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": ""}]}),
        ),
        ("ListResourceTags", json!({"KeyId": key, "Limit": 1})),
        ("UntagResource", json!({"KeyId": key, "TagKeys": ["a"]})),
        ("GetKeyPolicy", on_key.clone()),
        ("PutKeyPolicy", json!({"KeyId": key, "Policy": owned})),
        ("ListKeyPolicies", on_key.clone()),
        ("UpdateKeyDescription", json!({"KeyId": key, "Description": "d"})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": "eA=="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": other})),
        ("GenerateDataKey", json!({"KeyId": key, "NumberOfBytes": 1})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "NumberOfBytes": 1})),
        ("GenerateRandom", json!({"NumberOfBytes": 1})),
        ("EnableKeyRotation", on_key.clone()),
        ("GetKeyRotationStatus", on_key.clone()),
        ("DisableKeyRotation", on_key.clone()),
        ("RotateKeyOnDemand", on_key.clone()),
        ("ListKeyRotations", on_key.clone()),
        ("ListKeyRotations", json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 1})),
        ("GetKeyLastUsage", on_key.clone()),
        (
            "ReplicateKey",
            json!({"KeyId": set, "ReplicaRegion": "eu-west-1", "Tags": [{"TagKey": "a", "TagValue": "1"}]}),
        ),
        ("ScheduleKeyDeletion", json!({"KeyId": set})),
        ("DescribeKey", json!({"KeyId": set})),
        ("CancelKeyDeletion", json!({"KeyId": set})),
        ("EnableKey", json!({"KeyId": set})),
        ("UpdatePrimaryRegion", json!({"KeyId": set, "PrimaryRegion": "eu-west-1"})),
        ("DisableKey", on_key.clone()),
        ("EnableKey", on_key.clone()),
        ("ScheduleKeyDeletion", on_key.clone()),
        ("DescribeKey", on_key.clone()),
        ("CancelKeyDeletion", on_key),
    ]
}

/// The same about a key whose material is imported.
fn successes_of_imports(world: &World) -> Vec<(&'static str, Value)> {
    let key = external(world);
    let on_key = json!({"KeyId": key.id});
    let wrapping =
        json!({"KeyId": key.id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let more = json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": world.later(1, 0).seconds(),
        "KeyMaterialDescription": "d"});
    let import = Parameters::of(world, &key).request(&key, &[1; 32], more);
    vec![
        ("GetParametersForImport", wrapping),
        ("ImportKeyMaterial", import),
        ("DescribeKey", on_key.clone()),
        ("ListKeyRotations", json!({"KeyId": key.id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"})),
        ("DeleteImportedKeyMaterial", on_key),
    ]
}

/// Requests of the operations on keys of other kinds that succeed, one after the other.
fn successes_of_kinds(world: &World) -> Vec<(&'static str, Value)> {
    let message = base64(b"message");
    let of = |spec, usage| make(world, spec, usage).id;
    let (encrypts, signs) = (of("RSA_2048", "ENCRYPT_DECRYPT"), of("ECC_NIST_P256", "SIGN_VERIFY"));
    let (authenticates, agrees) =
        (of("HMAC_256", "GENERATE_VERIFY_MAC"), of("ECC_NIST_P256", "KEY_AGREEMENT"));
    let encapsulates = of("ML_KEM_512", "ENCAPSULATE_DECAPSULATE");
    let sign = json!({"KeyId": signs, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"});
    let mac = json!({"KeyId": authenticates, "Message": message, "MacAlgorithm": "HMAC_SHA_256"});
    let with = |request: &Value, member: &str, value: &Value| {
        let mut request = request.clone();
        request[member] = value.clone();
        request
    };
    let signature = &world.succeed(ALICE, "Sign", sign.clone())["Signature"];
    let code = &world.succeed(ALICE, "GenerateMac", mac.clone())["Mac"];
    let public = &world.succeed(ALICE, "GetPublicKey", json!({"KeyId": agrees}))["PublicKey"];
    let symmetric = world.key(ALICE).id;
    let mut calls = vec![
        ("Verify", with(&sign, "Signature", signature)),
        ("Sign", sign),
        ("VerifyMac", with(&mac, "Mac", code)),
        ("GenerateMac", mac),
        (
            "DeriveSharedSecret",
            json!({"KeyId": agrees, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public}),
        ),
        ("Encapsulate", json!({"KeyId": encapsulates, "EncapsulationAlgorithm": "ML_KEM"})),
        (
            "Decapsulate",
            json!({"KeyId": encapsulates, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": base64(&[7; 768])}),
        ),
        ("GenerateDataKeyPair", json!({"KeyId": symmetric, "KeyPairSpec": "ECC_NIST_P256"})),
        ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyId": symmetric, "KeyPairSpec": "ECC_NIST_P256"})),
    ];
    calls.push(("DescribeKey", json!({"KeyId": authenticates})));
    for key in [encrypts, signs, agrees, encapsulates] {
        calls.push(("DescribeKey", json!({"KeyId": key})));
        calls.push(("GetPublicKey", json!({"KeyId": key})));
    }
    calls
}

/// Requests of the operations on grants that succeed, one after the other.
fn successes_of_grants(world: &World) -> Vec<(&'static str, Value)> {
    let key = world.key(ALICE).id;
    let root = "arn:aws:iam::111122223333:root";
    let context = json!({"a": "b"});
    let grant = json!({"KeyId": key, "GranteePrincipal": root, "RetiringPrincipal": root,
        "Operations": ["Encrypt"], "Name": "n", "Constraints": {"EncryptionContextEquals": context}});
    let to_service = json!({"KeyId": key, "GranteeServicePrincipal": "ec2.amazonaws.com",
        "RetiringServicePrincipal": "ec2.amazonaws.com", "Operations": ["Decrypt"],
        "Constraints": {"EncryptionContextSubset": context,
            "SourceArn": "arn:aws:ec2:us-east-1:111122223333:volume/vol-1"}});
    let made = || {
        world.succeed(
            ALICE,
            "CreateGrant",
            json!({"KeyId": key, "GranteePrincipal": root,
        "RetiringPrincipal": root, "Operations": ["DescribeKey"]}),
        )
    };
    let (retired, revoked) = (made(), made());
    made();
    let retirable = json!({"RetiringPrincipal": root, "Limit": 1});
    vec![
        ("CreateGrant", grant),
        ("CreateGrant", to_service),
        ("ListGrants", json!({"KeyId": key})),
        ("ListGrants", json!({"KeyId": key, "Limit": 1})),
        ("ListRetirableGrants", retirable),
        ("RetireGrant", json!({"GrantToken": retired["GrantToken"]})),
        ("RevokeGrant", json!({"KeyId": key, "GrantId": revoked["GrantId"]})),
    ]
}

/// The request with a recipient.
fn enveloped(mut request: Value) -> Value {
    request["Recipient"] = named(&Document::enclave(trusted(), START).sign());
    request
}

/// Answers have the model's members with the model's types, and all of them but those that cannot be.
#[test]
fn answers_are_the_models() {
    let (model, world) = (Model::installed(), World::new());
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let set = world.key_with(ALICE, json!({"MultiRegion": true}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let (mut present, mut possible, mut called) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut calls = successes(&key.id, &other.id, &set.id, &blob);
    calls.extend(successes_of_imports(&world));
    calls.extend(successes_of_kinds(&world));
    calls.extend(successes_of_grants(&world));
    for (operation, request) in calls.clone() {
        // Once more for a recipient, where there can be one.
        if model.places(operation).iter().any(|place| place.pointer == "/Recipient") {
            calls.insert(0, (operation, enveloped(request)));
        }
    }
    for (operation, request) in calls {
        let answer = world.succeed(ALICE, operation, request);
        called.insert(operation);
        match model.output(operation) {
            Some(output) => {
                model.check_answer(output, &answer, &mut present);
                possible.extend(model.members_of_answer(output));
            }
            None => assert_eq!(answer, Value::Null, "{operation} answers nothing"),
        }
    }
    assert_eq!(called, ops::ALL.iter().map(|entry| entry.name).collect(), "every operation was called");
    let present: BTreeSet<String> = present.into_iter().collect();
    let is_absent = |member: &String| {
        ABSENT.iter().any(|(name, _)| {
            member == name
                || member.strip_prefix(name).is_some_and(|rest| rest.starts_with('.') && !name.contains('.'))
        })
    };
    let missing: Vec<_> = possible.difference(&present).filter(|member| !is_absent(member)).collect();
    assert!(missing.is_empty(), "no answer has {missing:?}");
    let stale: Vec<_> = present.iter().filter(|member| is_absent(member)).collect();
    assert!(stale.is_empty(), "answers do have {stale:?}");
}

/// Calls and errors of a transcript.
fn errors_of(transcript: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = transcript.lines();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let operation = match words[..] {
            ["alice" | "bob", "in", _, operation, ..] | ["alice" | "bob", operation, ..] => operation,
            _ => continue,
        };
        let answer = lines.find(|line| line.starts_with("200 ") || line.starts_with("400 ")).unwrap();
        if let Some((_, rest)) = answer.split_once("{\"__type\":\"") {
            found.push((operation.to_owned(), rest.split('"').next().unwrap().to_owned()));
        }
    }
    found
}

/// Errors that the model does not declare, and why they are answered all the same. `*` stands for any operation.
const UNDECLARED: [(&str, &str, &str); 5] = [
    ("*", "UnsupportedOperationException", "what this version does not serve says so"),
    (
        "CreateAlias",
        "NotAuthorizedException",
        "what AWS was seen to answer for names reserved for its services",
    ),
    ("UpdateAlias", "NotAuthorizedException", "as CreateAlias"),
    ("DeleteAlias", "NotAuthorizedException", "as CreateAlias"),
    (
        "DescribeKey",
        "InvalidGrantTokenException",
        "it takes grant tokens, and the model names no error for a wrong one",
    ),
];

/// Every error in every transcript of these tests is one that the model declares for its operation.
#[test]
fn errors_are_the_models() {
    let model = Model::installed();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service/golden");
    let (mut undeclared, mut seen) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for (operation, error) in errors_of(&text) {
            seen += 1;
            let known = model.operations().any(|name| name == operation);
            let declared = COMMON.contains(&&*error) || known && model.declares(&operation, &error);
            if !declared {
                undeclared.insert((operation, error));
            }
        }
    }
    assert!(seen > 100, "the transcripts were read");
    let excuse = |(operation, error): &(String, String)| {
        UNDECLARED.iter().position(|(name, code, _)| (*name == "*" || name == operation) && code == error)
    };
    let unexcused: Vec<_> = undeclared.iter().filter(|pair| excuse(pair).is_none()).collect();
    assert!(unexcused.is_empty(), "{unexcused:#?}");
    let needed: BTreeSet<usize> = undeclared.iter().filter_map(excuse).collect();
    assert_eq!(needed.len(), UNDECLARED.len(), "every excuse is still needed");
}

/// What the API has and this version does not says so in its answer, and in the trail.
#[test]
fn operations_that_are_not_served_say_so() {
    let world = World::new();
    for operation in NOT_SERVED {
        let answer = world.send(&Ask::new(ALICE, operation, json!({})));
        let expected = json!({"__type": "UnsupportedOperationException",
            "message": format!("{operation} is not served by this version of Claviger.")});
        assert_eq!((answer.status, answer.body), (400, expected.to_string()));
    }
}
