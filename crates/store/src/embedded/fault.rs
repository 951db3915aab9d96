//! What can go wrong beneath the engine, and what each of it means.
//!
//! The engine reports every trouble in its own words and refuses everything after the first, so what counts is what
//! the disk said: [`Faults`] remembers that, and [`Faults::explain`] turns it into one of the few cases that differ.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// What the disk did, from harmless to grave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// No room for a write. Nothing is lost: what was there still is.
    Space,
    /// A read, write or flush failed. What a failed flush has left on the disk is unknown (the kernel may report the
    /// error once and forget the pages), so nothing is tried again.
    Disk(String),
    /// Something was read that was not written.
    Damage(String),
}

/// The gravest fault since the engine was opened.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Option<Fault>>);

/// Why work on the engine came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The engine said so, or the disk beneath it.
    Engine(redb::Error),
    /// The engine panicked.
    Panic(String),
    /// This crate found it: one record or commit is concerned, the engine is well.
    Ours(Error),
}

/// What a [`Trouble`] means for the store.
#[derive(Debug)]
pub(super) enum Verdict {
    /// One answer is an error; everything goes on.
    Answer(Error),
    /// There was no room; the engine must be opened anew.
    Full,
    /// The end, until the process starts again.
    Fatal(Failure),
}

/// Why a store has stopped for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// What is stored is not what was written.
    Damaged(String),
    /// The engine or the disk failed.
    Broken(String),
}

impl Faults {
    /// Remembers an I/O error of the disk, unless a graver fault is known, and gives it back.
    pub(super) fn note_io(&self, doing: &str, error: io::Error) -> io::Error {
        self.note(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Space,
            io::ErrorKind::UnexpectedEof => Fault::Damage("the file is cut short".into()),
            _ => Fault::Disk(format!("{doing}: {error}")),
        });
        error
    }

    /// Remembers a failed flush: the disk's word for it does not matter.
    pub(super) fn note_flush(&self, error: io::Error) -> io::Error {
        self.note(Fault::Disk(format!("flush: {error}")));
        error
    }

    /// Remembers damage, and gives the error that makes the engine stop.
    pub(super) fn note_damage(&self, what: String) -> io::Error {
        self.note(Fault::Damage(what.clone()));
        io::Error::new(io::ErrorKind::InvalidData, what)
    }

    /// Forgets all; for an engine opened anew.
    pub(super) fn clear(&self) {
        *self.worst() = None;
    }

    /// What a trouble means, given what the disk did.
    pub(super) fn explain(&self, trouble: Trouble) -> Verdict {
        let worst = self.worst().clone();
        match (trouble, worst) {
            (Trouble::Ours(error), _) => Verdict::Answer(error),
            (_, Some(Fault::Damage(what))) => Verdict::Fatal(Failure::Damaged(what)),
            (_, Some(Fault::Disk(what))) => Verdict::Fatal(Failure::Broken(what)),
            (Trouble::Engine(redb::Error::Io(_) | redb::Error::PreviousIo), Some(Fault::Space)) => {
                Verdict::Full
            }
            (Trouble::Engine(error), _) => Verdict::Fatal(of_engine(&error)),
            (Trouble::Panic(message), _) => {
                Verdict::Fatal(Failure::Damaged(format!("engine panic: {message}")))
            }
        }
    }

    fn note(&self, fault: Fault) {
        let mut worst = self.worst();
        *worst = worst.take().max(Some(fault));
    }

    fn worst(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the engine's own word means when the disk had nothing to say. Everything but the few troubles of a sound file
/// is damage: no file that this crate wrote gives it.
fn of_engine(error: &redb::Error) -> Failure {
    match error {
        redb::Error::DatabaseAlreadyOpen
        | redb::Error::DatabaseClosed
        | redb::Error::PreviousIo
        | redb::Error::TransactionPoisoned => Failure::Broken(error.to_string()),
        redb::Error::Io(io) if io.kind() != io::ErrorKind::InvalidData => Failure::Broken(error.to_string()),
        _ => Failure::Damaged(error.to_string()),
    }
}

impl Failure {
    /// The answer to every call from now on.
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Damaged(what) => Error::Corrupt { what: what.clone() },
            Self::Broken(why) => Error::Unavailable(why.clone()),
        }
    }
}

/// Calls the engine; here, and only here, its panics end. The engine is not used again after one ([`Failure`]), so that
/// whatever it left half done is never seen.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Trouble::Panic(message(&*payload))))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(faults: &Faults, trouble: Trouble) -> Failure {
        match faults.explain(trouble) {
            Verdict::Fatal(failure) => failure,
            other => panic!("not fatal: {other:?}"),
        }
    }

    #[test]
    fn the_gravest_fault_decides() {
        let faults = Faults::default();
        faults.note_io("write", io::ErrorKind::StorageFull.into());
        assert!(matches!(faults.explain(Trouble::Engine(redb::Error::PreviousIo)), Verdict::Full));
        faults.note_flush(io::ErrorKind::StorageFull.into());
        faults.note_io("write", io::ErrorKind::StorageFull.into());
        assert!(matches!(failure(&faults, Trouble::Engine(redb::Error::PreviousIo)), Failure::Broken(_)));
        faults.note_damage("block 7".into());
        assert_eq!(failure(&faults, Trouble::Panic(String::new())), Failure::Damaged("block 7".into()));
        faults.clear();
        assert!(matches!(failure(&faults, Trouble::Engine(redb::Error::PreviousIo)), Failure::Broken(_)));
    }

    #[test]
    fn a_full_disk_excuses_nothing_else() {
        let faults = Faults::default();
        faults.note_io("write", io::ErrorKind::StorageFull.into());
        let corrupted = Trouble::Engine(redb::Error::Corrupted("a page".into()));
        assert!(matches!(failure(&faults, corrupted), Failure::Damaged(_)));
        assert!(matches!(failure(&faults, Trouble::Panic("x".into())), Failure::Damaged(_)));
    }

    #[test]
    fn a_panic_ends_at_the_boundary() {
        let trouble = contained::<()>(|| panic!("a page is {}", "odd"));
        assert!(matches!(trouble, Err(Trouble::Panic(message)) if message == "a page is odd"));
    }
}
