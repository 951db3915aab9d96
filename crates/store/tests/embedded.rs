//! The embedded engine on real files: crashes, damage, other openers, and a disk that is full.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "all of this file is a test, some of it a program that the tests start and kill"
)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use claviger_store::{Changes, Commit, Embedded, Error, Read, Revision, Sealer, Store, Write};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

#[path = "support/block_on.rs"]
mod block_on;
use block_on::block_on;

/// Tells a process of this test program that it is one of the children below, and where its store is.
const CHILD_STORE: &str = "CLAVIGER_TEST_CHILD_STORE";

fn open(path: &Path) -> Result<Embedded, Error> {
    Embedded::open(path, Sealer::new([9; 32]).unwrap())
}

fn put(name: &str, value: &[u8]) -> Write {
    Write::Put { name: name.into(), value: value.to_vec() }
}

fn commit(store: &Embedded, writes: Vec<Write>) -> Result<Revision, Error> {
    block_on(store.commit(Commit { preconditions: vec![], writes }))
}

fn all(store: &Embedded) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
    let read = Read::Range { prefix: vec![], after: None, limit: usize::MAX };
    let found = block_on(store.read(vec![read]))?.found.remove(0);
    Ok(found.into_iter().map(|record| (record.name, record.value)).collect())
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (folder, path)
}

fn random(seed: &[u8; 32]) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, seed)
}

fn below(rng: &mut TestRng, end: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(end).unwrap()).unwrap()
}

#[test]
fn a_closed_store_opens_as_it_was() {
    let (_folder, path) = folder();
    let mut expected = BTreeMap::new();
    for round in 1..=4_u64 {
        let store = open(&path).unwrap();
        assert_eq!(all(&store).unwrap(), expected);
        assert_eq!(store.barrier_now(), Some((round - 1) * 2));
        for half in [1, 0] {
            let name = format!("{round}/{half}");
            assert_eq!(commit(&store, vec![put(&name, &[7; 50])]).unwrap(), round * 2 - half);
            expected.insert(name.into_bytes(), vec![7; 50]);
        }
    }
    let store = open(&path).unwrap();
    assert_eq!(block_on(store.changes(7)).unwrap(), Changes::Forgotten { revision: 8 });
    assert_eq!(block_on(store.changes(8)).unwrap(), Changes::Names { revision: 8, names: vec![] });
}

#[test]
fn closing_carries_out_what_waits() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    let mut futures: Vec<_> = (0..100)
        .map(|number| {
            store.commit(Commit { preconditions: vec![], writes: vec![put(&number.to_string(), b"v")] })
        })
        .collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    futures.iter_mut().for_each(|future| drop(future.as_mut().poll(&mut context)));
    drop(futures);
    drop(store);
    assert_eq!(all(&open(&path).unwrap()).unwrap().len(), 100);
}

#[test]
fn a_second_opener_is_refused() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    assert!(matches!(open(&path), Err(Error::Locked)));
    commit(&store, vec![put("a", b"1")]).unwrap();
    assert!(matches!(open(&path), Err(Error::Locked)));
    drop(store);
    assert_eq!(all(&open(&path).unwrap()).unwrap().len(), 1);
}

