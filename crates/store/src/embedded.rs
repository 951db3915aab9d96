//! The engine of one machine: a redb file, every record in it sealed.
//!
//! Commits go to one thread, which makes all that wait durable with one transaction; reads go to the engine directly.
//! Nothing is read that was not written: see `backend.rs` for how, `fault.rs` for what happens when it is.
//!
//! - A full disk refuses commits with [`Error::Full`]. Reads go on, but for the moment in which the engine is opened anew;
//!   commits do once there is space.
//! - Damage, and any failure of the disk or the engine, stops the store for good ([`Embedded::failed`]): every later call
//!   is refused, and the process is expected to end. It is never repaired by giving up something acknowledged, and never
//!   made anew.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use crate::feed::Feed;
use crate::{BoxFuture, Changes, Commit, Error, Read, Revision, Sealer, Snapshot, Store, limits};

mod backend;
mod fault;
mod file;
mod queue;
mod reply;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use fault::{Failure, Faults, Verdict};
use file::{Disk, Place};
use queue::Queue;
use tables::Engine;

/// A store in a file of this machine, used by this process alone.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What the callers and the writer thread share.
#[derive(Debug)]
struct Shared {
    disk: Box<dyn Disk>,
    sealer: Arc<Sealer>,
    faults: Arc<Faults>,
    /// `None` while there is no space to open it anew.
    engine: RwLock<Option<Engine>>,
    queue: Queue,
    feed: Mutex<Feed>,
    /// The newest revision that is durable and published.
    durable: AtomicU64,
    failure: OnceLock<Failure>,
}

impl Embedded {
    /// Opens the store at `path`, or makes an empty one where there is nothing. Beside it stands `path.lock`.
    ///
    /// All of the file that is in use is read and checked first, and never changed when the check fails.
    ///
    /// # Errors
    /// - [`Error::Corrupt`]: the file was altered, is not a store, was sealed with another key, or is not a plain file
    ///   with one name.
    /// - [`Error::Newer`]: a newer version wrote it; it is left untouched.
    /// - [`Error::Locked`]: another process, or another store of this one, uses it.
    /// - [`Error::Full`], [`Error::Unavailable`]: the file system said so.
    pub fn open(path: &Path, sealer: Sealer) -> Result<Self, Error> {
        let place = Place::lock(path)?;
        let sealer = Arc::new(sealer);
        if !place.exists()? {
            place.make(|disk| tables::make(disk, &sealer))?;
        }
        Self::on(Box::new(place), sealer)
    }

    /// Opens the store on a disk.
    fn on(disk: Box<dyn Disk>, sealer: Arc<Sealer>) -> Result<Self, Error> {
        let faults = Arc::new(Faults::default());
        let (engine, revision) = tables::open(disk.open()?, &sealer, &faults)?;
        let shared = Arc::new(Shared {
            disk,
            sealer,
            faults,
            engine: RwLock::new(Some(engine)),
            queue: Queue::default(),
            feed: Mutex::new(Feed::starting_at(revision)),
            durable: AtomicU64::new(revision),
            failure: OnceLock::new(),
        });
        let writer = thread::Builder::new().name("store-writer".into()).spawn({
            let shared = Arc::clone(&shared);
            move || writer::run(&shared)
        });
        let writer = writer.map_err(|error| Error::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Why the store has stopped for good, if it has. The process should end: a new one finds out whether what is on the
    /// disk is whole.
    pub fn failed(&self) -> Option<String> {
        self.shared.failure.get().map(|failure| failure.error().to_string())
    }
}

impl Drop for Embedded {
    /// Carries out what waits, then closes the file.
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // The thread's panics are contained; were there one all the same, there is nothing left to do here.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn read(&self, reads: &[Read]) -> Result<Snapshot, Error> {
        self.alive()?;
        let slot = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let engine = slot.as_ref().ok_or_else(reopening)?;
        engine.read(&self.sealer, reads).map_err(|trouble| match self.faults.explain(trouble) {
            Verdict::Answer(error) => error,
            Verdict::Full => reopening(),
            Verdict::Fatal(failure) => self.stop(failure).error(),
        })
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, Error> {
        limits::check(&commit)?;
        self.alive()?;
        let outcome = self.queue.push(commit)?.await;
        outcome.unwrap_or_else(|| Err(Error::Unavailable("the writer has stopped".into())))
    }

    fn alive(&self) -> Result<(), Error> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.error()))
    }

    /// Stops the store for good; the first reason stays.
    fn stop(&self, failure: Failure) -> &Failure {
        self.failure.get_or_init(|| failure)
    }

    fn closed_for_space(&self) -> bool {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Nothing panics while the feed is half changed, so a poisoned lock still guards a whole one.
    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a read while the writer, out of space, opens the engine anew, or has no space even for that.
fn reopening() -> Error {
    Error::Unavailable("no space is left; the store is being opened anew".into())
}

impl Store for Embedded {
    /// Answers at once, in microseconds for a single record; blocks the thread for as long as a disk read takes.
    fn read(&self, reads: Vec<Read>) -> BoxFuture<'_, Result<Snapshot, Error>> {
        Box::pin(async move { self.shared.read(&reads) })
    }

    /// A future that is dropped after its first poll does not take the commit back.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(self.shared.commit(commit))
    }

    fn changes(&self, from: Revision) -> BoxFuture<'_, Result<Changes, Error>> {
        Box::pin(async move {
            self.shared.alive()?;
            Ok(self.shared.feed().since(from))
        })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async move {
            self.shared.alive()?;
            Ok(self.shared.durable.load(Ordering::Acquire))
        })
    }

    fn barrier_now(&self) -> Option<Revision> {
        self.shared.alive().ok().map(|()| self.shared.durable.load(Ordering::Acquire))
    }
}
