//! What is noted in memory and written to the store once a minute, and once more when the program ends in good order:
//! the last uses of keys, access keys and roles, which events the outbox need not keep, and how far the ledger has come.

use std::sync::Arc;

use crate::dispatch::Service;
use crate::error::Result;
use crate::ledger_end;
use crate::moment::{Clock, Moment};
use crate::schedule::first_of;
use crate::{outbox, usage};

/// How long a note stays in memory alone, in seconds, unless configured otherwise.
pub const WRITE_SECONDS: u32 = 60;

/// Writes what was noted, so many seconds afterwards at the latest. Never returns.
pub async fn run(service: &Service, clock: Arc<dyn Clock>, write_seconds: u32) -> ! {
    loop {
        let full = service.installation.noted.full();
        let due = clock.at(Moment(clock.now().0.saturating_add(i64::from(write_seconds) * 1000)));
        first_of(full, due).await;
        if let Err(error) = write(service).await {
            tracing::error!(cause = error.cause, "what was noted could not be written");
        }
    }
}

/// Writes all that was noted.
///
/// # Errors
/// The first failure of the store, after all was tried. What could not be written stays noted.
pub async fn write(service: &Service) -> Result<()> {
    let used = usage::write(service).await;
    let called = service.installation.last_used.write(&*service.installation.store).await;
    let cleared = outbox::clear(service).await;
    let ended = ledger_end::note(service).await;
    used.and(called).and(cleared).and(ended)
}
