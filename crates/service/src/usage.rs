//! When each key was last used: what `GetKeyLastUsage` answers.
//!
//! A request notes its use in memory, at the price of one short lock; what was noted is written to the store
//! ([`writeback`](crate::writeback)) once a minute, and once more when the program ends in good order. So no request pays
//! a commit for it. What this costs is precision: a process that is killed forgets the uses of its last minute, and
//! another host learns of them a minute late. Nothing but `GetKeyLastUsage` and the condition key
//! `kms:TrailingDaysWithoutKeyUsage` goes by it; the ledger is what tells all uses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_store::{Commit, Precondition, Read, Record, Write};
use claviger_wire::arn::Arn;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use uuid::Uuid;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::installation::Installation;
use crate::kms::key::Key;
use crate::kms::shapes::TrackedOperation;
use crate::moment::{DAY_MS, Moment};
use crate::record::{self, UsageRecord};

/// Keys are spread over so many tables, so that threads seldom meet.
const TABLES: usize = 16;
/// When one table knows so many keys, all are written early: together they hold 262,144 uses, in about 34 MB at most.
const FULL_TABLE: usize = 16_384;
/// Most keys written by one commit: two preconditions and a write each.
const PAGE: usize = claviger_store::MAX_COMMIT_PARTS / 3;
/// How often a page is tried whose records change meanwhile.
const ATTEMPTS: usize = 3;

/// The last use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) operation: TrackedOperation,
    pub(crate) at: Moment,
    pub(crate) event_id: Uuid,
    pub(crate) request_id: Uuid,
}

type Table = HashMap<Arc<str>, Use>;

/// Uses that the store does not know yet, by the key's ARN.
pub(crate) struct Noted {
    tables: [Mutex<Table>; TABLES],
    full: Notify,
}

impl Noted {
    pub(crate) fn new() -> Self {
        Self { tables: std::array::from_fn(|_| Mutex::default()), full: Notify::new() }
    }

    /// Resolves when so many uses wait that they are to be written.
    pub(crate) fn full(&self) -> Notified<'_> {
        self.full.notified()
    }

    /// Notes the keys that a call has used, if it is one that uses keys. Called once its event is durable.
    pub(crate) fn note(&self, call: &Call<'_>) {
        let subject = &call.subject;
        if !subject.read_only {
            return;
        }
        let Some(operation) = TrackedOperation::from_str_exact(subject.event_name) else { return };
        let ids = (Uuid::try_parse(subject.event_id), Uuid::try_parse(subject.request_id));
        let (Ok(event_id), Ok(request_id)) = ids else { return };
        for resource in &call.draft.resources {
            self.put(&resource.arn, Use { operation, at: subject.now, event_id, request_id });
        }
    }

    fn put(&self, arn: &Arc<str>, used: Use) {
        let mut table = self.table(arn);
        match table.get_mut(arn) {
            Some(known) if known.at > used.at => {}
            Some(known) => *known = used,
            None => {
                table.insert(Arc::clone(arn), used);
                if table.len() == FULL_TABLE {
                    self.full.notify_one();
                }
            }
        }
    }

    fn get(&self, arn: &str) -> Option<Use> {
        self.table(arn).get(arn).copied()
    }

    fn all(&self) -> Vec<(Arc<str>, Use)> {
        let copy = |table: &Mutex<Table>| {
            let table = lock(table);
            table.iter().map(|(arn, used)| (Arc::clone(arn), *used)).collect::<Vec<_>>()
        };
        self.tables.iter().flat_map(copy).collect()
    }

    /// Forgets a use that is in the store, unless there was another since.
    fn forget(&self, arn: &str, written: &Use) {
        let mut table = self.table(arn);
        if table.get(arn) == Some(written) {
            table.remove(arn);
        }
    }

    /// The table of a key: key ids end with a random hexadecimal digit.
    fn table(&self, arn: &str) -> MutexGuard<'_, Table> {
        let last = arn.bytes().next_back().unwrap_or_default();
        let [first, ..] = &self.tables;
        lock(self.tables.get(usize::from(last) % TABLES).unwrap_or(first))
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last use of a key, as far as this host knows; `None` where none was tracked.
///
/// # Errors
/// Where the store fails.
pub(crate) async fn last(installation: &Installation, key: &Key) -> Result<Option<Use>> {
    // Memory first: what is taken out of it is in the store already.
    let noted = installation.noted.get(&key.arn);
    let name = record::usage(&key.account, &key.region, key.id());
    let snapshot = installation.store.read(vec![Read::One(name)]).await?;
    let stored = snapshot.found.into_iter().flatten().next().as_ref().map(decode).transpose()?;
    Ok(noted.into_iter().chain(stored).max_by_key(|used| used.at))
}

