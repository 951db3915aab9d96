//! A call whose caller changes between its decision and its effect: the effect is that of the caller as it is then, or
//! there is none (invariant I6).

use std::pin::pin;
use std::sync::{Arc, Mutex};

use claviger_service::account::{self, Operator};
use claviger_store::{BoxFuture, Changes, Commit, Error, Memory, Read, Revision, Snapshot, Store};
use claviger_wire::incoming::Incoming;
use serde_json::{Value, json};

use crate::actor::{Actor, allow, credentials, give, new_user, trusts};
use crate::multi_region::{EU, check_opens, encrypt, state};
use crate::multi_region_material::{import, imported};
use crate::policies::open_to;
use crate::racing::all_at_once;
use crate::vault::EngineVault;
use crate::world::{ALICE, Ask, Key, REGION, World, advance, block_on, lock};

type Meanwhile = Box<dyn FnOnce() + Send>;

/// A store in which something happens just before the next commit, or before several records are read at once.
#[derive(Default)]
struct Overtaking {
    inner: Memory,
    meanwhile: Mutex<Option<Meanwhile>>,
    before_reading: Mutex<Option<Meanwhile>>,
}

/// Has happen what is to happen. On a thread of its own, as this one is in the middle of something.
fn happens(meanwhile: &Mutex<Option<Meanwhile>>) {
    let meanwhile = lock(meanwhile).take();
    if let Some(meanwhile) = meanwhile {
        std::thread::spawn(meanwhile).join().unwrap();
    }
}

impl Store for Overtaking {
    fn read(&self, reads: Vec<Read>) -> BoxFuture<'_, Result<Snapshot, Error>> {
        Box::pin(async move {
            if reads.len() > 1 && reads.iter().all(|read| matches!(read, Read::One(_))) {
                happens(&self.before_reading);
            }
            self.inner.read(reads).await
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async move {
            happens(&self.meanwhile);
            self.inner.commit(commit).await
        })
    }

    fn changes(&self, from: Revision) -> BoxFuture<'_, Result<Changes, Error>> {
        self.inner.changes(from)
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        self.inner.barrier()
    }
}

/// Ann, who may do everything and is in the group G, and a session of the role R, which may do everything too.
struct Scene {
    store: Arc<Overtaking>,
    world: Arc<World>,
    ann: Actor,
    session: Actor,
}

/// A call of IAM.
type Asked<'a> = (&'a str, &'a [(&'a str, &'a str)]);

