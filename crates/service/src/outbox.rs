//! Events of mutations on their way from the store to the ledger.
//!
//! A mutation commits its event together with its effect. Right after, the event is appended to the ledger, and a
//! later commit clears it from the store. When the process dies in between, [`recover`] appends at the next start
//! what the ledger does not have yet. So no effect is ever without its event, and no event stands twice.

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

    /// Takes back those whose commit failed.
    pub(crate) fn put_back(&self, mut taken: Vec<Vec<u8>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&mut taken);
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
        for entry in found {
            let held: OutboxRecord = record::decode(&entry)?;
            if !is_in_ledger(ledger, &held)? {
                let reservation = ledger.reserve(held.event.len()).await.map_err(ledger_failed)?;
                ledger.append(reservation, held.event).await.map_err(ledger_failed)?;
                appended += 1;
            }
            writes.push(Write::Delete(entry.name));
        }
        installation.store.commit(Commit { preconditions: Vec::new(), writes }).await?;
    }
}

fn is_in_ledger(ledger: &dyn Ledger, held: &OutboxRecord) -> Result<bool> {
    let id = |event: &[u8]| {
        let (event, _) = audit::split(event);
        serde_json::from_slice::<EventId<'_>>(event).ok().map(|event| event.event_id.into_owned())
    };
    let wanted = id(&held.event).ok_or_else(|| Error::internal("an event in the outbox has no id"))?;
    let found =
        ledger.any_since(held.ledger_from, &mut |event| id(event).as_deref() == Some(wanted.as_str()));
    found.map_err(ledger_failed)
}

/// An event could not be kept.
pub(crate) fn ledger_failed(error: LedgerError) -> Error {
    match error {
        LedgerError::Full => Error::internal("the audit ledger has no room"),
        LedgerError::Failed => Error::internal("the audit ledger failed"),
        LedgerError::TooLarge => Error::internal("an event is larger than its reservation"),
    }
}
