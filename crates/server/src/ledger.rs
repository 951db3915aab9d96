//! The audit ledger: a local, append-only, hash-chained file of records with group commit.
//!
//! While one sync runs, the next batch gathers; each [`Append`] resolves when its record is on stable storage. Room is
//! [reserved](Lane::reserve) before the effect that is to be recorded, so that a full disk refuses a request and never
//! loses an event. Payloads are opaque bytes of up to [`MAX_PAYLOAD_LEN`].
//!
//! The ledger is a directory of segments `00000000000000000001.ledger`, numbered without gaps. Each is written with
//! zeros and synced before it is used, so that an append changes no metadata and cannot meet a full disk; a spare one is
//! prepared in the background. `format.rs` has the layout, `segment.rs` the rule that tells a torn tail from damage.
//!
//! Promises:
//!
//! - An acknowledged record survives a crash at any point, and a crash while recovering from that. The medium is assumed
//!   not to spoil bytes of a sector that a write leaves as they are (as SQLite assumes with `POWERSAFE_OVERWRITE`).
//! - A write or a sync that fails is final: every waiter and later caller gets [`LedgerError::Failed`]. It is never
//!   retried.
//! - Damage is refused and named, never repaired. Only what a crash left of the very last batch is taken away. If bytes
//!   of just that batch rot while the program is down, they look like a torn tail; [`Opened::torn`] reports both.
//! - [`verify`] finds any change inside the ledger. A hash chain alone can *not* show that records were cut off its end,
//!   or that all of it was rewritten, by someone who controls the disk: the signed digests that are delivered elsewhere
//!   anchor it against that.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

mod blocks;
mod damage;
mod disk;
mod expected;
mod format;
mod lane;
mod mutex;
mod recover;
mod room;
mod segment;
mod shared;
mod walk;
mod writer;

pub use damage::{FirstBad, OpenError, Why};
pub use disk::{Disk, SystemDisk};
pub use format::{Chain, LedgerId, MAX_PAYLOAD_LEN, MIN_SEGMENT_LEN};
pub use lane::{Append, Delivery, Lane};
pub use room::Reservation;
pub use walk::{Record, Records, Verified, read, verify};

use disk::{Cached, Directory};
use shared::Shared;
use writer::{Preparer, Writer};

/// Length of a segment's file in bytes where nothing else is said: 64 MiB.
pub const DEFAULT_SEGMENT_LEN: u64 = 64 << 20;

/// How a ledger is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tells this ledger from another; a directory that holds another one is refused.
    pub id: LedgerId,
    /// Length of new segments in bytes, at least [`MIN_SEGMENT_LEN`]. Made up to a multiple of 4096.
    pub segment_bytes: u64,
    /// Segments are [expired](Ledger::expired) while the ledger is larger than this many bytes. 0 keeps everything.
    pub keep_bytes: u64,
    /// When a record counts as durable.
    pub durability: Durability,
    /// Where it is written.
    pub disk: Arc<dyn Disk>,
}

impl Options {
    /// Keeps everything, in segments of [`DEFAULT_SEGMENT_LEN`] bytes, on the disk of this machine.
    pub fn new(id: LedgerId) -> Self {
        Self {
            id,
            segment_bytes: DEFAULT_SEGMENT_LEN,
            keep_bytes: 0,
            durability: Durability::Fsync,
            disk: Arc::new(SystemDisk),
        }
    }
}

/// When a record counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After fdatasync(2) of everything up to it.
    Fsync,
    /// After write(2): lost with the power. To measure what the sync costs, and for nothing else.
    NoFsyncForBenchmarkOnly,
}

/// Why a record was not taken, or did not become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerError {
    /// There is no room. Nothing was written; it may be tried again.
    Full,
    /// The payload is larger than a record may be, or than its reservation. Nothing was written.
    TooLarge,
    /// A write or a sync has failed. Whether the record is on the disk is not known, and the process should end.
    Failed,
    /// The ledger has been closed. Nothing was written.
    Closed,
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the ledger is full",
            Self::TooLarge => "the record is larger than its room in the ledger",
            Self::Failed => "the ledger has failed",
            Self::Closed => "the ledger is closed",
        })
    }
}

impl std::error::Error for LedgerError {}

/// What was found when a ledger was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The first record that is still there; [`next_sequence`](Self::next_sequence) if there is none.
    pub first_sequence: u64,
    /// The sequence number that the next record gets. The first of all is 1.
    pub next_sequence: u64,
    /// What the last crash had left half written, and was taken away.
    pub torn: Option<Torn>,
}

/// The rest of a batch that was never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// The first record that was not whole.
    pub sequence: u64,
    /// How many bytes were taken away.
    pub bytes: u64,
}

/// A segment that takes no more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Its number.
    pub segment: u64,
    /// Its first record.
    pub first_sequence: u64,
    /// Its last record.
    pub last_sequence: u64,
    /// Length of its file in bytes.
    pub bytes: u64,
}

/// How the making of spare segments goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preparation {
    /// Attempts that have ended since the ledger was opened.
    pub attempts: u64,
    /// Why the last one made nothing; `StorageFull` is the usual reason.
    pub failure: Option<io::ErrorKind>,
}

/// Why a segment was not removed.
#[derive(Debug)]
pub enum RemoveError {
    /// It is not the oldest of those that are expired.
    NotExpired,
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExpired => f.write_str("the segment is not the oldest expired one"),
            Self::Io(error) => write!(f, "the segment cannot be removed: {error}"),
        }
    }
}

