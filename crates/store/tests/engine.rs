//! One suite for every engine: what the crate's head comment promises.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "all of this file is a test; the functions that its tests share are not marked as such"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use claviger_store::{
    Changes, Commit, Embedded, Error, MAX_COMMIT_LEN, MAX_COMMIT_PARTS, MAX_NAME_LEN, MAX_VALUE_LEN, Memory,
    Precondition, Read, Record, Revision, Sealer, Store, Write,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[path = "support/block_on.rs"]
mod block_on;
use block_on::block_on;

/// Runs a test on a fresh store of each engine.
fn each_engine(test: impl Fn(&Arc<dyn Store>)) {
    test(&(Arc::new(Memory::new()) as Arc<dyn Store>));
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::new([1; 32]).unwrap();
    test(&(Arc::new(Embedded::open(&folder.path().join("store"), sealer).unwrap()) as Arc<dyn Store>));
}

fn put(name: &[u8], value: &[u8]) -> Write {
    Write::Put { name: name.to_vec(), value: value.to_vec() }
}

fn delete(name: &[u8]) -> Write {
    Write::Delete(name.to_vec())
}

fn absent(name: &[u8]) -> Precondition {
    Precondition::Absent(name.to_vec())
}

fn unchanged(name: &[u8], revision: Revision) -> Precondition {
    Precondition::Unchanged { name: name.to_vec(), revision }
}

fn commit(
    store: &Arc<dyn Store>,
    preconditions: &[Precondition],
    writes: &[Write],
) -> Result<Revision, Error> {
    let commit = Commit { preconditions: preconditions.to_vec(), writes: writes.to_vec() };
    block_on(store.commit(commit))
}

fn one(store: &Arc<dyn Store>, name: &[u8]) -> Option<(Vec<u8>, Revision)> {
    let mut snapshot = block_on(store.read(vec![Read::One(name.to_vec())])).unwrap();
    let records = snapshot.found.pop().unwrap();
    assert!(records.len() <= 1 && snapshot.found.is_empty());
    records.into_iter().next().map(|record| (record.value, record.revision))
}

