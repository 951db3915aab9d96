//! What the service does by itself: it deletes keys whose waiting period is over, drops imported material that has
//! expired, and rotates keys, the HSM's domain key among them.
//!
//! One task sleeps until the next thing is due; it does not look at what is not. The index of due things is part of the
//! store, so a restart finds it as it was. Everything is one commit that has its entry of the index as a precondition:
//! it happens once or, when the process dies before it, at the next start.

use std::sync::Arc;

use claviger_store::{Commit, Precondition, Read, Record, Write};

use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::moment::{Clock, Moment};
use crate::record::{self, Task};
use crate::vault;

mod deletion;
mod domain_key;
pub(crate) mod expiry;
mod rotation;

pub use domain_key::{DomainKeys, PERIOD_DAYS};

/// How long to wait after a failure before trying again, in milliseconds. It doubles while failures go on.
const RETRY_MS: i64 = 5_000;
/// How often it doubles: up to 5 s * 2^6, a little over five minutes.
const MAX_DOUBLINGS: u32 = 6;

/// When to try again what could not be done.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
    at: Option<Moment>,
}

impl Retry {
    /// Notes how a round went. One that came early, for another reason, does not put the next try off.
    fn after(&mut self, failed: bool, now: Moment) -> Option<Moment> {
        let longest = RETRY_MS << MAX_DOUBLINGS;
        let waits = |at: &Moment| (1..=longest).contains(&at.0.saturating_sub(now.0));
        if !failed {
            *self = Self::default();
        } else if !self.at.as_ref().is_some_and(waits) {
            self.at = Some(Moment(now.0.saturating_add(RETRY_MS << self.failures)));
            self.failures = MAX_DOUBLINGS.min(self.failures + 1);
        }
        self.at
    }
}

/// What there was to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// When the next thing is due, leaving aside what could not be done.
    pub next: Option<Moment>,
    /// How many things could not be done. They are still due.
    pub failed: usize,
}

/// Does things as they become due. Never returns.
pub async fn run(service: &Service, clock: Arc<dyn Clock>) -> ! {
    let mut retry = Retry::default();
    let mut planned = false;
    loop {
        // A change that comes after this leaves a permit, so none is missed while the store is read.
        let changed = service.installation.schedule.notified();
        if !planned {
            planned = plan(service, clock.now()).await;
        }
        let round = run_due(service, clock.now()).await.unwrap_or_else(|error| {
            tracing::error!(cause = error.cause, "the index of due things could not be read");
            Round { next: None, failed: 1 }
        });
        let again = retry.after(round.failed > 0 || !planned, clock.now());
        match round.next.into_iter().chain(again).min() {
            None => changed.await,
            Some(moment) => first_of(changed, clock.at(moment)).await,
        }
    }
}

/// Plans what does not come with a key; says whether that could be done.
async fn plan(service: &Service, now: Moment) -> bool {
    match domain_key::plan(service, now).await {
        Ok(()) => true,
        // Another host has planned it meanwhile: it is looked at again.
        Err(error) if error.conflict => false,
        Err(error) => {
            tracing::error!(cause = error.cause, "the next domain key could not be planned");
            false
        }
    }
}

/// Resolves when one of the two does.
pub(crate) async fn first_of(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    let mut first = std::pin::pin!(first);
    let mut second = std::pin::pin!(second);
    std::future::poll_fn(|context| {
        let one = first.as_mut().poll(context);
        if one.is_ready() { one } else { second.as_mut().poll(context) }
    })
    .await;
}