impl std::error::Error for RemoveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotExpired => None,
            Self::Io(error) => Some(error),
        }
    }
}

/// An open ledger. Dropping it writes what was appended, waits for its threads and unlocks the directory.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    /// Holds the lock.
    directory: Arc<Directory>,
    keep_bytes: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Ledger {
    /// Opens the ledger in the directory `dir`, and makes it if nothing is there (its parent must exist). The directory
    /// gets mode 0700 and its files 0600, whatever the umask. Blocks: it reads the last segment, and writes a first one.
    pub fn open(dir: &Path, mut options: Options) -> Result<(Self, Opened), OpenError> {
        if options.segment_bytes < MIN_SEGMENT_LEN {
            return Err(OpenError::SegmentLength);
        }
        let whole_blocks = options.segment_bytes.checked_next_multiple_of(blocks::BLOCK as u64);
        options.segment_bytes = whole_blocks.ok_or(OpenError::SegmentLength)?;
        if options.durability == Durability::NoFsyncForBenchmarkOnly {
            options.disk = Arc::new(Cached(options.disk));
        }
        let directory = Directory::create(dir)?;
        let mode = directory.mode()?;
        if mode & 0o022 != 0 {
            return Err(OpenError::Exposed { mode });
        }
        if !directory.lock()? {
            return Err(OpenError::Locked);
        }
        let mut found = recover::recover(&directory, &options)?;
        let first = found.closed.front().map_or(found.tail.first_sequence, |closed| closed.first_sequence);
        let opened =
            Opened { first_sequence: first, next_sequence: found.tail.sequence, torn: found.torn.take() };
        let spares = found.spares.len() as u64;
        let shared = Arc::new(Shared::new(&mut found));
        let mut ledger = Self {
            shared: shared.clone(),
            directory: Arc::new(directory),
            keep_bytes: options.keep_bytes,
            threads: Vec::new(),
        };
        let preparer = Preparer {
            shared: shared.clone(),
            directory: ledger.directory.clone(),
            disk: options.disk.clone(),
            segment_bytes: options.segment_bytes,
            number: found.tail.number.saturating_add(spares).saturating_add(1),
        };
        let Options { id, durability, disk, .. } = options;
        let writer = Writer { shared, disk, durability, id, tail: found.tail };
        ledger.spawn("ledger-writer", || writer.run())?;
        ledger.spawn("ledger-prepare", || preparer.run())?;
        Ok((ledger, opened))
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(())
    }

    /// A new lane, for one runtime, and the task to be spawned there. A lane lasts as long as the ledger.
    pub fn lane(&self) -> (Lane, Delivery) {
        let (waiters, bit) = self.shared.add_lane();
        Lane::new(self.shared.clone(), waiters, bit)
    }

    /// The last record that is durable; 0 before the first.
    pub fn durable_sequence(&self) -> u64 {
        self.shared.progress().durable()
    }

    /// The durable records after `sequence`, read from the disk. Blocks.
    pub fn records_since(&self, sequence: u64) -> Result<Records, FirstBad> {
        let durable = self.durable_sequence();
        let directory = self.directory.try_clone().map_err(|error| FirstBad {
            sequence,
            segment: 0,
            offset: 0,
            why: Why::Unreadable(error.kind()),
        })?;
        walk::read_to(directory, sequence.saturating_add(1), durable)
    }

    /// Whether a write or a sync has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.progress().has_failed()
    }

    /// Resolves when a write or a sync has failed; the process should end then.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut failed = self.shared.watch_failed();
        async move {
            if failed.wait_for(|failed| *failed).await.is_err() {
                // Closed without a failure: there will be none.
                std::future::pending::<()>().await;
            }
        }
    }

    /// How the making of spare segments goes, for the log and the metrics.
    pub fn preparation(&self) -> watch::Receiver<Preparation> {
        self.shared.watch_preparation()
    }

    /// The current segment's number; it changes when one is closed, and then another may be [expired](Self::expired).
    pub fn current_segment(&self) -> watch::Receiver<u64> {
        self.shared.watch_current()
    }

    /// The oldest segments that the ledger need not keep, so that it has `keep_bytes` bytes again: never the current
    /// one, nor the one before it. They stay until they are [removed](Self::remove), so that the removal can be recorded
    /// before it happens.
    pub fn expired(&self) -> Vec<Closed> {
        let held = self.shared.held().lock();
        if self.keep_bytes == 0 {
            return Vec::new();
        }
        let mut bytes = held.closed.iter().map(|closed| closed.bytes).sum::<u64>() + held.current_bytes;
        let mut expired = Vec::new();
        for closed in held.closed.iter().take(held.closed.len().saturating_sub(1)) {
            if bytes <= self.keep_bytes {
                break;
            }
            bytes = bytes.saturating_sub(closed.bytes);
            expired.push(*closed);
        }
        expired
    }

    /// Removes the oldest expired segment from the disk. Blocks. What remains still verifies: the first header left
    /// carries the chain on.
    pub fn remove(&self, segment: Closed) -> Result<(), RemoveError> {
        if self.expired().first() != Some(&segment) {
            return Err(RemoveError::NotExpired);
        }
        let mut held = self.shared.held().lock();
        if held.closed.front() != Some(&segment) {
            return Err(RemoveError::NotExpired);
        }
        self.directory.remove_segment(segment.segment).map_err(RemoveError::Io)?;
        held.closed.pop_front();
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A panic of the writer has already failed the ledger.
            let _ = thread.join();
        }
        self.directory.unlock();
    }
}