fn range(store: &Arc<dyn Store>, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Record> {
    let read = Read::Range { prefix: prefix.to_vec(), after: after.map(<[u8]>::to_vec), limit };
    block_on(store.read(vec![read])).unwrap().found.pop().unwrap()
}

fn everything(store: &Arc<dyn Store>) -> Vec<Record> {
    range(store, b"", None, usize::MAX)
}

/// The commit is refused with an error of this kind, and nothing changed.
fn check_refused(
    store: &Arc<dyn Store>,
    preconditions: &[Precondition],
    writes: &[Write],
    expected: fn(&Error) -> bool,
) {
    let before = (everything(store), store.barrier_now());
    let error = commit(store, preconditions, writes).unwrap_err();
    assert!(expected(&error), "{error:?}");
    assert_eq!((everything(store), store.barrier_now()), before);
}

#[test]
fn reads_what_was_written() {
    each_engine(|store| {
        assert_eq!(one(store, b"a"), None);
        assert_eq!(commit(store, &[], &[put(b"a", b"1"), put(b"b", b"")]).unwrap(), 1);
        assert_eq!(commit(store, &[], &[put(b"a", b"2"), delete(b"b"), delete(b"never")]).unwrap(), 2);
        assert_eq!(commit(store, &[], &[put(b"b", b"3")]).unwrap(), 3);
        assert_eq!(one(store, b"a"), Some((b"2".to_vec(), 2)));
        assert_eq!(one(store, b"b"), Some((b"3".to_vec(), 3)));
        assert_eq!(one(store, b"never"), None);
    });
}

#[test]
fn several_reads_are_of_one_revision_and_in_place() {
    each_engine(|store| {
        commit(store, &[], &[put(b"a", b"1"), put(b"b", b"2")]).unwrap();
        let all = Read::Range { prefix: vec![], after: None, limit: 9 };
        let reads = vec![Read::One(b"b".to_vec()), Read::One(b"x".to_vec()), all];
        let snapshot = block_on(store.read(reads)).unwrap();
        assert_eq!(snapshot.revision, 1);
        let names =
            |records: &Vec<Record>| records.iter().map(|record| record.name.clone()).collect::<Vec<_>>();
        let names: Vec<_> = snapshot.found.iter().map(names).collect();
        assert_eq!(names, vec![vec![b"b".to_vec()], vec![], vec![b"a".to_vec(), b"b".to_vec()]]);
    });
}

#[test]
fn a_precondition_that_does_not_hold_refuses_all() {
    each_engine(|store| {
        commit(store, &[absent(b"a")], &[put(b"a", b"1"), put(b"b", b"1")]).unwrap();
        commit(store, &[unchanged(b"a", 1)], &[put(b"a", b"2")]).unwrap();
        let conflict: fn(&Error) -> bool = |error| matches!(error, Error::Conflict);
        let writes = [put(b"a", b"9"), put(b"c", b"9"), delete(b"b")];
        for broken in
            [absent(b"a"), unchanged(b"a", 1), unchanged(b"a", 3), unchanged(b"c", 0), unchanged(b"c", 1)]
        {
            check_refused(store, std::slice::from_ref(&broken), &writes, conflict);
            check_refused(store, &[unchanged(b"a", 2), broken], &writes, conflict);
        }
        commit(store, &[unchanged(b"a", 2), unchanged(b"b", 1), absent(b"c")], &writes).unwrap();
    });
}

#[test]
fn preconditions_alone_make_no_revision() {
    each_engine(|store| {
        commit(store, &[], &[put(b"a", b"1")]).unwrap();
        assert_eq!(commit(store, &[unchanged(b"a", 1), absent(b"b")], &[]).unwrap(), 1);
        assert_eq!(commit(store, &[], &[]).unwrap(), 1);
        check_refused(store, &[absent(b"a")], &[], |error| matches!(error, Error::Conflict));
        assert_eq!(commit(store, &[], &[put(b"a", b"1")]).unwrap(), 2);
    });
}

#[test]
fn refuses_what_is_too_large_or_repeated() {
    each_engine(|store| {
        let large: fn(&Error) -> bool = |error| matches!(error, Error::TooLarge);
        let (long, value) = (vec![b'n'; MAX_NAME_LEN + 1], vec![0; MAX_VALUE_LEN + 1]);
        check_refused(store, &[], &[put(&long, b"")], large);
        check_refused(store, &[], &[delete(&long)], large);
        check_refused(store, &[absent(&long)], &[], large);
        check_refused(store, &[unchanged(&long, 1)], &[], large);
        check_refused(store, &[], &[put(b"n", &value)], large);

        let many: Vec<_> = (0..=MAX_COMMIT_PARTS).map(|n| put(&n.to_be_bytes(), b"")).collect();
        check_refused(store, &[], &many, large);
        check_refused(store, &[absent(b"a")], &many[1..], large);
        let whole = MAX_COMMIT_LEN / MAX_VALUE_LEN;
        let heavy: Vec<_> = (0..whole).map(|n| put(&n.to_be_bytes(), &value[1..])).collect();
        check_refused(store, &[], &heavy, large);

        let repeated: fn(&Error) -> bool = |error| matches!(error, Error::Repeated);
        check_refused(store, &[], &[put(b"a", b"1"), put(b"a", b"1")], repeated);
        check_refused(store, &[], &[put(b"a", b"1"), put(b"b", b"1"), delete(b"a")], repeated);

        assert_eq!(commit(store, &[], &[put(&long[1..], &value[1..])]).unwrap(), 1);
        assert_eq!(commit(store, &[], &many[1..]).unwrap(), 2);
        assert_eq!(one(store, &long[1..]).unwrap().0.len(), MAX_VALUE_LEN);
        assert_eq!(one(store, &long), None);
    });
}

#[test]
fn ranges_are_ordered_and_bounded() {
    let names: &[&[u8]] = &[
        b"",
        b"a",
        b"a\0",
        b"a\0b",
        b"a/1",
        b"a/2",
        b"a\xff",
        b"a\xff\xff",
        b"b",
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\0",
    ];
    let bounds = [&[&b"\xff\xff\xff"[..], b"A", b"a/15"], names].concat();
    let mut cases = Vec::new();
    for prefix in &bounds {
        for after in bounds.iter().map(Some).chain([None]) {
            cases.extend([0, 1, 3, usize::MAX].map(|limit| (*prefix, after.copied(), limit)));
        }
    }
    each_engine(|store| {
        let writes: Vec<_> = names.iter().rev().map(|name| put(name, name)).collect();
        commit(store, &[], &writes).unwrap();
        for (prefix, after, limit) in &cases {
            let mut expected: Vec<_> = names.iter().filter(|name| name.starts_with(prefix)).collect();
            expected.retain(|name| after.is_none_or(|after| **name > after));
            expected.sort();
            expected.truncate(*limit);
            let found = range(store, prefix, *after, *limit);
            let found: Vec<_> = found.iter().map(|record| record.name.as_slice()).collect();
            assert!(found.iter().eq(expected), "{prefix:?} {after:?} {limit}: {found:?}");
        }
    });
}

#[test]
fn changes_name_every_write_in_order() {
    each_engine(|store| {
        assert_eq!(block_on(store.changes(0)).unwrap(), Changes::Names { revision: 0, names: vec![] });
        commit(store, &[], &[put(b"b", b""), put(b"a", b"")]).unwrap();
        commit(store, &[], &[delete(b"b")]).unwrap();
        let names = |names: &[&[u8]]| names.iter().map(|name| name.to_vec()).collect();
        let all = names(&[b"b", b"a", b"b"]);
        assert_eq!(block_on(store.changes(0)).unwrap(), Changes::Names { revision: 2, names: all });
        let last = names(&[b"b"]);
        assert_eq!(block_on(store.changes(1)).unwrap(), Changes::Names { revision: 2, names: last });
        assert_eq!(block_on(store.changes(2)).unwrap(), Changes::Names { revision: 2, names: vec![] });
        assert_eq!(block_on(store.changes(3)).unwrap(), Changes::Forgotten { revision: 2 });
    });
}

/// Many threads commit while one follows the changes. Each commit's revision is its own; each acknowledged commit is at
/// or below a barrier taken afterwards, and named by then; the follower sees each name once, in the order of revisions.
#[test]
fn concurrent_commits_leave_no_gap() {
    const THREADS: u8 = 8;
    const COMMITS: u8 = 40;
    each_engine(|store| {
        let committers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let store = Arc::clone(store);
                thread::spawn(move || {
                    (0..COMMITS).map(|n| commit_and_look(&store, [thread, n])).collect::<Vec<_>>()
                })
            })
            .collect();
        let follower = thread::spawn({
            let store = Arc::clone(store);
            move || follow(&store, u64::from(THREADS) * u64::from(COMMITS))
        });

        let mut acknowledged: Vec<_> =
            committers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        acknowledged.sort();
        let (revisions, names): (Vec<_>, Vec<_>) = acknowledged.into_iter().unzip();
        assert!(revisions.into_iter().eq(1..=u64::from(THREADS) * u64::from(COMMITS)));
        assert_eq!(follower.join().unwrap(), names);
    });
}

