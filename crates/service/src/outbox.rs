//! Events of mutations on their way from the store to the ledger.
//!
//! A mutation commits its event together with its effect. Right after, the event is appended to the ledger, and a
//! later commit clears it from the store. When the process dies in between, [`recover`] appends at the next start
//! what the ledger does not have yet. So no effect is ever without its event, and no event stands twice.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use claviger_store::{Commit, Read, Write};
use serde::Deserialize;

use crate::audit::{self, Ledger, LedgerError};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::installation::Installation;
use crate::record::{self, OutboxRecord};

/// Most names cleared by one commit.
const MAX_CLEARED: usize = 32;
/// Most events read at once while recovering.
const PAGE: usize = 100;

/// Names of events that the ledger holds durably and that the store may forget.
#[derive(Default)]
pub(crate) struct Delivered(Mutex<Vec<Vec<u8>>>);

impl Delivered {
    /// Notes that an event is in the ledger.
    pub(crate) fn add(&self, event_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record::outbox(event_id));
    }

    /// Some of them, for a commit to clear.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = names.len().min(MAX_CLEARED);
        names.drain(..count).collect()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes back those whose commit failed.
    pub(crate) fn put_back(&self, mut taken: Vec<Vec<u8>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&mut taken);
    }
}

/// Clears what the ledger holds by now and no commit has cleared yet: a change that nobody follows would leave its event
/// in the store for as long as nobody changes anything.
///
/// # Errors
/// Where the store fails; what could not be cleared stays to be.
pub(crate) async fn clear(service: &Service) -> Result<()> {
    let outbox = &service.installation.outbox;
    // No more than there are now: others are added meanwhile, and cleared by the changes that add them.
    let mut left = outbox.len();
    while left > 0 {
        let names = outbox.take();
        if names.is_empty() {
            break;
        }
        left = left.saturating_sub(names.len());
        let writes = names.iter().cloned().map(Write::Delete).collect();
        if let Err(error) =
            service.installation.store.commit(Commit { preconditions: Vec::new(), writes }).await
        {
            outbox.put_back(names);
            return Err(error.into());
        }
    }
    Ok(())
}

/// The first event of the ledger that the outbox may still be compared with, from which on the ledger must be kept; none
/// where the outbox is empty.
///
/// # Errors
/// Where the store fails.
pub async fn needs_from(service: &Service) -> Result<Option<u64>> {
    clear(service).await?;
    let (mut first, mut after) = (None, None);
    loop {
        let read = Read::Range { prefix: record::all_outbox(), after, limit: PAGE };
        let found: Vec<_> =
            service.installation.store.read(vec![read]).await?.found.into_iter().flatten().collect();
        for entry in &found {
            let from = record::decode::<OutboxRecord>(entry)?.ledger_from;
            first = Some(first.map_or(from, |first: u64| first.min(from)));
        }
        match found.last() {
            Some(last) if found.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(first),
        }
    }
}

/// The write that puts an event into the outbox.
pub(crate) fn put(service: &Service, event_id: &str, event: &[u8]) -> Result<Write> {
    let ledger_from = service.ledger.next_sequence();
    let value = record::encode(&OutboxRecord { ledger_from, event: event.to_vec() })?;
    Ok(Write::Put { name: record::outbox(event_id), value })
}

#[derive(Deserialize)]
struct EventId<'a> {
    #[serde(rename = "eventID", borrow)]
    event_id: std::borrow::Cow<'a, str>,
}

/// Brings the ledger up to date with the store after a start. Answers how many events were appended.
///
/// # Errors
/// Where the store or the ledger fails; nothing is lost, the next start tries again.
pub async fn recover(installation: &Installation, ledger: &dyn Ledger) -> Result<usize> {
    let mut appended = 0;
    loop {
        let read = Read::Range { prefix: record::all_outbox(), after: None, limit: PAGE };
        let snapshot = installation.store.read(vec![read]).await?;
        let found: Vec<_> = snapshot.found.into_iter().flatten().collect();
        if found.is_empty() {
            return Ok(appended);
        }
        let mut writes = Vec::new();
        let held = found.iter().map(record::decode::<OutboxRecord>).collect::<Result<Vec<_>>>()?;
        let missing = not_in_ledger(ledger, &held)?;
        for (entry, held) in found.into_iter().zip(held) {
            if missing.contains(&id_of(&held.event)?) {
                let reservation = ledger.reserve(held.event.len()).await.map_err(ledger_failed)?;
                ledger.append(reservation, held.event).await.map_err(ledger_failed)?;
                appended += 1;
            }
            writes.push(Write::Delete(entry.name));
        }
        installation.store.commit(Commit { preconditions: Vec::new(), writes }).await?;
    }
}

/// Ids of the events that the ledger does not have. It is read once for all of them.
fn not_in_ledger(ledger: &dyn Ledger, held: &[OutboxRecord]) -> Result<BTreeSet<String>> {
    let mut missing = held.iter().map(|held| id_of(&held.event)).collect::<Result<BTreeSet<_>>>()?;
    let Some(from) = held.iter().map(|held| held.ledger_from).min() else { return Ok(missing) };
    let found = ledger.any_since(from, &mut |event| {
        if let Ok(id) = id_of(event) {
            missing.remove(&id);
        }
        missing.is_empty()
    });
    found.map_err(ledger_failed)?;
    Ok(missing)
}

fn id_of(event: &[u8]) -> Result<String> {
    let (event, _) = audit::split(event);
    let read = serde_json::from_slice::<EventId<'_>>(event).map(|event| event.event_id.into_owned());
    read.map_err(|_| Error::internal("an event has no id"))
}

/// An event could not be kept.
pub(crate) fn ledger_failed(error: LedgerError) -> Error {
    match error {
        LedgerError::Full => Error::internal("the audit ledger has no room"),
        LedgerError::Failed => Error::internal("the audit ledger failed"),
        LedgerError::TooLarge => Error::internal("an event is larger than its reservation"),
    }
}