impl Scene {
    fn new() -> Self {
        let store = Arc::new(Overtaking::default());
        let world = World::over(Arc::<Overtaking>::clone(&store), Arc::new(EngineVault::new()));
        let (ann, all) = (new_user(&world, ALICE, "Ann"), allow(&["*"]));
        give(&world, ALICE, "Ann", &all);
        let trusts = trusts("arn:aws:iam::111122223333:user/Ann");
        let made: [Asked<'_>; 7] = [
            ("CreateUser", &[("UserName", "Eve")]),
            ("CreateGroup", &[("GroupName", "G")]),
            ("AddUserToGroup", &[("GroupName", "G"), ("UserName", "Ann")]),
            ("CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trusts)]),
            ("PutRolePolicy", &[("RoleName", "R"), ("PolicyName", "p"), ("PolicyDocument", &all)]),
            ("CreatePolicy", &[("PolicyName", "No"), ("PolicyDocument", DENY)]),
            ("CreatePolicy", &[("PolicyName", "Yes"), ("PolicyDocument", &all)]),
        ];
        for (action, members) in made {
            Actor::from(ALICE).does(&world, action, members);
        }
        let role = [("RoleArn", "arn:aws:iam::111122223333:role/R"), ("RoleSessionName", "s1")];
        let session = credentials(&ann.sts(&world, "AssumeRole", &role));
        Self { store, world: Arc::new(world), ann, session }
    }

    /// Has Eve tagged, and something happen between the decision about that and its effect. Answers the error, and
    /// whether she is tagged.
    fn overtaken(
        &self,
        caller: &Actor,
        meanwhile: impl FnOnce(&World) + Send + 'static,
    ) -> (Option<&'static str>, bool) {
        let tag = [("UserName", "Eve"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
        self.overtakes(&caller.query(&self.world, "iam", "TagUser", &tag), "/eve", meanwhile)
    }

    /// The same of any call. Answers whether the record whose name ends so has changed.
    fn overtakes(
        &self,
        request: &Incoming,
        ending: &str,
        meanwhile: impl FnOnce(&World) + Send + 'static,
    ) -> (Option<&'static str>, bool) {
        let is_it = |name: &[u8]| name.ends_with(ending.as_bytes()) && !name.starts_with(b"principal/");
        let watched = || self.world.content().into_iter().filter(|it| is_it(&it.name)).collect();
        let (before, world): (Vec<_>, _) = (watched(), Arc::clone(&self.world));
        *lock(&self.store.meanwhile) = Some(Box::new(move || meanwhile(&world)));
        let (now, events) = (self.world.now(), self.world.ledger.len());
        let handled = block_on(self.world.service.handle(request, now));
        assert!(lock(&self.store.meanwhile).is_none(), "nothing was overtaken");
        let written = self.world.ledger.since(events);
        let own = written.iter().map(|event| serde_json::from_slice::<Value>(event).unwrap());
        let own: Vec<_> = own.filter(|event| event["requestID"] == handled.outgoing.request_id).collect();
        assert!(own.len() == 1 && !before.is_empty());
        assert_eq!(own[0]["errorCode"].is_null(), handled.code.is_none(), "{}", own[0]);
        (handled.code, watched() != before)
    }
}

const DENY: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:TagUser", "Resource": "*"}}"#;
const POLICY: &str = "arn:aws:iam::111122223333:policy/No";
const YES: &str = "arn:aws:iam::111122223333:policy/Yes";

/// Ann's call, or that of the session, is overtaken by a change that takes from her what it needs.
fn check(is_session: bool, asked: Asked<'_>, expected: &'static str) {
    check_after(&[], is_session, asked, expected);
}

fn check_after(before: &[Asked<'_>], is_session: bool, (action, members): Asked<'_>, expected: &'static str) {
    let scene = Scene::new();
    for (action, members) in before {
        Actor::from(ALICE).does(&scene.world, action, members);
    }
    let caller = if is_session { &scene.session } else { &scene.ann };
    let own = |value: &str| value.replace("{key}", &scene.ann.access_key_id);
    let members: Vec<_> = members.iter().map(|(name, value)| ((*name).to_owned(), own(value))).collect();
    let asked = action.to_owned();
    let seen = scene.overtaken(caller, move |world| {
        let members: Vec<_> = members.iter().map(|(name, value)| (&**name, &**value)).collect();
        Actor::from(ALICE).does(world, &asked, &members);
    });
    assert_eq!(seen, (Some(expected), false), "{action}");
}

#[test]
fn what_is_revoked_before_the_effect_has_none() {
    let key = [("UserName", "Ann"), ("AccessKeyId", "{key}")];
    check(false, ("DeleteAccessKey", &key), "InvalidClientTokenId");
    let inactive = [key[0], key[1], ("Status", "Inactive")];
    check(false, ("UpdateAccessKey", &inactive), "InvalidClientTokenId");
    let own = ("PolicyName", "p");
    let inline = [("PolicyName", "no"), ("PolicyDocument", DENY)];
    for (is_session, holder) in [(false, ("UserName", "Ann")), (true, ("RoleName", "R"))] {
        let kind = if is_session { "Role" } else { "User" };
        let bounded = [holder, ("PermissionsBoundary", POLICY)];
        check(is_session, (&format!("Delete{kind}Policy"), &[holder, own]), "AccessDenied");
        check(is_session, (&format!("Put{kind}Policy"), &[holder, inline[0], inline[1]]), "AccessDenied");
        check(is_session, (&format!("Attach{kind}Policy"), &[holder, ("PolicyArn", POLICY)]), "AccessDenied");
        check(is_session, (&format!("Put{kind}PermissionsBoundary"), &bounded), "AccessDenied");
    }
    let group = ("GroupName", "G");
    check(false, ("PutGroupPolicy", &[group, inline[0], inline[1]]), "AccessDenied");
    check(false, ("AttachGroupPolicy", &[group, ("PolicyArn", POLICY)]), "AccessDenied");
}

/// What applies to a principal without being part of it.
#[test]
fn a_managed_policy_that_changes_before_the_effect_counts() {
    let (user, group, role) = (("UserName", "Ann"), ("GroupName", "G"), ("RoleName", "R"));
    let attached = ("PolicyArn", YES);
    let bounded = ("PermissionsBoundary", YES);
    let version = [attached, ("PolicyDocument", DENY), ("SetAsDefault", "true")];
    let check = |is_session: bool, before: Asked<'_>| {
        check_after(&[before], is_session, ("CreatePolicyVersion", &version), "AccessDenied");
    };
    check(false, ("AttachUserPolicy", &[user, attached]));
    check(false, ("AttachGroupPolicy", &[group, attached]));
    check(false, ("PutUserPermissionsBoundary", &[user, bounded]));
    check(true, ("AttachRolePolicy", &[role, attached]));
    check(true, ("PutRolePermissionsBoundary", &[role, bounded]));
}

/// The key that asked for a session, and the policy that caps it.
#[test]
fn what_a_session_comes_from_counts_until_its_effect() {
    let check = |meanwhile: fn(&World, &str), expected: &'static str| {
        let scene = Scene::new();
        let key = scene.world.key(ALICE);
        let named = [("Name", "carl"), ("PolicyArns.member.1.arn", YES)];
        let carl = credentials(&scene.ann.sts(&scene.world, "GetFederationToken", &named));
        let body = json!({"KeyId": key.id, "Description": "new"});
        let request = carl.json(&scene.world, "UpdateKeyDescription", &body);
        let id = scene.ann.access_key_id.clone();
        let seen = scene.overtakes(&request, &key.id, move |world| meanwhile(world, &id));
        assert_eq!(seen, (Some(expected), false));
    };
    let deleted = |world: &World, id: &str| {
        let members = [("UserName", "Ann"), ("AccessKeyId", id)];
        drop(Actor::from(ALICE).does(world, "DeleteAccessKey", &members));
    };
    let capped = |world: &World, _: &str| {
        let denied = DENY.replace("iam:TagUser", "kms:*");
        let members = [("PolicyArn", YES), ("PolicyDocument", &*denied), ("SetAsDefault", "true")];
        drop(Actor::from(ALICE).does(world, "CreatePolicyVersion", &members));
    };
    check(deleted, "UnrecognizedClientException");
    check(capped, "AccessDeniedException");
}

/// What the call is about decides about it, too, until its effect.
#[test]
fn a_key_policy_that_changes_before_the_effect_counts() {
    let check = |operation: &str, body: &dyn Fn(&Key, &str) -> Value, watched: &str| {
        let scene = Scene::new();
        let (world, key) = (&scene.world, scene.world.key(ALICE));
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key.id}));
        let ann = "arn:aws:iam::111122223333:user/Ann";
        let grant = json!({"KeyId": key.id, "GranteePrincipal": ann, "Operations": ["Encrypt"]});
        let made = world.succeed(ALICE, "CreateGrant", grant);
        let grant_id = made["GrantId"].as_str().unwrap();
        let request = scene.ann.json(world, operation, &body(&key, grant_id));
        let denied = json!({"Effect": "Deny", "Principal": {"AWS": ann}, "Action": "kms:*", "Resource": "*"});
        let statements = [open_to(ALICE.account), denied];
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let put = json!({"KeyId": key.id, "Policy": policy});
        let ending = watched.replace("{grant}", grant_id);
        let seen = scene.overtakes(&request, &ending, move |world| {
            world.succeed(ALICE, "PutKeyPolicy", put);
        });
        assert_eq!(seen, (Some("AccessDeniedException"), false), "{operation}");
    };
    check("DeleteAlias", &|_, _| json!({"AliasName": "alias/a"}), "/a");
    check("RevokeGrant", &|key, grant| json!({"KeyId": key.id, "GrantId": grant}), "{grant}");
    check("RetireGrant", &|key, grant| json!({"KeyId": key.arn, "GrantId": grant}), "{grant}");
}

