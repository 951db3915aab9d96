//! One ordered key-value model for every engine that may hold Claviger's state.
//!
//! The model is small on purpose: reads of names and ranges at one revision, conditional commits that are durable when
//! they return, an ordered feed of what changed, and a barrier that makes cached reads linearizable. Engines:
//! [`Memory`] (tests and simulation) and [`Embedded`] (one machine, redb). Values are opaque bytes here.
//!
//! Invariants, each held by every engine and tested by `tests/engine.rs`:
//!
//! - A commit is atomic and durable when [`Store::commit`] returns `Ok`; an error means that nothing of it is visible,
//!   now or after a restart.
//! - Revisions only grow, by one for each commit that writes, and are never reused after a restart.
//! - [`Store::changes`] names every key written after the given revision, or says that it no longer can.
//! - What an engine reads back was written under that very name, unaltered, or the read fails with [`Error::Corrupt`].

use std::future::Future;
use std::ops::Bound;
use std::pin::Pin;

mod embedded;
mod feed;
mod limits;
mod memory;
mod sealer;

pub use embedded::Embedded;
pub use memory::Memory;
pub use sealer::Sealer;

/// Counts the commits of a store. Revision 0 is the empty store.
pub type Revision = u64;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest name of a record in bytes.
pub const MAX_NAME_LEN: usize = 1024;
/// Longest value of a record in bytes.
pub const MAX_VALUE_LEN: usize = 1024 * 1024;
/// Most preconditions and writes of one commit together.
pub const MAX_COMMIT_PARTS: usize = 512;
/// Most bytes of all names and values of one commit together.
pub const MAX_COMMIT_LEN: usize = 4 * 1024 * 1024;

/// A record as it stood at the revision of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// The commit that wrote it last.
    pub revision: Revision,
}

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The record of this name, if there is one.
    One(Vec<u8>),
    /// The first `limit` records whose names start with `prefix` and are greater than `after` (when given), in the
    /// order of their names.
    Range {
        /// What the names start with.
        prefix: Vec<u8>,
        /// Only names greater than this one.
        after: Option<Vec<u8>>,
        /// At most this many records.
        limit: usize,
    },
}

impl Read {
    /// Where in the order of names it begins. From there it goes on while the prefix holds, so that no end has to be
    /// computed for prefixes like `ff ff`, which have none.
    pub(crate) fn start(&self) -> Bound<&[u8]> {
        match self {
            Self::One(name) => Bound::Included(name),
            Self::Range { prefix, after: Some(after), .. } if after >= prefix => Bound::Excluded(after),
            Self::Range { prefix, .. } => Bound::Included(prefix),
        }
    }
}

/// What a read found: for each [`Read`], in its place, the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision at which all of it was read.
    pub revision: Revision,
    /// One list for each [`Read`]; at most one record for [`Read::One`].
    pub found: Vec<Vec<Record>>,
}

/// What must hold for a commit to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The record exists and was last written by this commit.
    Unchanged {
        /// Name of the record.
        name: Vec<u8>,
        /// Its revision as read.
        revision: Revision,
    },
    /// There is no record of this name.
    Absent(Vec<u8>),
}

/// One write of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Creates or replaces a record.
    Put {
        /// Name of the record.
        name: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Removes a record; does nothing where there is none.
    Delete(Vec<u8>),
}

/// Preconditions and writes that are carried out together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// All of these must hold.
    pub preconditions: Vec<Precondition>,
    /// Then all of these are done. No name may stand twice.
    pub writes: Vec<Write>,
}

/// What changed since a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Every name written or deleted after the given revision, up to `revision`.
    Names {
        /// The revision up to which the names are complete.
        revision: Revision,
        /// The names, oldest change first; a name may stand more than once.
        names: Vec<Vec<u8>>,
    },
    /// The store no longer knows; whoever caches must forget everything read before `revision`.
    Forgotten {
        /// The newest revision.
        revision: Revision,
    },
}

/// Why the store did not do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A precondition did not hold; nothing was written. Read again and decide anew.
    Conflict,
    /// A name, value or commit is larger than the limits of this crate; nothing was written.
    TooLarge,
    /// A name stands twice among the writes of a commit; nothing was written.
    Repeated,
    /// There is no room on the disk; nothing was written. Works again once there is.
    Full,
    /// The store cannot be reached or is closing; for a commit, nothing is known to be written.
    Unavailable(String),
    /// What is stored is not what was written. The record is named where it is known.
    Corrupt {
        /// Which record or structure.
        what: String,
    },
    /// The store was written by a newer version of this program.
    Newer {
        /// Format found.
        found: u32,
        /// Newest format this program reads.
        known: u32,
    },
    /// The store is locked by another process.
    Locked,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conflict => f.write_str("a record changed since it was read"),
            Self::TooLarge => f.write_str("a name, value or commit is too large"),
            Self::Repeated => f.write_str("a commit writes a name twice"),
            Self::Full => f.write_str("no space is left for the store"),
            Self::Unavailable(why) => write!(f, "the store is unavailable: {why}"),
            Self::Corrupt { what } => write!(f, "the store is damaged: {what}"),
            Self::Newer { found, known } => {
                write!(f, "the store has format {found}, this program reads up to {known}")
            }
            Self::Locked => f.write_str("the store is in use by another process"),
        }
    }
}

impl std::error::Error for Error {}

/// What every engine does.
pub trait Store: Send + Sync {
    /// Reads names and ranges, all at one revision.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a record is not what was written; [`Error::Unavailable`].
    fn read(&self, reads: Vec<Read>) -> BoxFuture<'_, Result<Snapshot, Error>>;

    /// Carries out a commit; durable when it returns `Ok`.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::TooLarge`], [`Error::Repeated`], [`Error::Full`]: nothing was written.
    /// [`Error::Corrupt`] when a record that a precondition names is not what was written.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, Error>>;

    /// What changed after revision `from`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn changes(&self, from: Revision) -> BoxFuture<'_, Result<Changes, Error>>;

    /// A revision at or above every commit that was acknowledged before the call.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn barrier(&self) -> BoxFuture<'_, Result<Revision, Error>>;

    /// [`Store::barrier`] where the engine can tell without waiting; `None` where it cannot.
    fn barrier_now(&self) -> Option<Revision> {
        None
    }
}