fn commit_and_look(store: &Arc<dyn Store>, name: [u8; 2]) -> (Revision, Vec<u8>) {
    let revision = commit(store, &[absent(&name)], &[put(&name, b"")]).unwrap();
    let barrier = store.barrier_now().unwrap();
    assert!(barrier >= revision && block_on(store.barrier()).unwrap() >= barrier);
    match block_on(store.changes(revision - 1)).unwrap() {
        Changes::Names { names, revision: upto } => assert!(upto >= revision && names[0] == name),
        Changes::Forgotten { .. } => panic!("forgotten"),
    }
    (revision, name.to_vec())
}

/// Follows from snapshot to snapshot, the way a cache does.
fn follow(store: &Arc<dyn Store>, until: Revision) -> Vec<Vec<u8>> {
    let (mut seen, mut all) = (0, Vec::new());
    while seen < until {
        let visible = block_on(store.read(vec![])).unwrap().revision;
        assert!(visible >= seen);
        let Changes::Names { names, .. } = block_on(store.changes(visible)).unwrap() else {
            panic!("forgotten")
        };
        drop(names);
        match block_on(store.changes(seen)).unwrap() {
            Changes::Names { revision, names } => {
                all.extend(names);
                seen = revision;
            }
            Changes::Forgotten { .. } => panic!("forgotten"),
        }
        thread::yield_now();
    }
    all
}

#[test]
fn of_racing_conditional_commits_one_wins() {
    each_engine(|store| {
        for round in 0..20 {
            let name = [round];
            let racers: Vec<_> = (0..4)
                .map(|racer| {
                    let store = Arc::clone(store);
                    thread::spawn(move || commit(&store, &[absent(&name)], &[put(&name, &[racer])]))
                })
                .collect();
            let outcomes: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict))));
            let winner = outcomes.iter().position(Result::is_ok).unwrap();
            assert_eq!(one(store, &name).unwrap().0, [u8::try_from(winner).unwrap()]);
        }
    });
}

