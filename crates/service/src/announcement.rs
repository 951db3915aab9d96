//! What the service does by itself, on its way to the trail (CloudTrail's service events).

use claviger_store::Write;
use serde::Serialize;

use crate::audit::{self, Happened, Reservation, Resource};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::moment::Moment;
use crate::outbox;

/// A service event with room in the ledger. It is committed with its effect ([`Announcement::write`]), then delivered.
pub(crate) struct Announcement {
    event_id: String,
    event: Vec<u8>,
    reservation: Reservation,
}

impl Announcement {
    /// The event of something that is about to happen to a key. Where the ledger has no room, it must not happen.
    pub(crate) async fn of(
        service: &Service,
        name: &str,
        key: &Key,
        details: Option<&(impl Serialize + Sync)>,
        now: Moment,
    ) -> Result<Self> {
        let resources = [Resource { account_id: key.account.clone(), arn: key.arn.clone() }];
        let happened = Happened { name, account: &key.account, region: &key.region, now };
        Self::of_service(service, &happened, &resources, details).await
    }

    /// The event of something that is about to happen. Where the ledger has no room, it must not happen.
    pub(crate) async fn of_service(
        service: &Service,
        happened: &Happened<'_>,
        resources: &[Resource],
        details: Option<&(impl Serialize + Sync)>,
    ) -> Result<Self> {
        let event_id = service.entropy.uuid()?;
        let details = details.map(serde_json::to_string).transpose();
        let details = details.map_err(|error| Error::internal(error.to_string()))?;
        let event = audit::service_event(happened, &event_id, resources, details.as_deref());
        let reservation = service.ledger.reserve(event.len()).await.map_err(outbox::ledger_failed)?;
        Ok(Self { event_id, event, reservation })
    }

    /// The write that belongs into the commit of the effect.
    pub(crate) fn write(&self, service: &Service) -> Result<Write> {
        outbox::put(service, &self.event_id, &self.event)
    }

    /// Brings the event to the ledger once the effect is committed. When this fails, the next start does it.
    pub(crate) async fn deliver(self, service: &Service) -> Result<()> {
        service.ledger.append(self.reservation, self.event).await.map_err(outbox::ledger_failed)?;
        service.installation.outbox.add(&self.event_id);
        Ok(())
    }
}