/// Something else stands where a file of the store belongs: it is refused, and left as it was.
fn check_unfit(suffix: &str, place: impl Fn(&Path, &Path)) {
    let (folder, path) = folder();
    let target = folder.path().join("target");
    drop(open(&target).unwrap());
    let before = fs::read(&target).unwrap();
    let mut unfit = path.clone().into_os_string();
    unfit.push(suffix);
    place(&target, Path::new(&unfit));
    match open(&path) {
        Err(Error::Corrupt { what }) => assert!(what.contains(unfit.to_str().unwrap()), "{what}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&target).unwrap(), before);
}

#[test]
fn links_pipes_and_folders_are_refused() {
    for suffix in ["", ".lock"] {
        check_unfit(suffix, |target, path| symlink(target, path).unwrap());
        check_unfit(suffix, |_, path| symlink("/nonexistent", path).unwrap());
        check_unfit(suffix, |target, path| fs::hard_link(target, path).unwrap());
        check_unfit(suffix, |_, path| fs::create_dir(path).unwrap());
        check_unfit(suffix, |_, path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()));
    }
}

#[test]
fn what_is_not_a_store_is_refused_and_left_alone() {
    for contents in [&b""[..], b"hello", &[0; 8192]] {
        let (_folder, path) = folder();
        fs::write(&path, contents).unwrap();
        assert!(matches!(open(&path), Err(Error::Corrupt { .. })));
        assert_eq!(fs::read(&path).unwrap(), contents);
    }
}

#[test]
fn a_store_that_was_not_finished_is_made_again() {
    let (folder, path) = folder();
    fs::write(folder.path().join("store.new"), b"half a header").unwrap();
    commit(&open(&path).unwrap(), vec![put("a", b"1")]).unwrap();
    assert_eq!(all(&open(&path).unwrap()).unwrap().len(), 1);
    assert!(!folder.path().join("store.new").exists());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    commit(&open(&path).unwrap(), vec![put("a", b"1")]).unwrap();
    let mut contents = fs::read(&path).unwrap();
    let mark = contents.windows(8).position(|window| window == b"CLAVIGER").unwrap();
    contents[mark + 8..mark + 12].copy_from_slice(&7_u32.to_be_bytes());
    fs::write(&path, &contents).unwrap();
    assert!(matches!(open(&path), Err(Error::Newer { found: 7, known: 1 })));
    assert_eq!(fs::read(&path).unwrap(), contents);
}

/// Runs one test of this program as a child, under `sh` so that a umask can be set first.
fn child(test: &str, store: &Path, umask: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh");
    command.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD_STORE, store).stdout(Stdio::piped());
    command
}

#[test]
fn files_are_for_their_owner_whatever_the_umask() {
    for umask in ["000", "077", "777"] {
        let (folder, path) = folder();
        let output = child("child_makes_a_store", &path, umask).output().unwrap();
        assert!(output.status.success());
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        let modes: Vec<_> =
            files.map(|file| file.metadata().unwrap().permissions().mode() & 0o7777).collect();
        assert_eq!(modes, [0o600, 0o600], "umask {umask}");
    }
}

#[test]
fn child_makes_a_store() {
    if let Some(path) = std::env::var_os(CHILD_STORE) {
        drop(open(Path::new(&path)).unwrap());
    }
}

/// The lines that the children's threads write.
const LANES: usize = 3;

/// Commits in three threads until it is killed, and says what was acknowledged. Commit `n` of a lane makes two records and
/// replaces the lane's `last`.
#[test]
fn child_commits_until_killed() {
    let Some(path) = std::env::var_os(CHILD_STORE) else { return };
    say("opening");
    let store = Arc::new(open(Path::new(&path)).unwrap());
    let lanes = (0..LANES).map(|lane| {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            for number in last(&all(&store).unwrap(), lane) + 1.. {
                commit(&store, records(lane, number)).unwrap();
                say(&format!("done {lane} {number}"));
            }
        })
    });
    lanes.collect::<Vec<_>>().into_iter().for_each(|lane| lane.join().unwrap());
}

