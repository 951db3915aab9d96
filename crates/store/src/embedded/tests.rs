//! The engine on a disk that fails, lies or runs out of space exactly where a test says.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use redb::{ReadableDatabase, StorageBackend, TableDefinition};

use super::file::Disk;
use super::{Embedded, tables};
use crate::{BoxFuture, Commit, Error, Read, Record, Revision, Sealer, Store, Write};

/// A disk in memory. What is written can be read at once; what was flushed is what a power loss leaves.
#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Contents>>, Arc<Plan>);

#[derive(Debug, Default)]
struct Contents {
    now: Vec<u8>,
    flushed: Vec<u8>,
}

/// After so many calls that may go well, the others go as planned.
#[derive(Debug)]
struct Plan {
    left: AtomicU64,
    then: Mutex<Then>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Writes(io::ErrorKind),
    Flushes(io::ErrorKind),
    ReadsPanic,
    WritesPanic,
}

impl Default for Plan {
    fn default() -> Self {
        Self { left: AtomicU64::new(u64::MAX), then: Mutex::new(Then::ReadsPanic) }
    }
}

impl Fake {
    /// A disk with an empty store.
    fn with_store() -> Self {
        let fake = Self::default();
        tables::make(Box::new(fake.clone()), &sealer()).unwrap();
        fake
    }

    /// The same contents on a disk that works.
    fn healthy(contents: &[u8]) -> Self {
        let contents = Contents { now: contents.to_vec(), flushed: contents.to_vec() };
        Self(Arc::new(Mutex::new(contents)), Arc::default())
    }

    fn plan(&self, calls: u64, then: Then) {
        *self.1.then.lock().unwrap() = then;
        self.1.left.store(calls, Ordering::SeqCst);
    }

    fn recover(&self) {
        self.1.left.store(u64::MAX, Ordering::SeqCst);
    }

    /// Counts a call of a kind that the plan speaks of; whether it is the turn of the others.
    fn due(&self, matches: impl Fn(Then) -> bool) -> Option<Then> {
        let then = *self.1.then.lock().unwrap();
        let one_less = |left: u64| (left != u64::MAX).then(|| left.saturating_sub(1));
        let due =
            matches(then) && self.1.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) == Ok(0);
        due.then_some(then)
    }

    fn contents<T>(&self, of: impl FnOnce(&mut Contents) -> T) -> T {
        of(&mut self.0.lock().unwrap())
    }
}

impl Disk for Fake {
    fn open(&self) -> Result<Box<dyn StorageBackend>, Error> {
        Ok(Box::new(self.clone()))
    }
}

