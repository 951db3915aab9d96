//! Many change one key at once: each call is carried out, in some order.

use claviger_wire::incoming::Incoming;
use serde_json::{Value, json};

use crate::world::{ALICE, Ask, World, block_on};

/// Calls at once.
const CALLS: usize = 40;

/// So many calls at once, all on one key; all succeed.
fn check(operation: &str, body: impl Fn(&str, usize) -> Value) {
    let world = World::new();
    let key = world.key(ALICE);
    let now = world.now();
    let calls: Vec<_> =
        (0..CALLS).map(|number| Ask::new(ALICE, operation, body(&key.id, number)).incoming(now)).collect();
    assert_eq!(all_at_once(&world, &calls), [None; CALLS], "{operation}");
}

/// Makes each call on a thread of its own; answers their errors.
pub(crate) fn all_at_once(world: &World, calls: &[Incoming]) -> Vec<Option<&'static str>> {
    let now = world.now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = calls
            .iter()
            .map(|incoming| scope.spawn(move || block_on(world.service.handle(incoming, now)).code))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[test]
fn racing_changes_of_one_key_are_all_made() {
    let grantee = "arn:aws:iam::111122223333:root";
    check(
        "CreateGrant",
        |key, _| json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["Encrypt"]}),
    );
    check("CreateAlias", |key, number| json!({"TargetKeyId": key, "AliasName": format!("alias/a{number}")}));
    check(
        "TagResource",
        |key, number| json!({"KeyId": key, "Tags": [{"TagKey": format!("k{number}"), "TagValue": ""}]}),
    );
}
