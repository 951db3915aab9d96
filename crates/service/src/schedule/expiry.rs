//! Imported material goes when it expires; the key then waits for it to be imported again.

use claviger_store::Record;
use serde::Serialize;

use super::{commit, forget};
use crate::announcement::Announcement;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::multi_region;
use crate::moment::Moment;

/// `serviceEventDetails` of `DeleteExpiredKeyMaterial`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    key_id: &'a str,
}

/// Drops what has expired of a key's material by the latest moment that anybody saw. What waited for its rotation goes
/// with it from the key's replicas. The event is of the moment that the clock shows.
pub(super) async fn expire(
    service: &Service,
    key: &Key,
    entry: &Record,
    (now, latest): (Moment, Moment),
) -> Result<()> {
    let announcement = announce(service, key, now).await?;
    let mut change = multi_region::share(service, key, &key.without_expired(latest)).await?;
    change.writes.push(announcement.write(service)?);
    commit(service, entry, change).await?;
    forget(service, key).await;
    announcement.deliver(service).await
}

/// The event of it: for whoever finds something expired that the scheduler has not come to, and drops it.
///
/// # Errors
/// Where the ledger has no room.
pub(crate) async fn announce(service: &Service, key: &Key, now: Moment) -> Result<Announcement> {
    let details = Details { key_id: key.id() };
    Announcement::of(service, "DeleteExpiredKeyMaterial", key, Some(&details), now).await
}