/// A user whose tags put it out of the caller's reach.
#[test]
fn tags_of_a_user_that_change_before_the_effect_count() {
    let scene = Scene::new();
    let (world, root) = (&scene.world, Actor::from(ALICE));
    let statement = json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*",
        "Condition": {"Null": {"aws:ResourceTag/out": "true"}}});
    give(world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
    let login = [("UserName", "Eve"), ("Password", "correct horse battery 9 Staple")];
    root.does(world, "CreateLoginProfile", &login);
    let made = root.does(world, "GetUser", &[("UserName", "Eve")]);
    let id = made.element("UserId");
    let another = [("UserName", "Eve"), ("Password", "another horse battery 9 Staple")];
    let request = scene.ann.query(world, "iam", "UpdateLoginProfile", &another);
    let seen = scene.overtakes(&request, id, |world| {
        let tag = [("UserName", "Eve"), ("Tags.member.1.Key", "out"), ("Tags.member.1.Value", "")];
        Actor::from(ALICE).does(world, "TagUser", &tag);
    });
    assert_eq!(seen, (Some("AccessDenied"), false));
}

/// What lets somebody in is looked at once more when the credentials are there, as nothing else depends on it afterwards.
#[test]
fn no_credentials_are_given_out_for_what_was_revoked_meanwhile() {
    let check = |action: &str, members: &[(&str, &str)], (change, of): Asked<'_>, expected: &str| {
        let scene = Scene::new();
        let (world, now) = (&scene.world, scene.world.now());
        let request = scene.ann.query(world, "sts", action, members);
        world.vault.hold(Some("CreateCredential"));
        let mut asking = pin!(world.service.handle(&request, now));
        assert!(!advance(asking.as_mut()), "{action} did not wait for the HSM");
        let own = |value: &str| value.replace("{key}", &scene.ann.access_key_id);
        let of: Vec<_> = of.iter().map(|(name, value)| ((*name).to_owned(), own(value))).collect();
        let of: Vec<_> = of.iter().map(|(name, value)| (&**name, &**value)).collect();
        Actor::from(ALICE).does(world, change, &of);
        world.vault.hold(None);
        let events = world.ledger.len();
        assert_eq!(block_on(asking).code, Some(expected), "{action}, {change}");
        let event: Value = serde_json::from_slice(&world.ledger.since(events)[0]).unwrap();
        assert_eq!(event["eventName"], action);
        // A denial shows none.
        assert_eq!(event["requestParameters"].is_object(), expected != "AccessDenied", "{event}");
    };
    let role = [("RoleArn", "arn:aws:iam::111122223333:role/R"), ("RoleSessionName", "s1")];
    let deleted: Asked<'_> = ("DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", "{key}")]);
    check("AssumeRole", &role, deleted, "InvalidClientTokenId");
    check("GetSessionToken", &[], deleted, "InvalidClientTokenId");
    check("GetFederationToken", &[("Name", "carl")], deleted, "InvalidClientTokenId");
    let trust = trusts("arn:aws:iam::111122223333:user/Eve");
    let closed = [("RoleName", "R"), ("PolicyDocument", &*trust)];
    check("AssumeRole", &role, ("UpdateAssumeRolePolicy", &closed), "AccessDenied");
}

