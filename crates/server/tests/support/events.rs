//! The events of a ledger, read as an auditor would.

use std::path::Path;

use claviger_server::ledger;
use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event(pub(crate) Value);

impl Event {
    /// A member that holds text.
    pub(crate) fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap_or_else(|| panic!("no {member} in {}", self.0))
    }

    /// Id of the request, which its answer carried.
    pub(crate) fn request_id(&self) -> &str {
        self.text("requestID")
    }

    /// Name of the error; `None` for a success.
    pub(crate) fn error(&self) -> Option<&str> {
        self.0["errorCode"].as_str()
    }
}

/// The events from a sequence number on, with the number that comes next. Each is verified as part of the chain.
pub(crate) fn read(ledger: &Path, from: u64) -> (Vec<Event>, u64) {
    let mut events = Vec::new();
    let mut next = from;
    for record in ledger::read(ledger, from).unwrap_or_else(|bad| panic!("{bad}")) {
        let record = record.unwrap_or_else(|bad| panic!("{bad}"));
        assert_eq!(record.sequence, next, "sequence numbers have a gap");
        next += 1;
        let (event, _) = claviger_service::audit::split(&record.payload);
        events.push(Event(serde_json::from_slice(event).unwrap()));
    }
    (events, next)
}
