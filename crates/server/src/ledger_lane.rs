//! The service's view of the ledger: one lane of it, for one thread.

use std::sync::Arc;

use claviger_service as service;
use claviger_service::BoxFuture;

use crate::ledger::{Lane, Ledger, LedgerError, Reservation};

/// A lane of the ledger.
pub struct ServiceLane {
    ledger: Arc<Ledger>,
    lane: Lane,
}

impl ServiceLane {
    /// The service's view of a lane.
    pub fn new(ledger: Arc<Ledger>, lane: Lane) -> Self {
        Self { ledger, lane }
    }
}

fn translated(error: LedgerError) -> service::LedgerError {
    match error {
        LedgerError::Full => service::LedgerError::Full,
        LedgerError::TooLarge => service::LedgerError::TooLarge,
        LedgerError::Failed | LedgerError::Closed => service::LedgerError::Failed,
    }
}

impl service::Ledger for ServiceLane {
    fn reserve(&self, bytes: usize) -> BoxFuture<'_, Result<service::Reservation, service::LedgerError>> {
        Box::pin(async move {
            let reservation = self.lane.reserve(bytes).await.map_err(translated)?;
            Ok(service::Reservation(Box::new(reservation)))
        })
    }

    fn append(
        &self,
        reservation: service::Reservation,
        event: Vec<u8>,
    ) -> BoxFuture<'static, Result<u64, service::LedgerError>> {
        let Ok(reservation) = reservation.0.downcast::<Reservation>() else {
            // A reservation of another ledger: a fault of the program, and no room was taken here.
            return Box::pin(std::future::ready(Err(service::LedgerError::Failed)));
        };
        let appended = self.lane.append(*reservation, &event);
        Box::pin(async move { appended.await.map_err(translated) })
    }

    fn shrink(&self, reservation: &mut service::Reservation, bytes: usize) {
        if let Some(reservation) = reservation.0.downcast_mut::<Reservation>() {
            reservation.shrink(bytes);
        }
    }

    fn next_sequence(&self) -> u64 {
        self.ledger.durable_sequence() + 1
    }

    fn any_since(
        &self,
        sequence: u64,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, service::LedgerError> {
        let failed = |error: crate::ledger::FirstBad| {
            tracing::error!(cause = error.to_string(), "the ledger cannot be read");
            service::LedgerError::Failed
        };
        for record in self.ledger.records_since(sequence.saturating_sub(1)).map_err(failed)? {
            if test(&record.map_err(failed)?.payload) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
