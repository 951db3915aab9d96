//! Deletes keys when their waiting period is over.
//!
//! One task sleeps until the next key is due; it does not look at keys that are not. The index of due keys is part of
//! the store, so a restart finds it as it was, and a deletion is one commit: it happens once or, when the process dies
//! before it, at the next start.

use std::sync::Arc;

use claviger_store::{Precondition, Read, Record, Write};

use crate::audit::{self, Resource};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::alias::MAX_ALIASES;
use crate::kms::key::Key;
use crate::kms::shapes::KeyState;
use crate::moment::{Clock, Moment};
use crate::outbox;
use crate::record;
use crate::vault;

/// How long to wait after a failure before trying again, in milliseconds.
const RETRY_MS: i64 = 5_000;

/// Deletes keys as they become due. Never returns.
pub async fn run(service: &Service, clock: Arc<dyn Clock>) -> ! {
    loop {
        // Registered before the store is read, so that no change is missed in between.
        let changed = service.installation.deletions.notified();
        let wake = match delete_due(service, clock.now()).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(cause = error.cause, "a due key could not be deleted");
                Some(Moment(clock.now().0 + RETRY_MS))
            }
        };
        match wake {
            None => changed.await,
            Some(moment) => {
                let due = clock.at(moment);
                futures_race(changed, due).await;
            }
        }
    }
}

/// Resolves when one of the two does.
async fn futures_race(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    let mut first = std::pin::pin!(first);
    let mut second = std::pin::pin!(second);
    std::future::poll_fn(|context| {
        let one = first.as_mut().poll(context);
        if one.is_ready() { one } else { second.as_mut().poll(context) }
    })
    .await;
}

/// Deletes every key that is due; answers when the next one will be. A key that cannot be deleted does not keep the
/// others from it.
///
/// # Errors
/// The first failure of the store, the HSM or the ledger, after all keys were tried. What was deleted stays deleted.
pub async fn delete_due(service: &Service, now: Moment) -> Result<Option<Moment>> {
    let mut failure = None;
    let mut after = None;
    loop {
        let read = Read::Range { prefix: record::all_due(), after: after.clone(), limit: 1 };
        let snapshot = service.installation.store.read(vec![read]).await?;
        let Some(entry) = snapshot.found.into_iter().flatten().next() else {
            return failure.map_or(Ok(None), Err);
        };
        let outcome = match Due::parse(&entry) {
            Some(due) if due.moment > now => return failure.map_or(Ok(Some(due.moment)), Err),
            Some(due) => delete(service, &due, &entry, now).await,
            None => Err(Error::internal("an entry of the deletion index is damaged")),
        };
        match outcome {
            Err(error) if error.conflict => {}
            Err(error) => {
                failure.get_or_insert(error);
                after = Some(entry.name);
            }
            Ok(()) => {}
        }
    }
}

/// An entry of the index of due keys.
struct Due<'a> {
    moment: Moment,
    account: &'a str,
    region: &'a str,
    id: &'a str,
}

impl<'a> Due<'a> {
    fn parse(entry: &'a Record) -> Option<Self> {
        let mut parts = record::rest(&entry.name, &record::all_due()).split('/');
        let moment = Moment(i64::from_str_radix(parts.next()?, 16).ok()?);
        Some(Self { moment, account: parts.next()?, region: parts.next()?, id: parts.next()? })
    }
}

async fn delete(service: &Service, due: &Due<'_>, entry: &Record, now: Moment) -> Result<()> {
    let Due { account, region, id, moment } = *due;
    let store = &service.installation.store;
    let aliases =
        Read::Range { prefix: record::aliases_of(account, region, id), after: None, limit: MAX_ALIASES };
    let snapshot = store.read(vec![Read::One(record::key(account, region, id)), aliases]).await?;
    let mut found = snapshot.found.into_iter();
    let key = found.next().unwrap_or_default().into_iter().next();
    let aliases = found.next().unwrap_or_default();
    let unchanged =
        |record: &Record| Precondition::Unchanged { name: record.name.clone(), revision: record.revision };
    let stale = || Write::Delete(entry.name.clone());
    let Some(key_record) = key else {
        return clear(service, entry, stale()).await;
    };
    let key = service.installation.cache.decode_key(&key_record)?;
    if key.state != KeyState::PendingDeletion || key.deletion != Some(moment) {
        return clear(service, entry, stale()).await;
    }
    let event_id = service.entropy.uuid()?;
    let resources = [Resource { account_id: key.account.clone(), arn: key.arn.clone() }];
    let event = audit::service_event("DeleteKey", account, region, &event_id, &resources, now);
    let reservation = service.ledger.reserve(event.len()).await.map_err(outbox::ledger_failed)?;
    let mut writes = vec![stale(), Write::Delete(key_record.name.clone())];
    writes.extend(key.materials.iter().map(|m| Write::Delete(record::material(region, &m.id.to_hex()))));
    for alias in &aliases {
        let name = record::rest(&alias.name, &record::aliases_of(account, region, id));
        writes.push(Write::Delete(record::alias(account, region, name)));
        writes.push(Write::Delete(alias.name.clone()));
    }
    writes.push(outbox::put(service, &event_id, &event)?);
    let preconditions = [&key_record, entry].into_iter().chain(&aliases).map(unchanged).collect();
    store.commit(claviger_store::Commit { preconditions, writes }).await?;
    forget(service, &key).await;
    service.ledger.append(reservation, event).await.map_err(outbox::ledger_failed)?;
    service.installation.outbox.add(&event_id);
    Ok(())
}

/// The key is gone from the store; a copy that the HSM might still hold can no longer be asked for, and is dropped.
async fn forget(service: &Service, key: &Key) {
    if let Err(error) = vault::evict(&*service.vault, key).await {
        tracing::warn!(cause = error.cause, "a deleted key could not be dropped from the HSM's cache");
    }
}

/// Removes an entry that no longer says the truth.
async fn clear(service: &Service, entry: &Record, write: Write) -> Result<()> {
    let precondition = Precondition::Unchanged { name: entry.name.clone(), revision: entry.revision };
    let commit = claviger_store::Commit { preconditions: vec![precondition], writes: vec![write] };
    service.installation.store.commit(commit).await?;
    Ok(())
}
