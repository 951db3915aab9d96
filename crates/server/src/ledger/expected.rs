//! Records that are about to come: reservations that were made a short while ago and are not used yet.
//!
//! A batch waits for them. One that has not come for a whole [epoch](EPOCH) belongs to a call that takes long, such as the
//! making of an RSA key pair, and nobody waits for it any longer.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many batches are an epoch.
const EPOCH: u64 = 32;
/// Epochs that are told apart. Two are counted; the others are there so that their slots are not needed again at once.
const SLOTS: usize = 4;

/// Bits of a slot that hold its count: more reservations than there can be connections. The rest holds the epoch, and
/// lasts for centuries.
const COUNT_BITS: u32 = 24;

/// The number of an epoch.
pub(super) type Epoch = u64;

/// How many records are about to come, by the epoch of their reservation.
#[derive(Debug, Default)]
pub(super) struct Expected {
    batches: AtomicU64,
    /// An epoch, and in the lower [`COUNT_BITS`] how many were reserved in it and are not used.
    slots: [AtomicU64; SLOTS],
}

impl Expected {
    /// A reservation has been made. Its epoch has to be given back.
    pub(super) fn reserved(&self) -> Epoch {
        let epoch = self.epoch();
        self.change(epoch, |count| count.checked_add(1));
        epoch
    }

    /// A reservation of this epoch has been used or given back.
    pub(super) fn settled(&self, epoch: Epoch) {
        self.change(epoch, |count| count.checked_sub(1));
    }

    /// Whether any record is about to come.
    pub(super) fn any(&self) -> bool {
        let now = self.epoch();
        self.slots.iter().any(|slot| {
            let (epoch, count) = parts(slot.load(Ordering::Acquire));
            count > 0 && epoch + 1 >= now
        })
    }

    /// A batch is complete.
    pub(super) fn batch(&self) {
        self.batches.fetch_add(1, Ordering::AcqRel);
    }

    fn epoch(&self) -> Epoch {
        self.batches.load(Ordering::Acquire) / EPOCH
    }

    /// Changes the count of an epoch, where its slot is not in use for a later one.
    fn change(&self, epoch: Epoch, change: impl Fn(u64) -> Option<u64>) {
        let Some(slot) = usize::try_from(epoch).ok().and_then(|epoch| self.slots.get(epoch % SLOTS)) else {
            return;
        };
        let _ = slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, |slot| {
            let (held, count) = parts(slot);
            let count = if held == epoch { count } else { 0 };
            let changed = if held > epoch { None } else { change(count) };
            changed.filter(|count| *count < 1 << COUNT_BITS).map(|count| epoch << COUNT_BITS | count)
        });
    }
}

/// The epoch of a slot and its count.
const fn parts(slot: u64) -> (Epoch, u64) {
    (slot >> COUNT_BITS, slot & ((1 << COUNT_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(expected: &Expected, epochs: u64) {
        (0..epochs * EPOCH).for_each(|_| expected.batch());
    }

    #[test]
    fn what_is_reserved_is_expected_until_it_is_settled() {
        let expected = Expected::default();
        assert!(!expected.any());
        let (one, other) = (expected.reserved(), expected.reserved());
        expected.settled(one);
        assert!(expected.any());
        expected.settled(other);
        assert!(!expected.any());
    }

    #[test]
    fn what_does_not_come_is_not_waited_for() {
        let expected = Expected::default();
        let old = expected.reserved();
        pass(&expected, 1);
        assert!(expected.any());
        pass(&expected, 1);
        assert!(!expected.any());
        let young = expected.reserved();
        // The one that is late changes nothing for the others, nor where its slot has been taken over.
        expected.settled(old);
        assert!(expected.any());
        expected.settled(young);
        pass(&expected, 2);
        let successor = expected.reserved();
        expected.settled(old);
        assert!(expected.any());
        expected.settled(successor);
        assert!(!expected.any());
    }
}
