//! When access keys of users and sessions of roles were last used; of a role it is kept by its unique id.
//!
//! Kept in memory, and [written down](crate::writeback) once a minute or along with whatever is committed before, so that
//! looking at it costs no request a write of its own. What AWS tells is as coarse ("Last used information").

use std::sync::{Arc, Mutex, PoisonError};

use claviger_store::{Commit, Read, Store, Write};
use quick_cache::sync::Cache as Bounded;

use crate::error::Result;
use crate::moment::Moment;
use crate::record::{self, iam::LastUsedRecord};

/// Most access keys and roles remembered.
const MAX_KEYS: usize = 65_536;
/// Uses closer together than this count as one, in milliseconds.
const GRAIN_MS: i64 = 60 * 1000;
/// The same, where they are of different services or Regions.
const OTHER_GRAIN_MS: i64 = 1000;
/// Most entries written along with one commit, and most that wait.
const MAX_WRITTEN: usize = 8;
const MAX_WAITING: usize = 4_096;

/// Remembers uses.
pub(crate) struct LastUsed {
    seen: Bounded<String, Arc<LastUsedRecord>>,
    waiting: Mutex<Vec<String>>,
}

impl LastUsed {
    pub(crate) fn new() -> Self {
        Self { seen: Bounded::new(MAX_KEYS), waiting: Mutex::default() }
    }

    /// Notes a use of an access key, or of a role by its unique id.
    pub(crate) fn note(&self, id: &str, service: &str, region: &str, now: Moment) {
        let known = self.seen.get(id);
        let is_new = known.is_none_or(|known| {
            now.0.saturating_sub(known.at_ms) >= GRAIN_MS
                || now.0.saturating_sub(known.at_ms) >= OTHER_GRAIN_MS
                    && (known.service != service || known.region != region)
        });
        if !is_new {
            return;
        }
        let (service, region) = (service.to_owned(), region.to_owned());
        let used = LastUsedRecord { at_ms: now.0, service, region };
        self.seen.insert(id.to_owned(), Arc::new(used));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING && !waiting.iter().any(|waits| waits == id) {
            waiting.push(id.to_owned());
        }
    }

    /// Writes for some of what has not been written down, leaving out what `writes` holds already. Where the commit they
    /// go into fails, the next use makes up for it.
    pub(crate) fn take(&self, writes: &[Write]) -> Result<Vec<Write>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(MAX_WRITTEN);
        let ids: Vec<String> = waiting.drain(..count).collect();
        drop(waiting);
        let mut taken = Vec::new();
        for id in ids {
            let name = record::iam::last_used(&id);
            let deleted = writes.iter().any(|write| matches!(write, Write::Delete(gone) if *gone == name));
            if let Some(used) = self.seen.get(&id).filter(|_| !deleted) {
                taken.push(Write::Put { name, value: record::encode(&*used)? });
            }
        }
        Ok(taken)
    }

    /// Writes down all that has not been.
    ///
    /// # Errors
    /// Where the store fails; the next use makes up for it.
    pub(crate) async fn write(&self, store: &dyn Store) -> Result<()> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        for _ in 0..waiting.div_ceil(MAX_WRITTEN) {
            let writes = self.take(&[])?;
            if !writes.is_empty() {
                store.commit(Commit { preconditions: Vec::new(), writes }).await?;
            }
        }
        Ok(())
    }

    /// Forgets what is deleted.
    pub(crate) fn forget(&self, id: &str) {
        self.seen.remove(id);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|waits| waits != id);
    }

    /// The last use of an access key, or of a role, that is known of.
    pub(crate) async fn of(&self, store: &dyn Store, id: &str) -> Result<Option<LastUsedRecord>> {
        let read = Read::One(record::iam::last_used(id));
        let found = store.read(vec![read]).await?.found;
        let written = found.iter().flatten().next().map(record::decode::<LastUsedRecord>).transpose()?;
        let seen = self.seen.get(id).map(|seen| LastUsedRecord::clone(&seen));
        Ok(match (written, seen) {
            (Some(written), Some(seen)) if written.at_ms > seen.at_ms => Some(written),
            (written, seen) => seen.or(written),
        })
    }
}