/// Since when uses of a key are tracked.
pub(crate) fn tracked_since(installation: &Installation, key: &Key) -> Moment {
    installation.usage_since.max(key.created)
}

/// Whole days for which a key was not used: since its last use or, where there was none, since its uses are tracked
/// (`kms:TrailingDaysWithoutKeyUsage`).
///
/// # Errors
/// Where the store fails.
pub(crate) async fn trailing_days(installation: &Installation, key: &Key, now: Moment) -> Result<i64> {
    let last = last(installation, key).await?;
    let since = last.map_or_else(|| tracked_since(installation, key), |used| used.at);
    Ok(now.0.saturating_sub(since.0).max(0) / DAY_MS)
}

/// Writes all uses that the store does not know yet.
///
/// # Errors
/// The first failure of the store, after all were tried. What could not be written stays noted.
pub async fn write(service: &Service) -> Result<()> {
    let installation = &service.installation;
    let mut failure = None;
    for page in installation.noted.all().chunks(PAGE) {
        let mut attempt = 1;
        let outcome = loop {
            match write_page(installation, page).await {
                Err(error) if error.conflict && attempt < ATTEMPTS => attempt += 1,
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(()) => page.iter().for_each(|(arn, used)| installation.noted.forget(arn, used)),
            Err(error) => drop(failure.get_or_insert(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn write_page(installation: &Installation, page: &[(Arc<str>, Use)]) -> Result<()> {
    let mut named = Vec::with_capacity(page.len());
    let mut reads = Vec::with_capacity(2 * page.len());
    for (arn, used) in page {
        let (key, usage) = names(arn)?;
        named.push((usage.clone(), used));
        reads.extend([Read::One(key), Read::One(usage)]);
    }
    let snapshot = installation.store.read(reads).await?;
    let mut found = snapshot.found.into_iter().map(|found| found.into_iter().next());
    let mut commit = Commit::default();
    for (name, used) in named {
        let (key, known) = (found.next().flatten(), found.next().flatten());
        // A key that was deleted meanwhile leaves nothing behind.
        let Some(key) = key else { continue };
        let newer = match &known {
            Some(known) => decode(known)?.at < used.at,
            None => true,
        };
        if newer {
            commit.preconditions.push(unchanged(&key));
            commit
                .preconditions
                .push(known.as_ref().map_or_else(|| Precondition::Absent(name.clone()), unchanged));
            commit.writes.push(Write::Put { name, value: encode(used)? });
        }
    }
    if !commit.writes.is_empty() {
        installation.store.commit(commit).await?;
    }
    Ok(())
}

fn unchanged(record: &Record) -> Precondition {
    Precondition::Unchanged { name: record.name.clone(), revision: record.revision }
}

/// Names of a key's record and of that of its last use.
fn names(arn: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let parsed = Arn::parse(arn).and_then(|parsed| Some((parsed, parsed.resource.strip_prefix("key/")?)));
    let (parsed, id) = parsed.ok_or_else(|| Error::internal(format!("{arn} is no key")))?;
    Ok((record::key(parsed.account, parsed.region, id), record::usage(parsed.account, parsed.region, id)))
}

fn encode(used: &Use) -> Result<Vec<u8>> {
    record::encode(&UsageRecord {
        operation: used.operation.as_str().to_owned(),
        at_ms: used.at.0,
        event_id: used.event_id.to_string(),
        request_id: used.request_id.to_string(),
    })
}

fn decode(record: &Record) -> Result<Use> {
    let read: UsageRecord = record::decode(record)?;
    let operation = TrackedOperation::from_str_exact(&read.operation)
        .ok_or_else(|| Error::internal(format!("`{}` is no operation that uses keys", read.operation)))?;
    let id = |text: &str| {
        Uuid::try_parse(text)
            .map_err(|_| Error::internal(format!("`{text}` is no id of an event or a request")))
    };
    let (event_id, request_id) = (id(&read.event_id)?, id(&read.request_id)?);
    Ok(Use { operation, at: Moment(read.at_ms), event_id, request_id })
}
