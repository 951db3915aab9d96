//! The HSM's domain gets a new key each period.
//!
//! The newest domain key wraps and the older ones unwrap, so nothing that was made under them has to be touched. The
//! store remembers which key is the newest and when the next is due; the HSM makes one only for who knows its newest. So
//! there is one for each period, whoever asks, and whoever dies in between.

use claviger_store::{Commit, Precondition, Read, Record, Write};
use serde::Serialize;

use super::{Due, clear, commit, unchanged};
use crate::announcement::Announcement;
use crate::audit::Happened;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::moment::Moment;
use crate::record::{self, DomainKeyRecord};
use crate::vault;

/// How a domain key is made by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainKeys {
    /// Days from one to the next, at least one; `None` makes none.
    pub period_days: Option<u16>,
    /// Account in whose trail it is told.
    pub account: String,
    /// Region in whose trail it is told.
    pub region: String,
}

/// Days from one domain key to the next when nobody says otherwise: AWS rotates its own daily and bounds their age at a
/// week ("AWS KMS Cryptographic Details", "Domain keys"). The HSM keeps 4,096 of them, which is 78 years.
pub const PERIOD_DAYS: u16 = 7;

/// `serviceEventDetails` of `RotateDomainKey`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    domain_key_generation: u32,
}

async fn held(service: &Service) -> Result<Option<(Record, DomainKeyRecord)>> {
    let found = service.installation.store.read(vec![Read::One(record::domain_key())]).await?.found;
    let Some(held) = found.into_iter().flatten().next() else { return Ok(None) };
    let content = record::decode(&held)?;
    Ok(Some((held, content)))
}

/// Has the next domain key come when the configuration says. Learns of the newest where the store does not know it.
///
/// # Errors
/// Where the HSM or the store fails, and where the HSM's seal is older than the store.
pub(super) async fn plan(service: &Service, now: Moment) -> Result<()> {
    let Some(wanted) = &service.installation.domain_keys else { return Ok(()) };
    let newest = vault::rotate_domain_key(&*service.vault, 0).await?;
    let known = held(service).await?;
    let (name, before) = (record::domain_key(), known.as_ref().map(|(_, content)| content));
    let (generation, since) = before.map_or((newest, now.0), |known| (known.generation, known.since_ms));
    if newest < generation {
        return Err(older(newest, generation));
    }
    service.installation.note_domain_key(generation);
    let next_ms = wanted.period_days.map(|days| Moment(since).plus_days(days).0);
    let planned = DomainKeyRecord { generation, since_ms: since, next_ms };
    if before == Some(&planned) {
        return Ok(());
    }
    let precondition =
        known.as_ref().map_or_else(|| Precondition::Absent(name.clone()), |it| unchanged(&it.0));
    let mut writes = vec![Write::Put { name, value: record::encode(&planned)? }];
    let old_ms = before.and_then(|known| known.next_ms);
    if old_ms != next_ms {
        writes.extend(old_ms.map(|at_ms| Write::Delete(record::due_domain_key(at_ms))));
        writes.extend(next_ms.map(due));
    }
    service.installation.store.commit(Commit { preconditions: vec![precondition], writes }).await?;
    Ok(())
}

fn due(at_ms: i64) -> Write {
    Write::Put { name: record::due_domain_key(at_ms), value: Vec::new() }
}

/// Has the HSM make the domain key that is due.
pub(super) async fn rotate(service: &Service, due_now: &Due<'_>, entry: &Record, now: Moment) -> Result<()> {
    let (Some((held, known)), Some(wanted)) = (held(service).await?, &service.installation.domain_keys)
    else {
        return clear(service, entry).await;
    };
    let Some(period_days) = wanted.period_days.filter(|_| known.next_ms == Some(due_now.moment.0)) else {
        return clear(service, entry).await;
    };
    let happened =
        &Happened { name: "RotateDomainKey", account: &wanted.account, region: &wanted.region, now };
    let announce = |domain_key_generation| {
        let details = Details { domain_key_generation };
        async move { Announcement::of_service(service, happened, &[], Some(&details)).await }
    };
    // Where the ledger has no room there must be no new key.
    let expected = known.generation.saturating_add(1);
    let mut announcement = announce(expected).await?;
    let generation = vault::rotate_domain_key(&*service.vault, known.generation).await?;
    if generation <= known.generation {
        return Err(older(generation, known.generation));
    }
    if generation != expected {
        announcement = announce(generation).await?;
    }
    let next_ms = now.plus_days(period_days).0;
    let rotated = DomainKeyRecord { generation, since_ms: now.0, next_ms: Some(next_ms) };
    let mut change = Change::default();
    change.preconditions.push(unchanged(&held));
    change.writes.push(Write::Put { name: held.name, value: record::encode(&rotated)? });
    change.writes.push(Write::Delete(entry.name.clone()));
    change.writes.push(due(next_ms));
    change.writes.push(announcement.write(service)?);
    commit(service, entry, change).await?;
    service.installation.note_domain_key(generation);
    tracing::warn!(
        generation,
        "the HSM has a new domain key: what is kept of its seal elsewhere is out of date"
    );
    announcement.deliver(service).await
}

fn older(found: u32, known: u32) -> Error {
    Error::internal(format!(
        "the HSM's newest domain key is number {found}, the store knows of number {known}: the HSM's seal was put back to \
         an older state, and what was made since does not open"
    ))
}
