//! Grant tokens, and grants that are taken away: what is gone gives nothing, to nobody, on no host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use claviger_service::Service;
use claviger_service::kms::ops;
use serde_json::{Value, json};

use crate::grants::{ALICES, DENIED, describe, encrypt, error, grant, wanted, with_ann};
use crate::kinds::uses;
use crate::model::Model;
use crate::world::{ALICE, Ask, World, block_on};

fn with_token(mut request: Value, token: &str) -> Value {
    request["GrantTokens"] = json!([token]);
    request
}

/// Attack E4: a token that is altered, of another key, or of another's grant gives nothing; one of this key is taken.
#[test]
fn e04_a_token_must_be_genuine_and_of_the_key() {
    let (world, key, ann, to) = with_ann();
    let other = world.key(ALICE);
    let mine = grant(&world, &key, &to, &["Encrypt", "ReEncryptTo"], json!({}));
    let theirs = grant(&world, &key, ALICES, &["Decrypt", "DescribeKey"], json!({}));
    let of_other = grant(&world, &other, &to, &["Encrypt", "ReEncryptFrom"], json!({}));
    let invalid = Some("InvalidGrantTokenException");
    let check = |operation: &str, request: &Value, token: &str, expected: Option<&str>| {
        let code = error(&world, &ann, operation, &with_token(request.clone(), token));
        assert_eq!(code.as_deref(), expected, "{operation} {token}");
    };
    check("Encrypt", &encrypt(&key), &mine.token, None);
    check("Encrypt", &encrypt(&key), &theirs.token, None);
    check("Encrypt", &encrypt(&key), &of_other.token, invalid);
    check("Encrypt", &encrypt(&key), &mine.token.to_lowercase(), invalid);
    check("Encrypt", &encrypt(&key), mine.token.split_at(40).0, invalid);
    check("Encrypt", &encrypt(&key), &mine.id, invalid);
    // Another's token makes nobody another.
    check("DescribeKey", &describe(&key), &theirs.token, DENIED);
    check("DescribeKey", &describe(&key), &of_other.token, DENIED);
    let blob = world.encrypt(ALICE, &other, b"x", json!({}));
    let reencrypt = json!({"CiphertextBlob": blob, "DestinationKeyId": key.arn});
    check("ReEncrypt", &reencrypt, &mine.token, None);
    check("ReEncrypt", &reencrypt, &of_other.token, None);
    let third = grant(&world, &world.key(ALICE), ALICES, &["Encrypt"], json!({}));
    check("ReEncrypt", &reencrypt, &third.token, invalid);
    // Of several, each must be one.
    let mut request = encrypt(&key);
    for tokens in [[&*mine.token, "x"], ["x", &*mine.token], [&*mine.token, &*third.token]] {
        request["GrantTokens"] = json!(tokens);
        assert_eq!(error(&world, &ann, "Encrypt", &request).as_deref(), invalid, "{tokens:?}");
    }
    // Another installation's are not ours.
    let elsewhere = World::new();
    let key_there = elsewhere.key(ALICE);
    let foreign = grant(&elsewhere, &key_there, ALICES, &["Encrypt"], json!({}));
    check("Encrypt", &encrypt(&key), &foreign.token, invalid);
}

/// Attack E4: no operation that takes tokens forgets to look at them.
#[test]
fn e04_every_operation_looks_at_its_grant_tokens() {
    let (model, world) = (Model::installed(), World::new());
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let of_other = grant(&world, &other, ALICES, &["Encrypt"], json!({}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let third = world.key(ALICE);
    let mut requests = uses(&key.id);
    requests.retain(|(operation, _)| *operation != "Decrypt");
    requests.extend([
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": third.id})),
        ("DescribeKey", describe(&key)),
        ("CreateGrant", wanted(&key, ALICES, &["Encrypt"], json!({}))),
    ]);
    let takes_tokens = |name: &str| model.places(name).iter().any(|place| place.pointer == "/GrantTokens");
    for entry in ops::ALL.iter().filter(|entry| takes_tokens(entry.name)) {
        let request = requests.iter().find(|(operation, _)| *operation == entry.name);
        let (_, request) = request.unwrap_or_else(|| panic!("{} is called", entry.name));
        for token in ["a-grant-token", &of_other.token] {
            let code = world.refuse(ALICE, entry.name, with_token(request.clone(), token));
            assert_eq!(code, "InvalidGrantTokenException", "{}", entry.name);
        }
    }
}

/// Attack E5: when a grant is revoked or retired, its token is worth nothing from then on.
#[test]
fn e05_a_revoked_grant_has_no_power() {
    let (world, key, ann, to) = with_ann();
    let other = world.another_host();
    for operation in ["RevokeGrant", "RetireGrant"] {
        let made = grant(&world, &key, &to, &["Encrypt"], json!({}));
        let request = ann.json(&world, "Encrypt", &with_token(encrypt(&key), &made.token));
        let on = |host: &Service| block_on(host.handle(&request, world.now())).code;
        assert_eq!((on(&world.service), on(&other)), (None, None));
        world.succeed(ALICE, operation, json!({"KeyId": key.id, "GrantId": made.id}));
        assert_eq!((on(&world.service), on(&other)), (DENIED, DENIED), "{operation}");
        let code = world.refuse(ALICE, "RetireGrant", json!({"GrantToken": made.token}));
        assert_eq!(code, "InvalidGrantTokenException");
    }
}

/// How many tasks use the key while its grant is revoked, and how many calls each starts afterwards.
const TASKS: usize = 6;
const CALLS_AFTER: usize = 25;

/// Attack E13: of the calls in flight when a grant is revoked, none that was started after the answer is served, on any
/// host (invariant I6).
#[test]
fn e13_a_grant_that_was_revoked_serves_no_later_call() {
    let (world, key, ann, to) = with_ann();
    let made = grant(&world, &key, &to, &["Encrypt"], json!({}));
    let now = world.now();
    let request = ann.json(&world, "Encrypt", &with_token(encrypt(&key), &made.token));
    let hosts = [world.another_host(), world.another_host()];
    let revoked = AtomicBool::new(false);
    let (served, all_served) = mpsc::channel();
    let use_it = |host: &Service, served: mpsc::Sender<()>| {
        let mut after = 0;
        while after < CALLS_AFTER {
            let too_late = revoked.load(Ordering::SeqCst);
            match block_on(host.handle(&request, now)).code {
                None => {
                    assert!(!too_late, "the grant was revoked, and a later call was served");
                    served.send(()).unwrap_or_default();
                }
                code => assert_eq!(code, DENIED),
            }
            after += usize::from(too_late);
        }
    };
    std::thread::scope(|scope| {
        for task in 0..TASKS {
            let (use_it, host, served) = (&use_it, &hosts[task % hosts.len()], served.clone());
            scope.spawn(move || use_it(host, served));
        }
        drop(served);
        (0..2 * TASKS).for_each(|_| all_served.recv().unwrap());
        let revoke = Ask::new(ALICE, "RevokeGrant", json!({"KeyId": key.id, "GrantId": made.id}));
        let status = world.handle(&revoke).outgoing.status;
        // Also when that failed: the tasks wait for it.
        revoked.store(true, Ordering::SeqCst);
        assert_eq!(status, 200);
    });
}
