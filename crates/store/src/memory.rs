//! The engine of tests and simulations: the whole model, nothing on disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::feed::Feed;
use crate::{BoxFuture, Changes, Commit, Error, Read, Record, Revision, Snapshot, Store, Write, limits};

/// An engine that keeps everything in memory. Its answers are those of [`Embedded`](crate::Embedded), but nothing
/// outlives it.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<Vec<u8>, (Revision, Vec<u8>)>,
    feed: Feed,
}

impl Memory {
    /// An empty store at revision 0.
    pub fn new() -> Self {
        Self { state: Mutex::new(State { records: BTreeMap::new(), feed: Feed::starting_at(0) }) }
    }

    /// Nothing panics while the state is half changed, so a poisoned lock still guards a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn read(&self, read: &Read) -> Vec<Record> {
        let record = |(name, (revision, value)): (&Vec<u8>, &(Revision, Vec<u8>))| Record {
            name: name.clone(),
            value: value.clone(),
            revision: *revision,
        };
        match read {
            Read::One(name) => self.records.get_key_value(name).map(record).into_iter().collect(),
            Read::Range { prefix, limit, .. } => self
                .records
                .range::<[u8], _>((read.start(), Bound::Unbounded))
                .take_while(|(name, _)| name.starts_with(prefix))
                .take(*limit)
                .map(record)
                .collect(),
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<Revision, Error> {
        limits::check(&commit)?;
        let found = |name: &Vec<u8>| self.records.get(name).map(|(revision, _)| *revision);
        if !commit.preconditions.iter().all(|precondition| precondition.holds(found(precondition.name()))) {
            return Err(Error::Conflict);
        }
        if commit.writes.is_empty() {
            return Ok(self.feed.newest());
        }

        let revision = self.feed.newest().saturating_add(1);
        self.feed.publish(revision, commit.writes.iter().map(|write| write.name().clone()));
        for write in commit.writes {
            match write {
                Write::Put { name, value } => self.records.insert(name, (revision, value)),
                Write::Delete(name) => self.records.remove(&name),
            };
        }
        Ok(revision)
    }
}

impl Store for Memory {
    fn read(&self, reads: Vec<Read>) -> BoxFuture<'_, Result<Snapshot, Error>> {
        Box::pin(async move {
            let state = self.state();
            let found = reads.iter().map(|read| state.read(read)).collect();
            Ok(Snapshot { revision: state.feed.newest(), found })
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async move { self.state().commit(commit) })
    }

    fn changes(&self, from: Revision) -> BoxFuture<'_, Result<Changes, Error>> {
        Box::pin(async move { Ok(self.state().feed.since(from)) })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async move { Ok(self.state().feed.newest()) })
    }

    fn barrier_now(&self) -> Option<Revision> {
        Some(self.state().feed.newest())
    }
}
