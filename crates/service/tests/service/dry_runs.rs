//! Dry runs: decided about as the calls are that they stand for.

use std::collections::BTreeSet;

use claviger_service::kms::ops;
use serde_json::{Value, json};

use crate::actor::{give, new_user};
use crate::model::Model;
use crate::state_matrix::{Origin, Stage, kinds, operation_of};
use crate::world::{ALICE, Ask, World};

/// The operations that AWS's model gives a `DryRun`.
fn with_dry_run() -> BTreeSet<&'static str> {
    let model = Model::installed();
    let has = |name: &&str| model.body(name, true).get("DryRun").is_some();
    ops::ALL.iter().map(|entry| entry.name).filter(has).collect()
}

/// Requests that succeed for the owner: on a symmetric key with its grant, and on keys of every usage.
fn requests(stage: &Stage, world: &World) -> Vec<(&'static str, Value)> {
    let mut requests = stage.requests();
    requests.retain(|(label, _)| *label == operation_of(label) || label.starts_with("ReEncrypt"));
    requests.retain(|(operation, _)| {
        !["Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate"]
            .contains(operation)
    });
    requests.extend(kinds(world).into_iter().flat_map(|(_, requests)| requests));
    let wanted = with_dry_run();
    requests.retain(|(label, _)| wanted.contains(operation_of(label)));
    requests.into_iter().map(|(label, request)| (operation_of(label), request)).collect()
}

/// Attack B25: who may not do a thing may not try it either, and is recorded as one who may not; who may is told so, and
/// nothing is done.
#[test]
fn b25_a_dry_run_is_decided_about_as_the_call() {
    let stage = Stage::set(Origin::Made);
    let world = &stage.world;
    let requests = requests(&stage, world);
    let called: BTreeSet<&str> = requests.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(called, with_dry_run());
    let ann = new_user(world, ALICE, "Ann");
    for (operation, mut request) in requests {
        request["DryRun"] = json!(true);
        // ReEncrypt has two actions, one for each key.
        let action = format!("kms:{operation}*");
        let but = json!([{"Effect": "Allow", "NotAction": action, "Resource": "*"}]);
        give(world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": but}).to_string());
        world.vault.forget_sent();
        let refused = ann.kms(world, operation, &request);
        assert_eq!(refused.code().as_deref(), Some("AccessDeniedException"), "{operation}");
        assert_eq!(refused.event["errorCode"], "AccessDenied", "{operation}");
        assert_eq!(world.vault.sent(), [""; 0], "{operation} reached the HSM");
        let before: Vec<_> = world.content().into_iter().map(|record| (record.name, record.value)).collect();
        let allowed = world.send(&Ask::new(ALICE, operation, request));
        let verifies = ["Verify", "VerifyMac", "Decapsulate"].contains(&operation);
        let says = allowed.code.unwrap_or_default();
        assert!(
            says == "DryRunOperationException" || (verifies && says != "AccessDeniedException"),
            "{operation} {says}"
        );
        let after: Vec<_> = world.content().into_iter().map(|record| (record.name, record.value)).collect();
        assert!(after == before, "{operation} changed something");
    }
}
