//! Revocation is linearizable (invariant I6): every way to take a permission away, against uses on several threads.
//!
//! Each thread has a runtime of its own and shares the host's cache with the others, as the program's threads do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_service::Service;
use claviger_wire::incoming::Incoming;
use serde_json::{Value, json};

use crate::actor::{Actor, allow, credentials, give, new_user, trusts};
use crate::grants;
use crate::history::{Change, History, Use, first_impossible};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, Key, World, block_on, lock};

/// Threads that use the key.
const THREADS: usize = 4;
/// How often it is closed and opened, at least; and at most, where no use met a change.
const ROUNDS: std::ops::Range<usize> = 12..2_000;

/// The requests that close and open again, and the error of a use that is refused.
struct Switch {
    close: Incoming,
    /// `None` where what was closed stays so.
    open: Option<Incoming>,
    refused: &'static str,
}

/// A key, a user that may use it, and requests of it.
struct Scene {
    world: World,
    key: Key,
    user: Actor,
    uses: Vec<Incoming>,
}

impl Scene {
    fn set() -> Self {
        let world = World::new();
        let key = world.key(ALICE);
        let user = new_user(&world, ALICE, "Ann");
        give(&world, ALICE, "Ann", &allow(&["kms:*"]));
        let mut scene = Self { world, key, user, uses: Vec::new() };
        scene.uses = scene.uses_of(&scene.user);
        scene
    }

    /// What an actor asks: all three of the operations that matter most.
    fn uses_of(&self, actor: &Actor) -> Vec<Incoming> {
        let blob = self.world.encrypt(ALICE, &self.key, b"x", json!({}));
        [
            ("Encrypt", json!({"KeyId": self.key.id, "Plaintext": "eA=="})),
            ("Decrypt", json!({"CiphertextBlob": blob, "KeyId": self.key.id})),
            ("GenerateDataKey", json!({"KeyId": self.key.id, "KeySpec": "AES_256"})),
        ]
        .iter()
        .map(|(operation, request)| actor.json(&self.world, operation, request))
        .collect()
    }

    fn kms(&self, operation: &str, request: &Value) -> Incoming {
        Actor::from(ALICE).json(&self.world, operation, request)
    }

    fn iam(&self, action: &str, members: &[(&str, &str)]) -> Incoming {
        Actor::from(ALICE).query(&self.world, "iam", action, members)
    }

    /// Closes and opens while the key is used on these hosts, and answers what happened. `planted` stands between the
    /// uses and the service.
    fn play(&self, switch: &Switch, hosts: &[&Service], planted: &Planted<'_>) -> History {
        let (history, done) = (History::default(), AtomicBool::new(false));
        let now = self.world.now();
        let serve = |host: &Service, incoming: &Incoming| {
            let handled = block_on(host.handle(incoming, now));
            let expected = [None, Some(switch.refused)].contains(&handled.code);
            assert!(expected, "{:?}: {:?}", handled.code, handled.cause);
            handled.code.is_none()
        };
        let use_it = |thread: usize, number: usize| {
            let (host, incoming) = (hosts[thread % hosts.len()], &self.uses[number % self.uses.len()]);
            let start = history.tick();
            let served = planted(thread, &|| serve(host, incoming));
            history.used(start, served);
        };
        let change = |incoming: &Incoming| {
            let start = history.tick();
            let handled = block_on(self.world.service.handle(incoming, now));
            assert_eq!(handled.outgoing.status, 200, "{:?}", handled.cause);
            history.changed(start);
        };
        std::thread::scope(|scope| {
            for thread in 1..=THREADS {
                let (use_it, done) = (&use_it, &done);
                let under_way = move |_: &usize| !done.load(Ordering::SeqCst);
                scope.spawn(move || (0..).take_while(under_way).for_each(|number| use_it(thread, number)));
            }
            let _raised_at_last = Raise(&done);
            for round in 0..ROUNDS.end {
                (0..2).for_each(|number| use_it(0, number));
                change(&switch.close);
                (0..2).for_each(|number| use_it(0, number));
                let Some(open) = &switch.open else { break };
                change(open);
                if round >= ROUNDS.start && history.overlaps() >= THREADS {
                    break;
                }
            }
        });
        history
    }

    fn check(&self, switch: &Switch) {
        let further = self.world.another_host();
        let (one, two) = ([&self.world.service], [&self.world.service, &further]);
        // What stays closed is closed once, before both.
        let plays: &[&[&Service]] = if switch.open.is_some() { &[&one, &two] } else { &[&two] };
        for hosts in plays {
            let history = self.play(switch, hosts, &|_, serve| serve());
            assert_eq!(history.first_impossible(), None);
            assert!(history.outcomes().iter().all(|count| *count > 0), "{:?}", history.outcomes());
        }
    }
}

