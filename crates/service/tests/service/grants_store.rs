//! Grants in the store: what a decision reads of them, how many there may be, and that none stands for another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use claviger_store::{BoxFuture, Changes, Commit, Error, Memory, Read, Revision, Snapshot, Store, Write};
use serde_json::json;

use crate::actor::{Actor, new_user};
use crate::grants::{
    DENIED, Granted, constraints, describe, encrypt, error, grant, revoke, user, wanted, with_ann,
};
use crate::vault::EngineVault;
use crate::world::{ALICE, Ask, World, block_on, lock};

/// A store that counts what is read of it.
struct Counting {
    inner: Memory,
    reads: AtomicUsize,
    records: AtomicUsize,
    /// Reads of grants.
    of_grants: AtomicUsize,
}

impl Counting {
    fn new() -> Self {
        let [reads, records, of_grants] = [(); 3].map(|()| AtomicUsize::new(0));
        Self { inner: Memory::new(), reads, records, of_grants }
    }
}

impl Store for Counting {
    fn read(&self, reads: Vec<Read>) -> BoxFuture<'_, Result<Snapshot, Error>> {
        self.reads.fetch_add(reads.len(), Ordering::SeqCst);
        let is_of_grants = |read: &&Read| match read {
            Read::One(name) | Read::Range { prefix: name, .. } => name.starts_with(b"grant"),
        };
        self.of_grants.fetch_add(reads.iter().filter(is_of_grants).count(), Ordering::SeqCst);
        Box::pin(async move {
            let snapshot = self.inner.read(reads).await?;
            self.records.fetch_add(snapshot.found.iter().map(Vec::len).sum(), Ordering::SeqCst);
            Ok(snapshot)
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, Error>> {
        self.inner.commit(commit)
    }

    fn changes(&self, from: Revision) -> BoxFuture<'_, Result<Changes, Error>> {
        self.inner.changes(from)
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        self.inner.barrier()
    }
}

/// Attack E9: what a decision reads does not grow with the grants on the key, nor what it keeps with the grants that give
/// its caller the same. And there is a quota.
#[test]
fn e09_the_number_of_grants_costs_a_decision_nothing() {
    let store = Arc::new(Counting::new());
    let world = World::over(Arc::<Counting>::clone(&store), Arc::new(EngineVault::new()));
    let key = world.key(ALICE);
    let (ann, to) = (new_user(&world, ALICE, "Ann"), user(ALICE, "Ann"));
    new_user(&world, ALICE, "Ben");
    grant(&world, &key, &to, &["Encrypt"], json!({}));
    // A host that has nothing in its cache, and then everything.
    let cost = |operation: &str, expected: Option<&str>| {
        let host = world.another_host();
        let body = if operation == "Encrypt" { encrypt(&key) } else { describe(&key) };
        let request = ann.json(&world, operation, &body);
        [(); 2].map(|()| {
            let before = (store.reads.load(Ordering::SeqCst), store.records.load(Ordering::SeqCst));
            assert_eq!(block_on(host.handle(&request, world.now())).code, expected);
            (store.reads.load(Ordering::SeqCst) - before.0, store.records.load(Ordering::SeqCst) - before.1)
        })
    };
    let (allowed, denied) = (cost("Encrypt", None), cost("DescribeKey", DENIED));
    assert_eq!((allowed[1], denied[1]), ((0, 0), (0, 0)), "everything is in the cache");
    let make = |grantee: &str, count: usize| {
        let context = |number: usize| json!({"EncryptionContextEquals": {"n": number.to_string()}});
        for number in 0..count {
            let request = wanted(&key, grantee, &["Encrypt"], constraints(context(number)));
            assert_eq!(world.handle(&Ask::new(ALICE, "CreateGrant", request)).code, None);
        }
    };
    make(&user(ALICE, "Ben"), 300);
    assert_eq!((cost("Encrypt", None), cost("DescribeKey", DENIED)), (allowed, denied));
    // Many that give the same count as one.
    for _ in 0..200 {
        let request = wanted(&key, &to, &["Encrypt"], json!({}));
        assert_eq!(world.handle(&Ask::new(ALICE, "CreateGrant", request)).code, None);
    }
    assert_eq!((cost("Encrypt", None)[1], cost("DescribeKey", DENIED)[1]), ((0, 0), (0, 0)));
    // Who is allowed by a policy reads none.
    let before = store.of_grants.load(Ordering::SeqCst);
    let host = world.another_host();
    let by_policy = Ask::new(ALICE, "Encrypt", encrypt(&key)).incoming(world.now());
    assert_eq!(block_on(host.handle(&by_policy, world.now())).code, None);
    assert_eq!(store.of_grants.load(Ordering::SeqCst), before);
    // And one who has very many different ones has them all.
    make(&to, 200);
    let last = json!({"KeyId": key.arn, "Plaintext": "eA==", "EncryptionContext": {"n": "199"}});
    assert_eq!(error(&world, &ann, "Encrypt", &last), None);
    // A caller whom none of them allows costs all of them once, and then no more than a page that is not kept.
    let [cold, warm] = cost("DescribeKey", DENIED);
    assert!((201..=300).contains(&cold.1), "{cold:?}");
    assert!(warm.0 <= 3 && warm.1 <= 128, "{warm:?}");
}

/// A store in which somebody else commits something just before the next commit.
struct Racing {
    inner: Memory,
    first: Mutex<Option<Commit>>,
}

impl Store for Racing {
    fn read(&self, reads: Vec<Read>) -> BoxFuture<'_, Result<Snapshot, Error>> {
        self.inner.read(reads)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async move {
            let first = lock(&self.first).take();
            if let Some(first) = first {
                self.inner.commit(first).await?;
            }
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

/// Attack E5: a grant that goes between the decision that it allowed and the effect of that, allows no effect.
#[test]
fn e05_a_parent_that_goes_meanwhile_gets_no_child() {
    let store = Arc::new(Racing { inner: Memory::new(), first: Mutex::default() });
    let world = World::over(Arc::<Racing>::clone(&store), Arc::new(EngineVault::new()));
    let key = world.key(ALICE);
    let (ann, to) = (new_user(&world, ALICE, "Ann"), user(ALICE, "Ann"));
    let parent = grant(&world, &key, &to, &["CreateGrant", "Encrypt"], json!({}));
    let request = ann.json(&world, "CreateGrant", &wanted(&key, &to, &["Encrypt"], json!({})));
    let create = || block_on(world.service.handle(&request, world.now())).code;
    let of_parent = world.content().into_iter().filter(|it| it.name.ends_with(parent.id.as_bytes()));
    let writes: Vec<Write> = of_parent.map(|record| Write::Delete(record.name)).collect();
    assert_eq!((writes.len(), create()), (2, None));
    *lock(&store.first) = Some(Commit { preconditions: Vec::new(), writes });
    assert_eq!(create(), DENIED);
}

/// Attack E9: 50,000 grants, and no more.
#[test]
fn e09_a_key_has_a_quota_of_grants() {
    let (world, key, _, to) = with_ann();
    let made = grant(&world, &key, &to, &["Encrypt"], json!({}));
    let name = format!("grant-count/{}/us-east-1/{}", ALICE.account, key.id);
    let count = || world.content().into_iter().find(|record| record.name == name.as_bytes()).unwrap().value;
    // One byte of version, an array of one number.
    assert_eq!(count()[1..], [0x81, 1]);
    let almost = [&count()[..1], &[0x81, 0x19], &49_999_u16.to_be_bytes()].concat();
    let put = Write::Put { name: name.clone().into_bytes(), value: almost };
    block_on(world.store.commit(Commit { preconditions: Vec::new(), writes: vec![put] })).unwrap();
    let request = || wanted(&key, &to, &["Encrypt"], json!({"Name": "n"}));
    world.succeed(ALICE, "CreateGrant", request());
    let another = wanted(&key, &to, &["Encrypt"], json!({}));
    assert_eq!(world.refuse(ALICE, "CreateGrant", another.clone()), "LimitExceededException");
    world.succeed(ALICE, "CreateGrant", request());
    revoke(&world, &key, &made);
    world.succeed(ALICE, "CreateGrant", another);
}

/// Attack D5: a row of the store that is copied over another does not stand for it.
#[test]
fn d05_a_grant_does_not_stand_for_another() {
    let (world, key, ann, to) = with_ann();
    new_user(&world, ALICE, "Ben");
    let other = world.key(ALICE);
    let retiring = json!({"RetiringPrincipal": to, "Name": "n"});
    let strong = grant(&world, &key, &user(ALICE, "Ben"), &["Encrypt", "Decrypt"], retiring.clone());
    let weak = grant(&world, &key, &to, &["Encrypt"], retiring.clone());
    let elsewhere = grant(&world, &other, &to, &["Encrypt"], retiring);
    let record = |kind: &str, id: &str| {
        let is = |name: &str| name.starts_with(&format!("{kind}/")) && name.ends_with(id);
        let content = world.content();
        content.into_iter().find(|it| is(std::str::from_utf8(&it.name).unwrap())).unwrap()
    };
    let check = |kind: &str, from: &Granted, over: &Granted, refused: &dyn Fn() -> Option<String>| {
        let (from, over) = (record(kind, &from.id), record(kind, &over.id));
        let put = |value| {
            let writes = vec![Write::Put { name: over.name.clone(), value }];
            block_on(world.store.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
        };
        put(from.value);
        assert_eq!(refused().as_deref(), Some("KMSInternalException"), "{kind}");
        put(over.value.clone());
    };
    let root = Actor::from(ALICE);
    let used = || error(&world, &ann, "Encrypt", &encrypt(&key));
    check("grant", &strong, &weak, &used);
    check("grant", &elsewhere, &weak, &used);
    let revoked = || error(&world, &root, "RevokeGrant", &json!({"KeyId": key.id, "GrantId": weak.id}));
    check("grant-id", &strong, &weak, &revoked);
    check("grant-id", &elsewhere, &weak, &revoked);
    let to_ben = grant(&world, &key, &to, &["Encrypt"], json!({"RetiringPrincipal": user(ALICE, "Ben")}));
    let retirable = || error(&world, &root, "ListRetirableGrants", &json!({"RetiringPrincipal": to}));
    check("retirable", &to_ben, &weak, &retirable);
    assert_eq!(used(), None);
}
