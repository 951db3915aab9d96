//! What is revoked is revoked when the answer says so: on every host, in the HSM, and for aliases in motion.

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use claviger_service::{Handled, Service};
use serde_json::{Value, json};

use crate::policies::{open_to, policy};
use crate::world::{ALICE, Ask, BOB, World, advance, block_on, lock};

/// How many tasks use the key while it is revoked.
const TASKS: usize = 8;
/// How many calls each of them starts afterwards.
const CALLS_AFTER: usize = 25;

/// Raises a flag at the end of its scope, also when the test fails there: its tasks wait for the flag.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn body(handled: &Handled) -> Value {
    serde_json::from_slice(&handled.outgoing.body).unwrap_or_default()
}

/// Uses a key from many tasks on two hosts, revokes it on one of them, and looks for a use that was started after the
/// revocation was acknowledged and was served all the same (invariant I6).
fn check_revoked(operation: &str, request: impl Fn(&str) -> Value, expected: &str) {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let now = world.now();
    let decrypt = Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob})).incoming(now);
    let hosts = [world.another_host(), world.another_host()];
    let revoked = AtomicBool::new(false);
    let (served, all_served) = mpsc::channel();
    let use_it = |host: &Service, served: mpsc::Sender<()>| {
        let mut after = 0;
        while after < CALLS_AFTER {
            let too_late = revoked.load(Ordering::SeqCst);
            let handled = block_on(host.handle(&decrypt, now));
            match handled.code {
                None => {
                    assert!(!too_late, "{operation} was acknowledged, and a later Decrypt was served");
                    // Nobody counts any more once it was revoked.
                    served.send(()).unwrap_or_default();
                }
                code => assert_eq!(code, Some(expected)),
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
        let _raised_at_last = Raise(&revoked);
        // The key is in use when it is revoked.
        (0..2 * TASKS).for_each(|_| all_served.recv().unwrap());
        let handled = world.handle(&Ask::new(ALICE, operation, request(&key.id)));
        assert_eq!(handled.outgoing.status, 200);
    });
}

#[test]
fn a_disabled_key_serves_no_later_call() {
    check_revoked("DisableKey", |id| json!({"KeyId": id}), "DisabledException");
}

#[test]
fn a_key_to_be_deleted_serves_no_later_call() {
    check_revoked("ScheduleKeyDeletion", |id| json!({"KeyId": id}), "KMSInvalidStateException");
}

#[test]
fn a_policy_that_was_replaced_serves_no_later_call() {
    let put = |id: &str| {
        let policy = policy(open_to(BOB.account));
        json!({"KeyId": id, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true})
    };
    check_revoked("PutKeyPolicy", put, "AccessDeniedException");
}

/// Attack J14: no answer leaves while the HSM may still hold the key unwrapped. The key is refused all the while.
#[test]
fn j14_the_hsm_forgets_the_key_before_the_answer() {
    for operation in ["DisableKey", "ScheduleKeyDeletion"] {
        let world = World::new();
        let key = world.key(ALICE);
        let blob = world.encrypt(ALICE, &key, b"x", json!({}));
        let (now, events) = (world.now(), world.ledger.len());
        let revoke = Ask::new(ALICE, operation, json!({"KeyId": key.id})).incoming(now);
        world.vault.hold(Some("Evict"));
        world.vault.forget_sent();
        let mut revoking = pin!(world.service.handle(&revoke, now));
        assert!(!advance(revoking.as_mut()), "{operation} answered before the HSM forgot the key");
        assert_eq!(world.vault.sent(), ["Evict"]);
        let decrypt = world.handle(&Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob})));
        assert!(decrypt.code.is_some(), "{operation} is committed, and the key is still served");
        assert_eq!(world.ledger.len(), events + 1, "the event comes with the answer");
        world.vault.hold(None);
        assert_eq!(block_on(revoking).outgoing.status, 200);
        assert_eq!(world.ledger.len(), events + 2);
    }
}

/// Whoever disables a key again after the HSM could not be asked has it forgotten then.
#[test]
fn a_key_that_the_hsm_did_not_forget_is_forgotten_by_the_next_call() {
    let world = World::new();
    let key = world.key(ALICE);
    world.vault.cut(true);
    assert_eq!(world.refuse(ALICE, "DisableKey", json!({"KeyId": key.id})), "DependencyTimeoutException");
    world.vault.cut(false);
    let again = world.send(&Ask::new(ALICE, "DisableKey", json!({"KeyId": key.id})));
    assert_eq!((again.code, again.commands), (None, vec!["Evict"]));
}

/// Attack B13: an alias is pointed to and fro while it is used. Each call uses the key that was decided about, and none
/// the key that its policy closes.
#[test]
fn b13_an_alias_in_motion_never_leads_to_a_key_that_was_not_authorized() {
    let world = World::new();
    let (open, closed) = (world.key(ALICE), world.key(ALICE));
    let mut statement = open_to(ALICE.account);
    statement.as_object_mut().unwrap().remove("Action");
    statement["NotAction"] = json!("kms:Encrypt");
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": closed.id, "Policy": policy(statement)}));
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": open.id}));
    let now = world.now();
    let encrypt =
        Ask::new(ALICE, "Encrypt", json!({"KeyId": "alias/app", "Plaintext": "eA=="})).incoming(now);
    let (done, blobs) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (refused, served) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let host = world.another_host();
            let (done, blobs, encrypt, open, closed) = (&done, &blobs, &encrypt, &open, &closed);
            let (refused, served) = (&refused, &served);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    let handled = block_on(host.handle(encrypt, now));
                    let body = body(&handled);
                    if handled.code.is_none() {
                        assert_eq!(body["KeyId"], open.arn);
                        lock(blobs).push(body["CiphertextBlob"].clone());
                        served.store(true, Ordering::SeqCst);
                    } else {
                        assert!(body["Message"].as_str().unwrap().contains(&closed.arn), "{body}");
                        refused.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
        let _raised_at_last = Raise(&done);
        let point = |key: &str| {
            let handled = world.handle(&Ask::new(
                ALICE,
                "UpdateAlias",
                json!({"AliasName": "alias/app", "TargetKeyId": key}),
            ));
            assert_eq!(handled.outgoing.status, 200, "{:?}", handled.cause);
            block_on(world.service.handle(&encrypt, now)).code
        };
        let mut rounds = 0;
        let both = || refused.load(Ordering::SeqCst) && served.load(Ordering::SeqCst);
        while rounds < 200 || (!both() && rounds < 100_000) {
            assert_eq!(point(&closed.id), Some("AccessDeniedException"), "UpdateAlias was acknowledged");
            assert_eq!(point(&open.id), None, "UpdateAlias was acknowledged");
            rounds += 1;
        }
        assert!(both(), "the tasks met the alias on either key");
    });
    for blob in lock(&blobs).iter().take(100) {
        assert_eq!(world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}))["KeyId"], open.arn);
    }
}