impl StorageBackend for Fake {
    fn len(&self) -> io::Result<u64> {
        Ok(self.contents(|contents| u64::try_from(contents.now.len()).unwrap()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.due(|then| then == Then::ReadsPanic).is_some() {
            panic!("a page is odd");
        }
        let start = usize::try_from(offset).unwrap();
        self.contents(|contents| {
            let found = contents.now.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(found);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.contents(|contents| contents.now.resize(usize::try_from(len).unwrap(), 0));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(Then::Flushes(kind)) = self.due(|then| matches!(then, Then::Flushes(_))) {
            return Err(kind.into());
        }
        self.contents(|contents| contents.flushed.clone_from(&contents.now));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.due(|then| matches!(then, Then::Writes(_) | Then::WritesPanic)) {
            Some(Then::Writes(kind)) => return Err(kind.into()),
            Some(_) => panic!("a lock is poisoned"),
            None => {}
        }
        let start = usize::try_from(offset).unwrap();
        self.contents(|contents| contents.now[start..start + data.len()].copy_from_slice(data));
        Ok(())
    }
}

fn sealer() -> Arc<Sealer> {
    Arc::new(Sealer::new([5; 32]).unwrap())
}

fn open(disk: &Fake) -> Result<Embedded, Error> {
    Embedded::on(Box::new(disk.clone()), sealer())
}

/// Polls until the writer has answered. Yielding, not sleeping: the answer is the only thing waited for.
fn wait<T>(mut future: BoxFuture<'_, T>) -> T {
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

/// Two records that must come and go together.
fn pair(number: u64) -> Commit {
    let put = |side: &str| Write::Put { name: format!("{side}{number:04}").into(), value: vec![b'v'; 3000] };
    Commit { preconditions: vec![], writes: vec![put("a"), put("b")] }
}

fn commit(store: &Embedded, number: u64) -> Result<Revision, Error> {
    wait(store.commit(pair(number)))
}

fn fill(store: &Embedded, pairs: u64) {
    for number in 1..=pairs {
        commit(store, number).unwrap();
    }
}

fn range(store: &Embedded, prefix: &str) -> Result<Vec<Record>, Error> {
    let read = Read::Range { prefix: prefix.into(), after: None, limit: usize::MAX };
    wait(store.read(vec![read])).map(|mut snapshot| snapshot.found.pop().unwrap())
}

/// How many pairs there are: all whole, and the first ones.
fn pairs(store: &Embedded) -> u64 {
    let (a, b) = (range(store, "a").unwrap(), range(store, "b").unwrap());
    assert!(a.iter().map(|record| &record.name[1..]).eq(b.iter().map(|record| &record.name[1..])));
    let count = u64::try_from(a.len()).unwrap();
    assert!(
        a.iter().zip(1..=count).all(|(record, number)| record.name == format!("a{number:04}").into_bytes())
    );
    assert_eq!(store.barrier_now(), Some(count), "a revision for each pair");
    count
}

fn check_stopped(store: &Embedded, expected: fn(&Error) -> bool) {
    assert!(store.failed().is_some());
    assert!(store.barrier_now().is_none());
    let answers = [
        commit(store, 99).unwrap_err(),
        wait(store.read(vec![])).unwrap_err(),
        wait(store.changes(0)).unwrap_err(),
        wait(store.barrier()).unwrap_err(),
    ];
    assert!(answers.iter().all(expected), "{answers:?}");
}

/// Commits until the plan strikes; says how many went well, and how the first that did not failed.
fn commit_until_error(store: &Embedded) -> (u64, Error) {
    let outcomes = (1..=50).map(|number| (number - 1, commit(store, number)));
    outcomes
        .into_iter()
        .find_map(|(before, outcome)| Some((before, outcome.err()?)))
        .expect("the plan never struck")
}

/// A failed flush or write, wherever it comes, stops the store. Whether the process then ends or the power goes, all that
/// was acknowledged is there, and of the rest nothing by halves.
fn check_disk_error(calls: u64, then: Then) {
    let disk = Fake::with_store();
    let store = open(&disk).unwrap();
    disk.plan(calls, then);
    let (acknowledged, error) = commit_until_error(&store);
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    check_stopped(&store, |error| matches!(error, Error::Unavailable(_)));
    drop(store);

    for contents in disk.contents(|contents| [contents.now.clone(), contents.flushed.clone()]) {
        let found = pairs(&open(&Fake::healthy(&contents)).unwrap());
        assert!(found == acknowledged || found == acknowledged + 1, "{found} of {acknowledged}");
    }
}

#[test]
fn a_failed_flush_stops_the_store() {
    for calls in 0..12 {
        check_disk_error(calls, Then::Flushes(io::ErrorKind::Other));
        // A full disk that shows only when it is flushed is no different.
        check_disk_error(calls, Then::Flushes(io::ErrorKind::StorageFull));
    }
}

#[test]
fn a_failed_write_stops_the_store() {
    for calls in 0..40 {
        check_disk_error(calls, Then::Writes(io::ErrorKind::Other));
    }
}

#[test]
fn a_panic_of_the_engine_while_writing_stops_the_store() {
    for calls in [0, 1, 7, 8, 20] {
        check_disk_error(calls, Then::WritesPanic);
    }
}

#[test]
fn a_panic_of_the_engine_while_reading_is_damage() {
    let disk = Fake::with_store();
    commit(&open(&disk).unwrap(), 1).unwrap();
    disk.plan(0, Then::ReadsPanic);
    let answer = super::fault::contained(|| open(&disk).map_err(super::fault::Trouble::Ours));
    assert!(matches!(answer, Err(super::fault::Trouble::Panic(_))), "the header is read outside the engine");
    for calls in 1..10 {
        disk.plan(calls, Then::ReadsPanic);
        match open(&disk) {
            Err(Error::Corrupt { what }) => assert!(what.contains("a page is odd")),
            Err(other) => panic!("{other:?}"),
            Ok(store) => {
                disk.recover();
                assert_eq!(pairs(&store), 1);
            }
        }
    }
}

/// A full disk, wherever it shows, refuses the commit and leaves nothing of it; with space again, the next one goes well.
#[test]
fn a_full_disk_refuses_and_goes_on() {
    for calls in 0..40 {
        let disk = Fake::with_store();
        let store = open(&disk).unwrap();
        disk.plan(calls, Then::Writes(io::ErrorKind::StorageFull));
        let (acknowledged, error) = commit_until_error(&store);
        assert!(matches!(error, Error::Full), "{error:?}");
        assert!(matches!(commit(&store, acknowledged + 1), Err(Error::Full)));
        assert_eq!(store.failed(), None);

        disk.recover();
        assert_eq!(commit(&store, acknowledged + 1).unwrap(), acknowledged + 1);
        assert_eq!(pairs(&store), acknowledged + 1);
        drop(store);
        assert_eq!(pairs(&open(&disk).unwrap()), acknowledged + 1);
    }
}

/// A store larger than what the engine keeps in memory.
fn large() -> (Fake, Embedded) {
    let disk = Fake::with_store();
    let store = open(&disk).unwrap();
    for number in 0..48 {
        let put = Write::Put { name: large_name(number), value: vec![number; 1024 * 1024] };
        wait(store.commit(Commit { preconditions: vec![], writes: vec![put] })).unwrap();
    }
    (disk, store)
}

fn large_name(number: u8) -> Vec<u8> {
    format!("record/{number:02}").into()
}

/// The disk is altered behind the back of a running store: no read gives a wrong answer, and one finds out.
fn check_altered_while_open(alter: impl Fn(&mut [u8])) {
    let (disk, store) = large();
    disk.contents(|contents| alter(&mut contents.now[4096..]));
    let answers: Vec<_> =
        (0..48).map(|number| wait(store.read(vec![Read::One(large_name(number))]))).collect();
    for (number, answer) in (0..).zip(&answers) {
        match answer {
            Ok(snapshot) => {
                assert_eq!(snapshot.found[0].len(), 1, "record {number} went missing");
                assert_eq!(snapshot.found[0][0].value, vec![number; 1024 * 1024]);
            }
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
        }
    }
    assert!(answers.iter().any(Result::is_err));
    check_stopped(&store, |error| matches!(error, Error::Corrupt { .. }));
}

#[test]
fn what_changes_under_a_running_store_is_seen() {
    check_altered_while_open(|contents| contents.iter_mut().step_by(1024).for_each(|byte| *byte ^= 1));
}

/// The seals of values cannot see this: the names that lead to the values are altered, so nothing would be found.
#[test]
fn a_record_cannot_go_missing_under_a_running_store() {
    check_altered_while_open(|contents| {
        let names = contents.windows(7).enumerate().filter(|(_, window)| *window == b"record/");
        let places: Vec<_> = names.map(|(place, _)| place).collect();
        assert!(places.len() >= 48);
        places.into_iter().for_each(|place| contents[place] = b'R');
    });
}

/// The file is cut off under a running store.
#[test]
fn a_file_cut_short_under_a_running_store_is_seen() {
    let disk = Fake::with_store();
    commit(&open(&disk).unwrap(), 1).unwrap();
    let store = open(&disk).unwrap();
    disk.contents(|contents| contents.now.truncate(4096));
    let answer = commit_until_error(&store);
    assert!(matches!(answer, (_, Error::Corrupt { .. })), "{answer:?}");
    check_stopped(&store, |error| matches!(error, Error::Corrupt { .. }));
}

/// One bit of the header makes the last commit but one the newest, with every checksum right.
#[test]
fn the_other_commit_slot_cannot_be_made_the_newest() {
    let disk = Fake::with_store();
    let store = open(&disk).unwrap();
    fill(&store, 5);
    let mut contents = disk.contents(|contents| contents.now.clone());
    assert_eq!(pairs(&open(&Fake::healthy(&contents)).unwrap()), 5);
    contents[9] ^= 1;
    let refused = open(&Fake::healthy(&contents));
    assert!(matches!(refused, Err(Error::Corrupt { what }) if what.contains("header")));
}

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

/// A row copied over another through the engine itself, so that all checksums are right.
#[test]
fn a_transplanted_row_does_not_open() {
    let disk = Fake::with_store();
    fill(&open(&disk).unwrap(), 3);
    let (engine, _) = tables::open(disk.open().unwrap(), &sealer(), &Arc::default()).unwrap();
    let database = engine.database().unwrap();
    let donor = database.begin_read().unwrap().open_table(RECORDS).unwrap();
    let donor = donor.get(&b"a0001"[..]).unwrap().unwrap().value().to_vec();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(RECORDS).unwrap().insert(&b"a0002"[..], donor.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(engine);

    let store = open(&disk).unwrap();
    let named = |error: &Error| matches!(error, Error::Corrupt { what } if what.contains("a0002"));
    let read = |name: &str| wait(store.read(vec![Read::One(name.into())]));
    assert!(named(&read("a0002").unwrap_err()));
    assert!(named(&range(&store, "a").unwrap_err()));
    let unchanged = crate::Precondition::Unchanged { name: "a0002".into(), revision: 1 };
    let conditional = Commit { preconditions: vec![unchanged], writes: pair(4).writes };
    assert!(named(&wait(store.commit(conditional)).unwrap_err()));

    assert_eq!(read("a0001").unwrap().found[0].len(), 1);
    assert_eq!(store.failed(), None, "one bad record does not stop the others");
    commit(&store, 2).unwrap();
    assert_eq!(range(&store, "a").unwrap().len(), 3);
}

#[test]
fn another_key_opens_nothing() {
    let disk = Fake::with_store();
    commit(&open(&disk).unwrap(), 1).unwrap();
    let other = Arc::new(Sealer::new([6; 32]).unwrap());
    assert!(matches!(Embedded::on(Box::new(disk), other), Err(Error::Corrupt { .. })));
}
