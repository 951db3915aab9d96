//! The audit ledger from outside: what it promises while it lives, after it was killed, and when its files were touched.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test ends at the first surprise"
)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use claviger_server::ledger::{Disk, Lane, Ledger, LedgerError, Opened, Options, Record, SystemDisk, read};
use tempfile::TempDir;

#[path = "ledger/basics.rs"]
mod basics;
#[path = "ledger/blocks.rs"]
mod blocks;
#[path = "ledger/crash.rs"]
mod crash;
#[path = "ledger/damage.rs"]
mod damage;
#[path = "ledger/faults.rs"]
mod faults;
#[path = "ledger/places.rs"]
mod places;
#[path = "ledger/simulation.rs"]
mod simulation;
#[path = "ledger/torn.rs"]
mod torn;

const ID: [u8; 16] = *b"a ledger of test";
const MIB: u64 = 1 << 20;
/// Layout, as documented in `format.rs`.
const HEADER: usize = 4096;
const HEAD: usize = 56;

fn options() -> Options {
    Options { segment_bytes: MIB, ..Options::new(ID) }
}

fn on(disk: impl Disk + 'static) -> Options {
    Options { disk: Arc::new(disk), ..options() }
}

/// A place for a ledger, and the ledger's directory in it.
fn place() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ledger");
    (home, dir)
}

fn open(dir: &Path) -> (Ledger, Opened) {
    Ledger::open(dir, options()).unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

async fn append(lane: &Lane, payload: &[u8]) -> Result<u64, LedgerError> {
    let reservation = lane.reserve(payload.len()).await?;
    lane.append(reservation, payload).await
}

/// Appends the payloads one after another: each is a batch of its own.
fn append_all<'a>(ledger: &Ledger, payloads: impl IntoIterator<Item = &'a [u8]>) {
    let (lane, _) = ledger.lane();
    block_on(async {
        for payload in payloads {
            append(&lane, payload).await.unwrap();
        }
    });
}

fn payload(number: u64) -> Vec<u8> {
    format!("{{\"eventID\":\"{number}\",\"pad\":\"{}\"}}", "x".repeat((number % 7) as usize)).into_bytes()
}

fn records(dir: &Path) -> Vec<Record> {
    read(dir, 0).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Records 1 to `count`, as [`payload`] makes them.
fn expected(count: u64) -> Vec<Record> {
    (1..=count).map(|sequence| Record { sequence, payload: payload(sequence) }).collect()
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.ledger"))
}

/// Holds back every sync while it is shut, so that a test decides what one batch is.
#[derive(Debug, Clone)]
struct Gate(Arc<(Mutex<Held>, Condvar)>, &'static str);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::default(), "ledger-writer")
    }
}

#[derive(Debug, Default)]
struct Held {
    shut: bool,
    waiting: bool,
}

impl Gate {
    fn set(&self, shut: bool) {
        self.0.0.lock().unwrap().shut = shut;
        self.0.1.notify_all();
    }

    fn wait_for_a_sync(&self) {
        let held = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(held, |held| !held.waiting).unwrap());
    }
}

impl Disk for Gate {
    fn sync(&self, segment: u64, file: &std::fs::File) -> std::io::Result<()> {
        // By default the preparer passes, and only the writer is held.
        if std::thread::current().name() == Some(self.1) {
            let mut held = self.0.0.lock().unwrap();
            held.waiting = true;
            self.0.1.notify_all();
            let mut held = self.0.1.wait_while(held, |held| held.shut).unwrap();
            held.waiting = false;
        }
        SystemDisk.sync(segment, file)
    }
}

/// Makes a ledger of `singles` batches of one record and a last batch of `together` records.
fn with_last_batch(dir: &Path, singles: u64, together: u64) {
    let gate = Gate::default();
    let (ledger, opened) = Ledger::open(dir, on(gate.clone())).unwrap();
    assert_eq!(opened.next_sequence, 1);
    append_all(&ledger, (1..singles).map(payload).collect::<Vec<_>>().iter().map(Vec::as_slice));
    gate.set(true);
    let (lane, _) = ledger.lane();
    block_on(async {
        let mut waiting = Vec::new();
        for sequence in singles..=singles + together {
            let payload = payload(sequence);
            let reservation = lane.reserve(payload.len()).await.unwrap();
            waiting.push(lane.append(reservation, &payload));
            if sequence == singles {
                // It is being synced now; what comes next gathers.
                gate.wait_for_a_sync();
            }
        }
        gate.set(false);
        for append in waiting {
            append.await.unwrap();
        }
    });
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}
