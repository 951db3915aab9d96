//! A call whose caller changes between its decision and its effect: the effect is that of the caller as it is then, or
//! there is none (invariant I6).

use std::sync::{Arc, Mutex};

use claviger_service::account::{self, Operator};
use claviger_store::{BoxFuture, Changes, Commit, Error, Memory, Read, Revision, Snapshot, Store};
use serde_json::{Value, json};

use crate::actor::{Actor, allow, credentials, give, new_user, trusts};
use crate::vault::EngineVault;
use crate::world::{ALICE, Ask, World, block_on, lock};

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
        let made: [Asked<'_>; 6] = [
            ("CreateUser", &[("UserName", "Eve")]),
            ("CreateGroup", &[("GroupName", "G")]),
            ("AddUserToGroup", &[("GroupName", "G"), ("UserName", "Ann")]),
            ("CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trusts)]),
            ("PutRolePolicy", &[("RoleName", "R"), ("PolicyName", "p"), ("PolicyDocument", &all)]),
            ("CreatePolicy", &[("PolicyName", "No"), ("PolicyDocument", DENY)]),
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
        let of_eve = || self.world.content().into_iter().filter(|it| it.name.ends_with(b"/eve")).collect();
        let (before, world): (Vec<_>, _) = (of_eve(), Arc::clone(&self.world));
        *lock(&self.store.meanwhile) = Some(Box::new(move || meanwhile(&world)));
        let tag = [("UserName", "Eve"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
        let (now, events) = (self.world.now(), self.world.ledger.len());
        let handled =
            block_on(self.world.service.handle(&caller.query(&self.world, "iam", "TagUser", &tag), now));
        assert!(lock(&self.store.meanwhile).is_none(), "nothing was overtaken");
        let written = self.world.ledger.since(events);
        let own = written.iter().map(|event| serde_json::from_slice::<Value>(event).unwrap());
        let own: Vec<_> = own.filter(|event| event["requestID"] == handled.outgoing.request_id).collect();
        assert_eq!((own.len(), before.len()), (1, 1));
        assert_eq!(own[0]["errorCode"].is_null(), handled.code.is_none(), "{}", own[0]);
        (handled.code, of_eve() != before)
    }
}

const DENY: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:TagUser", "Resource": "*"}}"#;
const POLICY: &str = "arn:aws:iam::111122223333:policy/No";

/// Ann's call, or that of the session, is overtaken by a change that takes from her what it needs.
fn check(is_session: bool, (action, members): Asked<'_>, expected: &'static str) {
    let scene = Scene::new();
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
    let (world, now) = (&scene.world, scene.world.now());
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
    let codes: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = calls
            .iter()
            .map(|incoming| scope.spawn(|| block_on(world.service.handle(incoming, now)).code))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(codes, [None; 24]);
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