/// One step of the property test. Names are few, so that steps meet.
#[derive(Debug, Clone)]
enum Step {
    Commit { conditions: Vec<(u8, bool)>, writes: BTreeMap<u8, Option<Vec<u8>>> },
    Range { prefix: Vec<u8>, after: Option<Vec<u8>>, limit: usize },
    Changes { back: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let conditions = prop::collection::vec((0..12_u8, prop::bool::weighted(0.9)), 0..3);
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..40));
    let writes = prop::collection::btree_map(0..12_u8, value, 0..5);
    let step = prop_oneof![
        4 => (conditions, writes).prop_map(|(conditions, writes)| Step::Commit { conditions, writes }),
        2 => (0..12_u8, prop::option::of(0..12_u8), 0..6_usize).prop_map(|(prefix, after, limit)| Step::Range {
            prefix: name(prefix)[..1].to_vec(),
            after: after.map(name),
            limit
        }),
        1 => (0..8_u64).prop_map(|back| Step::Changes { back }),
    ];
    prop::collection::vec(step, 1..40)
}

fn name(n: u8) -> Vec<u8> {
    vec![[b'a', b'b', 0xff][usize::from(n % 3)], n]
}

/// The reference: a map, and the list of all that was written.
#[derive(Default)]
struct Model {
    records: BTreeMap<Vec<u8>, (Revision, Vec<u8>)>,
    log: Vec<Vec<Vec<u8>>>,
}

impl Model {
    fn step(&mut self, store: &Arc<dyn Store>, step: Step) {
        match step {
            Step::Commit { conditions, writes } => self.commit(store, &conditions, writes),
            Step::Range { prefix, after, limit } => {
                let after_ok = |name: &Vec<u8>| after.as_ref().is_none_or(|after| name > after);
                let inside =
                    self.records.iter().filter(|(name, _)| name.starts_with(&prefix) && after_ok(name));
                let expected: Vec<_> = inside.take(limit).map(record).collect();
                assert_eq!(range(store, &prefix, after.as_deref(), limit), expected);
            }
            Step::Changes { back } => {
                let revision = self.revision();
                let from = revision.saturating_sub(back);
                let names = self.log[usize::try_from(from).unwrap()..].concat();
                assert_eq!(block_on(store.changes(from)).unwrap(), Changes::Names { revision, names });
            }
        }
        assert_eq!(everything(store), self.records.iter().map(record).collect::<Vec<_>>());
        assert_eq!(store.barrier_now(), Some(self.revision()));
    }

    fn commit(
        &mut self,
        store: &Arc<dyn Store>,
        conditions: &[(u8, bool)],
        writes: BTreeMap<u8, Option<Vec<u8>>>,
    ) {
        let condition = |(n, holds): &(u8, bool)| match self.records.get(&name(*n)) {
            Some((revision, _)) => unchanged(&name(*n), if *holds { *revision } else { *revision + 1 }),
            None if *holds => absent(&name(*n)),
            None => unchanged(&name(*n), 1),
        };
        let preconditions: Vec<_> = conditions.iter().map(condition).collect();
        let parts: Vec<_> = writes
            .iter()
            .map(|(n, value)| value.as_ref().map_or_else(|| delete(&name(*n)), |value| put(&name(*n), value)))
            .collect();
        let outcome = commit(store, &preconditions, &parts);
        if conditions.iter().any(|(_, holds)| !holds) {
            assert!(matches!(outcome, Err(Error::Conflict)));
            return;
        }
        if !writes.is_empty() {
            self.log.push(writes.keys().map(|n| name(*n)).collect());
        }
        let revision = self.revision();
        assert_eq!(outcome.unwrap(), revision);
        for (n, value) in writes {
            match value {
                Some(value) => self.records.insert(name(n), (revision, value)),
                None => self.records.remove(&name(n)),
            };
        }
    }

    fn revision(&self) -> Revision {
        u64::try_from(self.log.len()).unwrap()
    }
}

fn record((name, (revision, value)): (&Vec<u8>, &(Revision, Vec<u8>))) -> Record {
    Record { name: name.clone(), value: value.clone(), revision: *revision }
}

#[test]
fn behaves_like_the_model() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"a store is an ordered map / 2026");
    let mut runner =
        TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::with_cases(48) }, rng);
    let outcome = runner.run(&steps(), |steps| {
        each_engine(|store| {
            let mut model = Model::default();
            steps.iter().for_each(|step| model.step(store, step.clone()));
        });
        Ok(())
    });
    outcome.unwrap();
}