/// What a thread makes of a use.
type Planted<'a> = dyn Fn(usize, &dyn Fn() -> bool) -> bool + Sync + 'a;

/// Raises a flag at the end of its scope, also when the test fails there: the threads wait for it.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A permission that is closed and opened by calls of IAM.
fn check_iam(close: (&str, &[(&str, &str)]), open: (&str, &[(&str, &str)]), refused: &'static str) {
    let scene = Scene::set();
    let (close, open) = (scene.iam(close.0, close.1), Some(scene.iam(open.0, open.1)));
    scene.check(&Switch { close, open, refused });
}

const DENIED: &str = "AccessDeniedException";
const UNKNOWN: &str = "UnrecognizedClientException";

#[test]
fn b26_disabling_a_key_is_linearizable() {
    let scene = Scene::set();
    let on_key = json!({"KeyId": scene.key.id});
    let (close, open) = (scene.kms("DisableKey", &on_key), Some(scene.kms("EnableKey", &on_key)));
    scene.check(&Switch { close, open, refused: "DisabledException" });
}

#[test]
fn b26_a_key_policy_is_linearizable() {
    let scene = Scene::set();
    let put =
        |document: String| scene.kms("PutKeyPolicy", &json!({"KeyId": scene.key.id, "Policy": document}));
    let denies = json!({"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:user/Ann"},
        "Action": "kms:*", "Resource": "*"});
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), denies]}).to_string();
    let (close, open) = (put(both), Some(put(policy(open_to(ALICE.account)))));
    scene.check(&Switch { close, open, refused: DENIED });
}

#[test]
fn b26_an_inline_policy_is_linearizable() {
    let document = allow(&["kms:*"]);
    let name = [("UserName", "Ann"), ("PolicyName", "p")];
    let put = [("UserName", "Ann"), ("PolicyName", "p"), ("PolicyDocument", &*document)];
    check_iam(("DeleteUserPolicy", &name), ("PutUserPolicy", &put), DENIED);
}

#[test]
fn b26_attached_policies_and_their_versions_are_linearizable() {
    let scene = Scene::set();
    let root = Actor::from(ALICE);
    root.does(&scene.world, "DeleteUserPolicy", &[("UserName", "Ann"), ("PolicyName", "p")]);
    let document = allow(&["kms:*"]);
    let made = root.does(&scene.world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &document)]);
    let arn = made.element("Arn").to_owned();
    let attachment = [("UserName", "Ann"), ("PolicyArn", &*arn)];
    root.does(&scene.world, "AttachUserPolicy", &attachment);
    let (close, open) =
        (scene.iam("DetachUserPolicy", &attachment), Some(scene.iam("AttachUserPolicy", &attachment)));
    scene.check(&Switch { close, open, refused: DENIED });
    let none = allow(&["s3:*"]);
    root.does(&scene.world, "CreatePolicyVersion", &[("PolicyArn", &arn), ("PolicyDocument", &none)]);
    let default =
        |version| scene.iam("SetDefaultPolicyVersion", &[("PolicyArn", &arn), ("VersionId", version)]);
    scene.check(&Switch { close: default("v2"), open: Some(default("v1")), refused: DENIED });
}

#[test]
fn b26_groups_and_boundaries_are_linearizable() {
    let scene = Scene::set();
    let root = Actor::from(ALICE);
    root.does(&scene.world, "DeleteUserPolicy", &[("UserName", "Ann"), ("PolicyName", "p")]);
    root.does(&scene.world, "CreateGroup", &[("GroupName", "G")]);
    let document = allow(&["kms:*"]);
    let policy = [("GroupName", "G"), ("PolicyName", "p"), ("PolicyDocument", &*document)];
    root.does(&scene.world, "PutGroupPolicy", &policy);
    let member = [("GroupName", "G"), ("UserName", "Ann")];
    root.does(&scene.world, "AddUserToGroup", &member);
    let (close, open) =
        (scene.iam("RemoveUserFromGroup", &member), Some(scene.iam("AddUserToGroup", &member)));
    scene.check(&Switch { close, open, refused: DENIED });
    let none = allow(&["s3:*"]);
    let made = root.does(&scene.world, "CreatePolicy", &[("PolicyName", "B"), ("PolicyDocument", &none)]);
    let bound = [("UserName", "Ann"), ("PermissionsBoundary", made.element("Arn"))];
    let (close, open) = (
        scene.iam("PutUserPermissionsBoundary", &bound),
        Some(scene.iam("DeleteUserPermissionsBoundary", &bound[..1])),
    );
    scene.check(&Switch { close, open, refused: DENIED });
}

