//! Room on disk, counted before it is used.
//!
//! A record never spans two segments, so up to one frame less a byte is lost when a segment is left. The count
//! therefore gives, for the current segment, what is left of it, and for each spare one frame less than it holds; then
//! every reservation fits, in whatever order they are used:
//!
//! ```text
//! free = left in current + sum over spares (capacity - longest frame) - reserved
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::expected::Epoch;
use super::format::{FRAME_HEAD_LEN, HEADER_LEN, MAX_FRAME_LEN, MAX_PAYLOAD_LEN};
use super::{LedgerError, shared::Shared};

/// Bytes that may still be reserved.
#[derive(Debug)]
pub(super) struct Room(AtomicU64);

impl Room {
    /// `left` bytes in the current segment.
    pub(super) fn new(left: u64) -> Self {
        Self(AtomicU64::new(left))
    }

    /// A spare segment of `length` bytes has been made.
    pub(super) fn add_spare(&self, length: u64) {
        self.give(length.saturating_sub((HEADER_LEN + MAX_FRAME_LEN) as u64));
    }

    /// A spare has become current; `left` bytes of the segment before stay unused.
    pub(super) fn rotate(&self, left: u64) {
        self.give((MAX_FRAME_LEN as u64).saturating_sub(left));
    }

    fn give(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::AcqRel);
    }

    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(bytes)).is_ok()
    }
}

/// Room for one record that nobody else can take.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its room back"]
pub struct Reservation {
    ledger: Arc<Shared>,
    /// Of the whole frame.
    bytes: u64,
    /// When it was made, as [`Expected`](super::expected::Expected) counts it.
    epoch: Epoch,
}

impl Reservation {
    /// Takes room for a payload of `bytes` bytes.
    pub(super) fn take(ledger: &Arc<Shared>, bytes: usize) -> Result<Self, LedgerError> {
        if bytes > MAX_PAYLOAD_LEN {
            return Err(LedgerError::TooLarge);
        }
        let bytes = (FRAME_HEAD_LEN + bytes) as u64;
        if !ledger.room().take(bytes) {
            return Err(LedgerError::Full);
        }
        Ok(Self { ledger: ledger.clone(), bytes, epoch: ledger.reserved() })
    }

    /// Whether it covers a payload of `bytes` bytes in `ledger`.
    pub(super) fn covers(&self, ledger: &Arc<Shared>, bytes: usize) -> bool {
        Arc::ptr_eq(&self.ledger, ledger) && (FRAME_HEAD_LEN + bytes) as u64 <= self.bytes
    }

    /// Gives back all but the room for a payload of `bytes` bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let needed = (FRAME_HEAD_LEN + bytes) as u64;
        if let Some(spare) = self.bytes.checked_sub(needed) {
            self.bytes = needed;
            self.ledger.room().give(spare);
        }
    }

    /// A record with a payload of `bytes` bytes takes the room; what it does not need goes back.
    pub(super) fn spend(mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub((FRAME_HEAD_LEN + bytes) as u64);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.room().give(self.bytes);
        self.ledger.settled(self.epoch);
    }
}
