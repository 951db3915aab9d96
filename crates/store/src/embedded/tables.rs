//! The store inside redb: one table of sealed records, and the revision. Everything that calls the engine is here.

use std::ops::Bound;
use std::sync::Arc;

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, Table,
    TableDefinition,
};

use super::backend::Backend;
use super::fault::{Faults, Trouble, Verdict, contained};
use crate::sealer::Sealer;
use crate::{Commit, Error, Read, Record, Revision, Snapshot, Write, limits};

/// Name of a record to its sealed value.
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Facts about the store as a whole.
const STATE: TableDefinition<'_, &str, u64> = TableDefinition::new("state");
/// The one fact: the newest revision.
const REVISION: &str = "revision";

/// Pages kept in memory by the engine, in bytes. Small, because the hot path reads from a cache of its own.
const CACHE_LEN: usize = 8 * 1024 * 1024;

/// What a batch of commits came to.
#[derive(Debug)]
pub(super) struct Batch {
    /// For each commit, in order.
    pub(super) verdicts: Vec<Result<Revision, Error>>,
    /// Revision and names of each commit that wrote, in order.
    pub(super) written: Vec<(Revision, Vec<Vec<u8>>)>,
}

/// Fills an empty disk with a store at revision 0.
///
/// # Errors
/// [`Error::Full`], [`Error::Unavailable`].
pub(super) fn make(disk: Box<dyn StorageBackend>, sealer: &Arc<Sealer>) -> Result<(), Error> {
    let faults = Arc::new(Faults::default());
    let backend = Backend::new(disk, Arc::clone(sealer), Arc::clone(&faults));
    let made = contained(|| {
        let database = Builder::new().create_with_backend(backend)?;
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.open_table(RECORDS)?;
        transaction.open_table(STATE)?.insert(REVISION, 0)?;
        transaction.commit()?;
        Ok(database.close()?)
    });
    made.map_err(|trouble| error(&faults, trouble))
}

/// Opens the store on a disk, after checking every page of it that is in use; gives its newest revision.
///
/// The check is redb's own: checksums from the commit slot down to the last leaf. It also rebuilds the table of free
/// pages, so commits need not save that table (redb's `quick_repair`): opening takes the same time after a crash.
///
/// # Errors
/// [`Error::Newer`], [`Error::Corrupt`], [`Error::Locked`], [`Error::Full`], [`Error::Unavailable`].
pub(super) fn open(
    disk: Box<dyn StorageBackend>,
    sealer: &Arc<Sealer>,
    faults: &Arc<Faults>,
) -> Result<(Engine, Revision), Error> {
    let backend = Backend::new(disk, Arc::clone(sealer), Arc::clone(faults));
    backend.check_header()?;
    let opened = contained(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_LEN).set_check_integrity_on_open(true);
        let engine = Engine(Some(builder.create_with_backend(backend)?));
        let revision = revision(&engine.database()?.begin_read()?)?;
        Ok((engine, revision))
    });
    opened.map_err(|trouble| match trouble {
        Trouble::Engine(redb::Error::DatabaseAlreadyOpen) => Error::Locked,
        other => error(faults, other),
    })
}

/// The engine, open. Panics do not leave it, not even when it closes: after one its locks are poisoned.
#[derive(Debug)]
pub(super) struct Engine(Option<Database>);

impl Engine {
    /// Reads at one revision.
    pub(super) fn read(&self, sealer: &Sealer, reads: &[Read]) -> Result<Snapshot, Trouble> {
        contained(|| {
            let transaction = self.database()?.begin_read()?;
            let records = transaction.open_table(RECORDS)?;
            let found = reads.iter().map(|read| find(&records, sealer, read)).collect::<Result<_, _>>()?;
            Ok(Snapshot { revision: revision(&transaction)?, found })
        })
    }

    /// Carries out commits in order, in one transaction, and makes them durable; `stage` is told the newest revision
    /// before anyone can see it.
    ///
    /// Two phases: the commit slot is flushed before the header names it the newest. So after a crash the slot that the
    /// header names is always whole, and a broken one is damage, never a commit that was under way and may be dropped.
    pub(super) fn commit(
        &self,
        sealer: &Sealer,
        from: Revision,
        commits: &[&Commit],
        stage: impl FnOnce(Revision),
    ) -> Result<Batch, Trouble> {
        contained(|| {
            let mut transaction = self.database()?.begin_write()?;
            transaction.set_two_phase_commit(true);
            let batch = apply_all(&mut transaction.open_table(RECORDS)?, sealer, from, commits)?;
            match batch.written.last() {
                None => transaction.abort()?,
                Some((newest, _)) => {
                    transaction.open_table(STATE)?.insert(REVISION, newest)?;
                    stage(*newest);
                    transaction.commit()?;
                }
            }
            Ok(batch)
        })
    }

