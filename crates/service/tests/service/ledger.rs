//! A ledger in memory, which can be made to refuse and to fail.

use std::sync::Mutex;

use claviger_service::{BoxFuture, Ledger, LedgerError, Reservation, audit};

use crate::world::lock;

/// How a ledger misbehaves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not at all.
    #[default]
    None,
    /// There is no room.
    Full,
    /// It gives room and then fails to keep the event: the process dies between a commit and its event.
    Append,
}

/// Keeps events in memory. Holds callers to their reservations.
#[derive(Default)]
pub(crate) struct MemoryLedger(Mutex<State>);

#[derive(Default)]
struct State {
    events: Vec<Vec<u8>>,
    /// Room that the last event had.
    last_room: usize,
    fault: Fault,
}

impl MemoryLedger {
    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).events.len()
    }

    /// How much room the last event had, in bytes.
    pub(crate) fn last_room(&self) -> usize {
        lock(&self.0).last_room
    }

    /// The events from a place on, without what was decided; none where the ledger is shorter.
    pub(crate) fn since(&self, place: usize) -> Vec<Vec<u8>> {
        self.records(place).iter().map(|record| audit::split(record).0.to_vec()).collect()
    }

    /// The records from a place on, whole.
    pub(crate) fn records(&self, place: usize) -> Vec<Vec<u8>> {
        lock(&self.0).events.iter().skip(place).cloned().collect()
    }

    /// From now on it misbehaves so.
    pub(crate) fn set_fault(&self, fault: Fault) {
        lock(&self.0).fault = fault;
    }
}

impl Ledger for MemoryLedger {
    fn reserve(&self, bytes: usize) -> BoxFuture<'_, Result<Reservation, LedgerError>> {
        let full = lock(&self.0).fault == Fault::Full;
        Box::pin(async move { if full { Err(LedgerError::Full) } else { Ok(Reservation(Box::new(bytes))) } })
    }

    fn append(
        &self,
        reservation: Reservation,
        event: Vec<u8>,
    ) -> BoxFuture<'static, Result<u64, LedgerError>> {
        let mut state = lock(&self.0);
        let room = *reservation.0.downcast::<usize>().unwrap();
        let outcome = if event.len() > room {
            Err(LedgerError::TooLarge)
        } else if state.fault == Fault::Append {
            Err(LedgerError::Failed)
        } else {
            state.events.push(event);
            state.last_room = room;
            Ok(u64::try_from(state.events.len() - 1).unwrap())
        };
        drop(state);
        Box::pin(std::future::ready(outcome))
    }

    fn shrink(&self, reservation: &mut Reservation, bytes: usize) {
        let room = reservation.0.downcast_mut::<usize>().unwrap();
        *room = bytes.min(*room);
    }

    fn next_sequence(&self) -> u64 {
        u64::try_from(self.len()).unwrap()
    }

    fn any_since(&self, sequence: u64, test: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, LedgerError> {
        Ok(self.records(usize::try_from(sequence).unwrap()).iter().any(|event| test(event)))
    }
}