#[test]
fn an_account_that_is_closed_before_the_effect_sees_none() {
    let scene = Scene::new();
    for caller in [&scene.ann, &scene.session, &Actor::from(ALICE)] {
        let seen = scene.overtaken(caller, |world| {
            block_on(account::close(&world.service, Operator { uid: 1000 }, ALICE.account, world.now()))
                .unwrap();
        });
        assert_eq!(seen, (Some("InvalidClientTokenId"), false));
        block_on(account::reopen(
            &scene.world.service,
            Operator { uid: 1000 },
            ALICE.account,
            scene.world.now(),
        ))
        .unwrap();
    }
}

/// The policy that allows is replaced by one that allows too, and the caller renamed.
#[test]
fn what_changes_without_taking_anything_away_holds_nobody_up() {
    let scene = Scene::new();
    let seen = scene.overtaken(&scene.ann, |world| {
        let renamed = [("UserName", "Ann"), ("NewUserName", "Anna")];
        Actor::from(ALICE).does(world, "UpdateUser", &renamed);
        give(world, ALICE, "Anna", &allow(&["iam:TagUser"]));
    });
    assert_eq!(seen, (None, true));
    let event: Value = serde_json::from_slice(scene.world.ledger.since(0).last().unwrap()).unwrap();
    assert_eq!(
        (&event["eventName"], &event["userIdentity"]["userName"]),
        (&json!("TagUser"), &json!("Anna"))
    );
}