/// Does everything that is due. What cannot be done does not keep the rest from it, and goes to the log.
///
/// Material expires by the latest moment that anybody has seen, also where the clock has been set back since: requests
/// refuse it by the same. All else goes by the clock.
///
/// # Errors
/// Where the index cannot be read. What was done stays done.
pub async fn run_due(service: &Service, now: Moment) -> Result<Round> {
    let latest = service.installation.latest(now);
    let (mut failed, mut next) = (0, None);
    let mut after = None;
    loop {
        let read = Read::Range { prefix: record::all_due(), after: after.clone(), limit: 1 };
        let snapshot = service.installation.store.read(vec![read]).await?;
        let Some(entry) = snapshot.found.into_iter().flatten().next() else {
            return Ok(Round { next, failed });
        };
        let outcome = match Due::parse(&entry) {
            Some(due) if due.moment > latest => {
                return Ok(Round { next: next.or(Some(due.moment)), failed });
            }
            Some(due) if due.moment > now && due.task != Task::Expiry => {
                (next, after) = (next.or(Some(due.moment)), Some(entry.name));
                continue;
            }
            Some(due) => carry_out(service, &due, &entry, now).await,
            None => Err(Error::internal("the entry cannot be read")),
        };
        match outcome {
            // Somebody else did it, or changed the key: the entry is looked at again.
            Err(error) if error.conflict => {}
            Err(error) => {
                let entry_name = String::from_utf8_lossy(&entry.name).into_owned();
                tracing::error!(entry = entry_name, cause = error.cause, "what is due could not be done");
                failed += 1;
                after = Some(entry.name);
            }
            Ok(()) => {}
        }
    }
}

/// An entry of the index.
struct Due<'a> {
    moment: Moment,
    account: &'a str,
    region: &'a str,
    id: &'a str,
    task: Task,
}

impl<'a> Due<'a> {
    fn parse(entry: &'a Record) -> Option<Self> {
        let mut parts = record::rest(&entry.name, &record::all_due()).split('/');
        let moment = Moment(i64::from_str_radix(parts.next()?, 16).ok()?);
        let (account, region, id) = (parts.next()?, parts.next()?, parts.next()?);
        let task = Task::named(parts.next())?;
        parts.next().is_none().then_some(Self { moment, account, region, id, task })
    }
}

async fn carry_out(service: &Service, due: &Due<'_>, entry: &Record, now: Moment) -> Result<()> {
    match due.task {
        Task::Sweep => return deletion::sweep(service, entry).await,
        Task::Grants => return deletion::sweep_grants(service, due, entry).await,
        Task::DomainKey => return domain_key::rotate(service, due, entry, now).await,
        Task::Deletion | Task::Expiry | Task::Rotation => {}
    }
    let name = record::key(due.account, due.region, due.id);
    let snapshot = service.installation.store.read(vec![Read::One(name)]).await?;
    let key = match snapshot.found.into_iter().flatten().next() {
        Some(record) => Arc::new(service.installation.cache.decode_key(&record)?),
        None => return clear(service, entry).await,
    };
    if !key.due().contains(&(due.task, due.moment)) {
        return clear(service, entry).await;
    }
    match due.task {
        Task::Deletion => deletion::delete(service, &key, entry, now).await,
        Task::Expiry => expiry::expire(service, &key, entry, (now, service.installation.latest(now))).await,
        Task::Rotation => rotation::rotate(service, &key, entry, now).await,
        Task::Sweep | Task::Grants | Task::DomainKey => Ok(()),
    }
}

fn unchanged(record: &Record) -> Precondition {
    Precondition::Unchanged { name: record.name.clone(), revision: record.revision }
}

/// Commits a change that an entry of the index asked for.
async fn commit(service: &Service, entry: &Record, mut change: Change) -> Result<()> {
    change.preconditions.push(unchanged(entry));
    let Change { preconditions, writes } = change;
    service.installation.store.commit(Commit { preconditions, writes }).await?;
    Ok(())
}

/// Removes an entry that no longer says the truth.
async fn clear(service: &Service, entry: &Record) -> Result<()> {
    let change = Change { writes: vec![Write::Delete(entry.name.clone())], ..Change::default() };
    commit(service, entry, change).await
}

/// Material is gone from the store; a copy that the HSM might still hold can no longer be asked for, and is dropped.
pub(crate) async fn forget(service: &Service, key: &Key) {
    if let Err(error) = vault::evict(&*service.vault, key).await {
        tracing::warn!(
            cause = error.cause,
            "material that is gone could not be dropped from the HSM's cache"
        );
    }
}