/// Writes a line in one piece.
fn say(line: &str) {
    std::io::stdout().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

fn records(lane: usize, number: u64) -> Vec<Write> {
    let value = vec![u8::try_from(number % 251).unwrap(); usize::try_from(number * 37 % 3000).unwrap()];
    let named = |side: &str| put(&format!("{lane}/{number}/{side}"), &value);
    vec![named("a"), put(&format!("{lane}/last"), number.to_string().as_bytes()), named("b")]
}

fn last(all: &BTreeMap<Vec<u8>, Vec<u8>>, lane: usize) -> u64 {
    let last = all.get(format!("{lane}/last").as_bytes());
    last.map_or(0, |last| String::from_utf8(last.clone()).unwrap().parse().unwrap())
}

/// Starts a child, kills it once it has said `lines` lines, and gives the last number acknowledged in each lane.
fn run_and_kill(path: &Path, lines: usize) -> [u64; LANES] {
    let mut child = child("child_commits_until_killed", path, "077").spawn().unwrap();
    let mut acknowledged = [0; LANES];
    let mut said = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["done", lane, number] => acknowledged[lane.parse::<usize>().unwrap()] = number.parse().unwrap(),
            ["opening"] => {}
            _ => continue,
        }
        // What it still says until it is dead counts as well.
        said += 1;
        if said == lines {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(said >= lines && status.code().is_none(), "it ended by itself: {status}");
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_kill() {
    let (_folder, path) = folder();
    let mut rng = random(b"killed in the middle of a commit");
    let mut before = [0; LANES];
    for cycle in 0..30 {
        // Every sixth is killed while it opens what the one before left.
        let lines = if cycle % 6 == 5 { 1 } else { 2 + below(&mut rng, 60) };
        let acknowledged = run_and_kill(&path, lines);
        let store = open(&path).unwrap();
        let found = all(&store).unwrap();

        let mut expected = BTreeMap::new();
        let lasts: Vec<_> = (0..LANES).map(|lane| last(&found, lane)).collect();
        for (lane, last) in lasts.iter().enumerate() {
            let known = acknowledged[lane].max(before[lane]);
            assert!(*last == known || *last == known + 1, "cycle {cycle}: {last} of {known}");
            before[lane] = *last;
            for write in (1..=*last).flat_map(|number| records(lane, number)) {
                let Write::Put { name, value } = write else { panic!() };
                expected.insert(name, value);
            }
        }
        assert!(found == expected, "cycle {cycle}: a record is missing, altered or half there");
        assert_eq!(store.barrier_now(), Some(lasts.iter().sum()), "a revision for each commit");
    }
}

const IMAGE_RECORDS: usize = 2000;

/// The file of a store as it is after a crash, or after it was closed, and what is in it.
fn image(closed: bool) -> (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>) {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    let names: Vec<_> =
        (0..IMAGE_RECORDS).map(|number| format!("key/{:05}", number * 7919 % IMAGE_RECORDS)).collect();
    for names in names.chunks(100) {
        let writes = names.iter().map(|name| put(name, name.repeat(name.len() % 3 + 12).as_bytes()));
        commit(&store, writes.collect()).unwrap();
    }
    let expected = all(&store).unwrap();
    assert_eq!(expected.len(), IMAGE_RECORDS);
    if closed {
        drop(store);
    }
    (fs::read(&path).unwrap(), expected)
}

/// What came of altered files.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    right: usize,
}

/// Opens an altered file: every answer is right, or an error that says what is wrong.
fn check_altered(tally: &mut Tally, contents: &[u8], expected: &BTreeMap<Vec<u8>, Vec<u8>>, how: &str) {
    let (_folder, path) = folder();
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    match open(&path).and_then(|store| Ok((all(&store)?, store.barrier_now()))) {
        Ok((found, revision)) => {
            assert!(found == *expected, "{how}: a wrong answer");
            assert_eq!(revision, Some(u64::try_from(IMAGE_RECORDS / 100).unwrap()), "{how}");
            tally.right += 1;
        }
        Err(Error::Corrupt { .. } | Error::Newer { .. }) => tally.refused += 1,
        Err(other) => panic!("{how}: {other:?}"),
    }
}

#[test]
fn a_flipped_bit_is_harmless_or_refused() {
    let mut rng = random(b"every bit of the file may change");
    for closed in [true, false] {
        let (mut contents, expected) = image(closed);
        let mut tally = Tally::default();
        for _ in 0..250 {
            let bit = below(&mut rng, contents.len() * 8);
            contents[bit / 8] ^= 1 << (bit % 8);
            check_altered(&mut tally, &contents, &expected, &format!("bit {bit}, closed {closed}"));
            contents[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(tally.refused > 50 && tally.right > 0, "{tally:?}");
    }
}

/// After a crash, when the two commit slots differ: here lies the bit that says which of them is the newest.
#[test]
fn every_flipped_bit_of_the_header_is_refused() {
    let (mut contents, expected) = image(false);
    let mark = contents.windows(8).position(|window| window == b"CLAVIGER").unwrap();
    let header_bits = (mark + 8 + 4 + 32) * 8;
    let mut tally = Tally::default();
    for bit in 0..header_bits {
        contents[bit / 8] ^= 1 << (bit % 8);
        check_altered(&mut tally, &contents, &expected, &format!("bit {bit}"));
        contents[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!((tally.refused, tally.right), (header_bits, 0));
}

#[test]
fn a_file_cut_short_is_refused() {
    for closed in [true, false] {
        let (contents, expected) = image(closed);
        let mut tally = Tally::default();
        let lengths = (0..contents.len()).step_by(8192).flat_map(|len| [len, len + 512, len + 4097]);
        for len in lengths.filter(|len| *len < contents.len()) {
            check_altered(&mut tally, &contents[..len], &expected, &format!("length {len}, closed {closed}"));
        }
        assert!(tally.refused > tally.right, "{tally:?}");
    }
}

/// A page of zeros, of another page, and of what stood there in an older file.
#[test]
fn a_page_that_is_not_the_last_written_is_harmless_or_refused() {
    let (contents, expected) = image(false);
    let mut rng = random(b"pages lost, swapped and put back");
    let pages = contents.len() / 4096;
    let mut tally = Tally::default();
    for page in 0..pages {
        let place = page * 4096..(page + 1) * 4096;
        let mut zeroed = contents.clone();
        zeroed[place.clone()].fill(0);
        check_altered(&mut tally, &zeroed, &expected, &format!("page {page} zeroed"));
        let other = below(&mut rng, pages) * 4096;
        let mut swapped = contents.clone();
        swapped[place].copy_from_slice(&contents[other..other + 4096]);
        check_altered(&mut tally, &swapped, &expected, &format!("page {page} is that at {other}"));
    }
    assert!(tally.refused > 50 && tally.right > 0, "{tally:?}");
}

/// A write that the disk acknowledged and lost: the page before it was replaced.
#[test]
fn a_stale_page_is_harmless_or_refused() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    let write = |version: u8| {
        for part in 0..20 {
            let writes = (0..100).map(|number| put(&format!("key/{part:02}{number:02}"), &[version; 150]));
            commit(&store, writes.collect()).unwrap();
        }
        (fs::read(&path).unwrap(), all(&store).unwrap())
    };
    let (old, _) = write(1);
    let (new, expected) = write(2);
    let mut tally = Tally::default();
    for page in (0..old.len().min(new.len()) / 4096)
        .filter(|page| old[page * 4096..][..4096] != new[page * 4096..][..4096])
    {
        let mut stale = new.clone();
        stale[page * 4096..][..4096].copy_from_slice(&old[page * 4096..][..4096]);
        let (_folder, path) = folder();
        fs::write(&path, &stale).unwrap();
        match open(&path).and_then(|store| all(&store)) {
            Ok(found) if found == expected => tally.right += 1,
            Ok(_) => panic!("page {page}: a wrong answer"),
            Err(Error::Corrupt { .. }) => tally.refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(tally.refused > 0, "{tally:?}");
}

/// A file system of a few megabytes, gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=3m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(folder.path()).status().unwrap();
        assert!(mounted.success(), "this test needs the right to mount a tmpfs");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that a failed test with its files still open leaves nothing behind either.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_space() {
    let disk = SmallDisk::mount();
    let (path, ballast) = (disk.0.path().join("store"), disk.0.path().join("ballast"));
    fs::write(&ballast, vec![1; 1024 * 1024]).unwrap();
    let store = open(&path).unwrap();
    let value = vec![3; 30_000];
    let mut expected = BTreeMap::new();
    let full = |expected: &mut BTreeMap<_, _>, round: &str| loop {
        let name = format!("{round}/{}", expected.len());
        match commit(&store, vec![put(&name, &value), put("last", name.as_bytes())]) {
            Ok(_) => {
                expected.insert(name.clone().into_bytes(), value.clone());
                expected.insert(b"last".to_vec(), name.into_bytes());
            }
            Err(Error::Full) => break,
            Err(other) => panic!("{other:?}"),
        }
    };

    full(&mut expected, "first");
    let count = expected.len();
    assert!(count > 10, "{count}");
    for _ in 0..3 {
        assert!(matches!(commit(&store, vec![put("more", &value)]), Err(Error::Full)));
        assert_eq!(all(&store).unwrap(), expected);
    }
    assert_eq!(store.failed(), None);

    fs::remove_file(&ballast).unwrap();
    full(&mut expected, "second");
    assert!(expected.len() > count + 5, "nothing could be written with space again");
    let revision = store.barrier_now().unwrap();
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(all(&store).unwrap(), expected);
    assert_eq!(store.barrier_now(), Some(revision));
    drop(store);
}

/// Names stand in the file in plain sight. Altered there while the store is open, they are not believed: a read gives the
/// right answer, from memory, or an error. `src/embedded/tests.rs` does the same to a store larger than the memory.
#[test]
fn a_page_altered_under_a_running_store_is_never_believed() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    for number in 0..20 {
        commit(&store, vec![put(&format!("key/{number:02}"), &[5; 400])]).unwrap();
    }
    let expected = all(&store).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let contents = fs::read(&path).unwrap();
    for at in contents.windows(4).enumerate().filter_map(|(at, window)| (window == b"key/").then_some(at)) {
        file.write_all_at(b"kez/", u64::try_from(at).unwrap()).unwrap();
    }
    match all(&store) {
        Ok(found) => assert_eq!(found, expected),
        Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
    }
    drop(store);
    assert!(matches!(open(&path), Err(Error::Corrupt { .. })));
}