/// Each of them changes whom the others are by.
#[test]
fn changes_of_the_caller_by_itself_are_all_made() {
    let scene = Scene::new();
    let world = &scene.world;
    let tag = |number: usize| {
        let key = format!("k{number}");
        scene.ann.query(
            world,
            "iam",
            "TagUser",
            &[("UserName", "Ann"), ("Tags.member.1.Key", &key), ("Tags.member.1.Value", "v")],
        )
    };
    let calls: Vec<_> = (0..24).map(tag).collect();
    assert_eq!(all_at_once(world, &calls), [None; 24]);
}

/// A replica that is to be deleted does not become the primary key.
#[test]
fn a_replica_that_changes_meanwhile_is_not_promoted() {
    let store = Arc::new(Overtaking::default());
    let world = Arc::new(World::over(Arc::<Overtaking>::clone(&store), Arc::new(EngineVault::new())));
    let key = world.key_with(ALICE, json!({"MultiRegion": true}));
    world.succeed(ALICE, "ReplicateKey", json!({"KeyId": key.id, "ReplicaRegion": "eu-west-1"}));
    let (other, id) = (Arc::clone(&world), key.id.clone());
    *lock(&store.before_reading) = Some(Box::new(move || {
        other.succeed_in("eu-west-1", ALICE, "ScheduleKeyDeletion", json!({"KeyId": id}));
    }));
    let ask = Ask::new(ALICE, "UpdatePrimaryRegion", json!({"KeyId": key.id, "PrimaryRegion": "eu-west-1"}));
    assert_eq!(world.handle(&ask).code, Some("KMSInvalidStateException"));
    assert!(lock(&store.before_reading).is_none(), "nothing was overtaken");
    let primary = &world.describe(&key)["MultiRegionConfiguration"]["PrimaryKey"]["Region"];
    assert_eq!(primary, "us-east-1");
}

/// Imported material becomes current everywhere or nowhere, also where a Region loses it after it was looked for.
#[test]
fn material_that_goes_meanwhile_does_not_become_current() {
    let store = Arc::new(Overtaking::default());
    let world = Arc::new(World::over(Arc::<Overtaking>::clone(&store), Arc::new(EngineVault::new())));
    let key = imported(&world);
    import(&world, EU, &key, 1, json!({}));
    let waiting = import(&world, REGION, &key, 2, json!({"ImportType": "NEW_KEY_MATERIAL"}));
    import(&world, EU, &key, 2, json!({}));
    let (other, id) = (Arc::clone(&world), key.id.clone());
    let deletes: Meanwhile = Box::new(move || {
        let request = json!({"KeyId": id, "KeyMaterialId": waiting});
        other.succeed_in(EU, ALICE, "DeleteImportedKeyMaterial", request);
    });
    // The members are read to look for it, and once more to change them.
    let again = Arc::clone(&store);
    *lock(&store.before_reading) = Some(Box::new(move || *lock(&again.before_reading) = Some(deletes)));
    let ask = Ask::new(ALICE, "RotateKeyOnDemand", json!({"KeyId": key.id}));
    assert_eq!(world.handle(&ask).code, Some("KMSInvalidStateException"));
    assert!(lock(&store.before_reading).is_none(), "nothing was overtaken");
    for region in [REGION, EU] {
        assert_eq!(state(&world, region, &key), "Enabled", "{region}");
        check_opens(&world, region, &encrypt(&world, region, &key));
    }
}
