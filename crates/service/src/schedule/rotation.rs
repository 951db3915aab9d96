//! A key whose rotation is on gets new material each period.

use std::sync::Arc;

use claviger_store::Record;

use super::commit;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::rotation;
use crate::moment::Moment;

/// Rotates a key.
pub(super) async fn rotate(service: &Service, key: &Arc<Key>, entry: &Record, now: Moment) -> Result<()> {
    let (change, announcement) = rotation::rotate(service, key, false, now).await?;
    commit(service, entry, change).await?;
    announcement.deliver(service).await
}