#[test]
fn b26_an_access_key_is_linearizable() {
    let scene = Scene::set();
    let id = scene.user.access_key_id.clone();
    let status = |status| {
        scene.iam("UpdateAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &id), ("Status", status)])
    };
    scene.check(&Switch { close: status("Inactive"), open: Some(status("Active")), refused: UNKNOWN });
    let close = scene.iam("DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &id)]);
    scene.check(&Switch { close, open: None, refused: UNKNOWN });
}

/// The role has no policy: the key's names it, so that nothing but its deletion closes.
#[test]
fn b26_a_session_ends_with_its_role_at_once() {
    let mut scene = Scene::set();
    let root = Actor::from(ALICE);
    let trust = trusts("arn:aws:iam::111122223333:user/Ann");
    root.does(&scene.world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    let arn = "arn:aws:iam::111122223333:role/R";
    let direct = json!({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "kms:*", "Resource": "*"});
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), direct]}).to_string();
    scene.world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": scene.key.id, "Policy": both}));
    let role = [("RoleArn", arn), ("RoleSessionName", "session")];
    let session = credentials(&scene.user.sts(&scene.world, "AssumeRole", &role));
    scene.uses = scene.uses_of(&session);
    let close = scene.iam("DeleteRole", &[("RoleName", "R")]);
    scene.check(&Switch { close, open: None, refused: UNKNOWN });
}

/// Nothing but the grant allows.
#[test]
fn b26_a_grant_is_linearizable() {
    let scene = Scene::set();
    Actor::from(ALICE).does(&scene.world, "DeleteUserPolicy", &[("UserName", "Ann"), ("PolicyName", "p")]);
    for _ in 0..6 {
        let operations = ["Encrypt", "Decrypt", "GenerateDataKey"];
        let grant =
            grants::grant(&scene.world, &scene.key, &grants::user(ALICE, "Ann"), &operations, json!({}));
        let close = scene.kms("RevokeGrant", &json!({"KeyId": scene.key.id, "GrantId": grant.id}));
        scene.check(&Switch { close, open: None, refused: DENIED });
    }
}

/// The checker is worth something: a cache that is one answer behind is found.
#[test]
fn a_planted_stale_read_is_found() {
    let scene = Scene::set();
    let on_key = json!({"KeyId": scene.key.id});
    let switch = Switch {
        close: scene.kms("DisableKey", &on_key),
        open: Some(scene.kms("EnableKey", &on_key)),
        refused: "DisabledException",
    };
    // What each thread was answered last, which it passes on instead of the answer.
    let last = std::array::from_fn::<_, { THREADS + 1 }, _>(|_| Mutex::new(true));
    let found = scene.play(&switch, &[&scene.world.service], &|thread, serve| {
        std::mem::replace(&mut *lock(&last[thread]), serve())
    });
    assert!(found.first_impossible().is_some());
}

#[test]
fn the_checker_knows_what_is_possible() {
    let check = |changes: &[(u64, u64)], uses: &[(u64, u64, bool)], impossible: Option<usize>| {
        let changes: Vec<Change> = changes.iter().map(|&(start, end)| Change { start, end }).collect();
        let uses: Vec<Use> = uses.iter().map(|&(start, end, served)| Use { start, end, served }).collect();
        assert_eq!(first_impossible(&changes, &uses), impossible.map(|number| uses[number]));
    };
    let closed = [(10, 20)];
    check(&closed, &[(1, 2, true), (21, 22, false)], None);
    // Started after the acknowledgement, and served.
    check(&closed, &[(21, 22, true)], Some(0));
    // Refused before anything was asked for.
    check(&closed, &[(1, 2, false)], Some(0));
    // Under way with the change: either.
    check(&closed, &[(5, 25, true), (6, 26, false), (11, 12, true), (13, 14, false)], None);
    check(&closed, &[(19, 30, true)], None);
    // Refused, and served by one that started later: the change was seen and then was not.
    check(&closed, &[(11, 12, false), (13, 14, true)], Some(1));
    let reopened = [(10, 20), (30, 40)];
    check(&reopened, &[(21, 22, false), (41, 42, true)], None);
    check(&reopened, &[(41, 42, false)], Some(0));
    check(&reopened, &[(21, 29, true)], Some(0));
    check(&reopened, &[(21, 31, true), (22, 35, false)], None);
    check(&reopened, &[(25, 31, true), (32, 33, false)], Some(1));
    check(&reopened, &[(5, 45, true), (5, 46, false)], None);
}
