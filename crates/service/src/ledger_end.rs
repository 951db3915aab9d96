//! How far the ledger had come, as the store remembers it: a ledger that ends before has lost events.
//!
//! Neither file can vouch for itself: whoever cuts records off the ledger's end leaves a chain that holds. So each is
//! asked about the other at the start. A store and a ledger that are both set back to the same moment are not told.

use std::fmt;

use claviger_store::{Commit, Precondition, Read, Store, Write};

use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::record::{self, LedgerEndRecord};

/// Why a store and a ledger do not belong together as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// The ledger has events, and the store is empty.
    NoStore {
        /// The ledger's last event.
        last: u64,
    },
    /// The ledger ends before an event that was durable in it.
    Shorter {
        /// The ledger's last event, 0 where it has none.
        last: u64,
        /// The last that the store knows of.
        known: u64,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore { last } => {
                write!(
                    f,
                    "the audit ledger ends with event {last}, and the store is gone: bring the store back"
                )
            }
            Self::Shorter { last, known } => {
                write!(
                    f,
                    "the audit ledger ends with event {last}, and event {known} was in it: events are lost"
                )
            }
        }
    }
}

/// Compares the store with the ledger, whose last durable event is `last`, before anything is written to either.
///
/// # Errors
/// Where the store fails.
pub async fn compare(store: &dyn Store, last: u64) -> Result<Option<Mismatch>> {
    let reads = vec![Read::One(record::installation()), Read::One(record::ledger_end())];
    let mut found = store.read(reads).await?.found.into_iter().map(|found| found.into_iter().next());
    let (installation, end) = (found.next().flatten(), found.next().flatten());
    if installation.is_none() {
        return Ok((last > 0).then_some(Mismatch::NoStore { last }));
    }
    let known = end.as_ref().map(record::decode::<LedgerEndRecord>).transpose()?.map_or(0, |end| end.last);
    Ok((known > last).then_some(Mismatch::Shorter { last, known }))
}

/// Has the store remember the ledger's last durable event.
///
/// # Errors
/// Where the store fails; the next call makes up for it.
pub(crate) async fn note(service: &Service) -> Result<()> {
    put(&*service.installation.store, service.ledger.next_sequence().saturating_sub(1)).await
}

/// Takes a ledger as it is, whatever the store remembered of it: what an operator decides who cannot bring it back.
///
/// # Errors
/// Where the store fails.
pub async fn accept(store: &dyn Store, last: u64) -> Result<()> {
    put(store, last).await
}

async fn put(store: &dyn Store, last: u64) -> Result<()> {
    let name = record::ledger_end();
    let found = store.read(vec![Read::One(name.clone())]).await?.found.into_iter().flatten().next();
    let precondition = match &found {
        Some(found) if record::decode::<LedgerEndRecord>(found)?.last == last => return Ok(()),
        Some(found) => Precondition::Unchanged { name: name.clone(), revision: found.revision },
        None => Precondition::Absent(name.clone()),
    };
    let writes = vec![Write::Put { name, value: record::encode(&LedgerEndRecord { last })? }];
    store.commit(Commit { preconditions: vec![precondition], writes }).await.map_err(Error::from)?;
    Ok(())
}
