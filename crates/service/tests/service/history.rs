//! Whether a history of changes and uses is linearizable: the checker, which knows nothing of what is checked.
//!
//! What is checked is one thing that is open or closed. One hand changes it, one change after the other, closing first;
//! many hands use it meanwhile. A history is linearizable when each change and each use can be given a moment between its
//! start and its end so that every use was served where it was open at its moment, and refused where it was closed. In
//! particular no use that started after a closing was acknowledged is served, and no use sees less than one that ended
//! before it started.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A use, between two ticks of the history's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) served: bool,
}

/// A change; the first closes, the second opens, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The first use for which there is no such moment.
pub(crate) fn first_impossible(changes: &[Change], uses: &[Use]) -> Option<Use> {
    assert!(changes.windows(2).all(|pair| pair[0].end < pair[1].start), "one change after the other");
    let mut uses = uses.to_vec();
    uses.sort_by_key(|it| it.start);
    // Each use is given the least number of changes that it can have seen, which asks least of those after it. Under way:
    // the ends of uses with that number. Seen: the greatest number of a use that has ended.
    let (mut under_way, mut seen) = (Vec::<(u64, usize)>::new(), 0);
    for one in uses {
        let acknowledged = changes.iter().filter(|change| change.end < one.start).count();
        let started = changes.iter().filter(|change| change.start < one.end).count();
        under_way.retain(|(end, number)| {
            let over = *end < one.start;
            seen = if over { seen.max(*number) } else { seen };
            !over
        });
        let least = acknowledged.max(seen);
        // Open before any change, and after every second one.
        let number = if least.is_multiple_of(2) == one.served { least } else { least + 1 };
        if number > started {
            return Some(one);
        }
        under_way.push((one.end, number));
    }
    None
}

/// What happened, as it is written down by those who do it.
#[derive(Default)]
pub(crate) struct History {
    clock: AtomicU64,
    changes: Mutex<Vec<Change>>,
    uses: Mutex<Vec<Use>>,
}

impl History {
    /// The next tick: a use or change that gets a later one started later, or ended later, on every thread.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// A change that started at a tick has been acknowledged.
    pub(crate) fn changed(&self, start: u64) {
        let end = self.tick();
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(Change { start, end });
    }

    /// A use that started at a tick has been answered.
    pub(crate) fn used(&self, start: u64, served: bool) {
        let end = self.tick();
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).push(Use { start, end, served });
    }

    /// How many uses were refused and served.
    pub(crate) fn outcomes(&self) -> [usize; 2] {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let served = uses.iter().filter(|one| one.served).count();
        [uses.len() - served, served]
    }

    /// How many uses went on while a change did.
    pub(crate) fn overlaps(&self) -> usize {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let meets = |one: &&Use| changes.iter().any(|it| it.start < one.end && one.start < it.end);
        uses.iter().filter(meets).count()
    }

    /// The first use that breaks the order.
    pub(crate) fn first_impossible(&self) -> Option<Use> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        first_impossible(&changes, &uses)
    }
}