    /// The engine itself; it is there until it is dropped.
    pub(super) fn database(&self) -> Result<&Database, Trouble> {
        self.0.as_ref().ok_or(Trouble::Engine(redb::Error::DatabaseClosed))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nothing depends on a clean close: all that was acknowledged is durable, and opening checks everything anyway.
        let _ = contained(|| {
            drop(self.0.take());
            Ok(())
        });
    }
}

/// Carries out commits in order, each on what the ones before left.
fn apply_all(
    records: &mut Table<'_, &'static [u8], &'static [u8]>,
    sealer: &Sealer,
    from: Revision,
    commits: &[&Commit],
) -> Result<Batch, Trouble> {
    let (mut verdicts, mut written, mut newest) = (Vec::with_capacity(commits.len()), Vec::new(), from);
    for commit in commits {
        let next = newest.saturating_add(1);
        verdicts.push(match apply(records, sealer, commit, next) {
            Ok(false) => Ok(newest),
            Ok(true) => {
                newest = next;
                written.push((next, commit.writes.iter().map(|write| write.name().clone()).collect()));
                Ok(next)
            }
            Err(Trouble::Ours(error)) => Err(error),
            Err(trouble) => return Err(trouble),
        });
    }
    Ok(Batch { verdicts, written })
}

/// Carries out one commit; says whether it wrote. Whatever is refused is refused before the first write.
fn apply(
    records: &mut Table<'_, &'static [u8], &'static [u8]>,
    sealer: &Sealer,
    commit: &Commit,
    revision: Revision,
) -> Result<bool, Trouble> {
    limits::check(commit).map_err(Trouble::Ours)?;
    for precondition in &commit.preconditions {
        let name = precondition.name().as_slice();
        let sealed = records.get(name)?;
        let found =
            sealed.map(|sealed| sealer.open(name, sealed.value())).transpose().map_err(Trouble::Ours)?;
        if !precondition.holds(found.map(|(revision, _)| revision)) {
            return Err(Trouble::Ours(Error::Conflict));
        }
    }
    let sealed = commit.writes.iter().map(|write| match write {
        Write::Put { name, value } => Ok((name, Some(sealer.seal(name, revision, value)?))),
        Write::Delete(name) => Ok((name, None)),
    });
    let sealed: Vec<_> = sealed.collect::<Result<_, Error>>().map_err(Trouble::Ours)?;

    for (name, value) in &sealed {
        match value {
            Some(value) => records.insert(name.as_slice(), value.as_slice())?,
            None => records.remove(name.as_slice())?,
        };
    }
    Ok(!sealed.is_empty())
}

fn find(
    records: &impl ReadableTable<&'static [u8], &'static [u8]>,
    sealer: &Sealer,
    read: &Read,
) -> Result<Vec<Record>, Trouble> {
    match read {
        Read::One(name) => {
            let sealed = records.get(name.as_slice())?;
            sealed.iter().map(|sealed| opened(sealer, name, sealed.value())).collect()
        }
        Read::Range { prefix, limit, .. } => {
            let mut found = Vec::new();
            for entry in records.range::<&[u8]>((read.start(), Bound::Unbounded))? {
                let (name, sealed) = entry?;
                if found.len() >= *limit || !name.value().starts_with(prefix) {
                    break;
                }
                found.push(opened(sealer, name.value(), sealed.value())?);
            }
            Ok(found)
        }
    }
}

fn opened(sealer: &Sealer, name: &[u8], sealed: &[u8]) -> Result<Record, Trouble> {
    let (revision, value) = sealer.open(name, sealed).map_err(Trouble::Ours)?;
    Ok(Record { name: name.to_vec(), value, revision })
}

fn revision(transaction: &ReadTransaction) -> Result<Revision, Trouble> {
    let state = transaction.open_table(STATE)?;
    let missing = || Trouble::Ours(Error::Corrupt { what: "the revision is missing".into() });
    state.get(REVISION)?.map(|revision| revision.value()).ok_or_else(missing)
}

/// The answer to a trouble with a store that is not in use yet.
fn error(faults: &Faults, trouble: Trouble) -> Error {
    match faults.explain(trouble) {
        Verdict::Answer(error) => error,
        Verdict::Full => Error::Full,
        Verdict::Fatal(failure) => failure.error(),
    }
}
