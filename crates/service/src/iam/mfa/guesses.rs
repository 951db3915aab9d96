//! How often a code may be guessed. Kept in memory: a refused call changes nothing in the store.

use std::sync::{Mutex, PoisonError};

use quick_cache::sync::Cache as Bounded;

use crate::moment::Moment;

/// Most devices remembered.
const MAX_DEVICES: usize = 65_536;
/// Wrong codes in a row after which none is looked at for a while. With a window of three codes out of a million, five
/// guesses in five minutes find one in some eight months.
const MAX_WRONG: u32 = 5;
/// How long, in milliseconds.
const PAUSE_MS: i64 = 5 * 60 * 1000;

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last: Moment,
}

/// Counts wrong codes.
pub(crate) struct Guesses {
    wrong: Bounded<Vec<u8>, Wrong>,
    /// Held while a guess is counted, so that guesses at the same time count one after the other.
    one: Mutex<()>,
}

/// A guess that has been counted as wrong, and may be looked at.
#[must_use = "a guess that was right must be told apart"]
pub(crate) struct Guess<'a> {
    guesses: &'a Guesses,
    device: &'a [u8],
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self { wrong: Bounded::new(MAX_DEVICES), one: Mutex::new(()) }
    }

    /// Counts a guess as wrong before it is looked at, unless too many were: then it must not be. Time does not go back:
    /// requests come here in another order than they read the clock.
    pub(crate) fn count<'a>(&'a self, device: &'a [u8], now: Moment) -> Option<Guess<'a>> {
        let _guard = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.wrong.get(device);
        let now = known.map_or(now, |wrong| wrong.last.max(now));
        let recent = known.filter(|wrong| now.0.saturating_sub(wrong.last.0) < PAUSE_MS);
        let before = recent.map_or(0, |wrong| wrong.count);
        if before >= MAX_WRONG {
            return None;
        }
        self.wrong.insert(device.to_vec(), Wrong { count: before.saturating_add(1), last: now });
        Some(Guess { guesses: self, device })
    }

    /// Looks at a code, unless too many were wrong; a wrong code and one that is not looked at are the same to the caller.
    pub(crate) fn attempt<T>(
        &self,
        device: &[u8],
        now: Moment,
        look: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let guess = self.count(device, now)?;
        let found = look()?;
        guess.was_right();
        Some(found)
    }
}

impl Guess<'_> {
    /// Forgets the wrong ones.
    pub(crate) fn was_right(self) {
        let _guard = self.guesses.one.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.guesses.wrong.remove(self.device));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack A21: codes are guessed.
    #[test]
    fn a21_after_five_wrong_codes_none_is_looked_at_for_a_while() {
        let guesses = Guesses::new();
        let at = |seconds: i64, right: bool| {
            guesses.attempt(b"device", Moment(seconds * 1000), || right.then_some(())).is_some()
        };
        for second in 0..5 {
            assert!(!at(second, false));
        }
        assert!(!at(5, true) && !at(303, true), "right, but too late");
        assert!(guesses.attempt(b"another", Moment(5_000), || Some(())).is_some());
        assert!(at(304, true));
        for second in 400..404 {
            assert!(!at(second, false));
        }
        assert!(at(405, true), "four wrong codes are no five");
        assert!(!at(406, false) && at(407, true));
    }

    /// Attack A21: a guess whose time is before that of the last is neither free nor makes the others forgotten.
    #[test]
    fn a21_guesses_out_of_order_are_counted() {
        let guesses = Guesses::new();
        let at =
            |ms: i64, right: bool| guesses.attempt(b"device", Moment(ms), || right.then_some(())).is_some();
        for early in 0..5 {
            assert!(!at(1_000_000 - early, false));
        }
        for early in [0, 1, PAUSE_MS, 1_000_000] {
            assert!(!at(1_000_000 - early, true), "{early} ms before the last");
        }
        assert!(!at(999_999 + PAUSE_MS, true), "the pause begins with the latest");
        assert!(at(1_000_000 + PAUSE_MS, true));
    }

    /// Attack A21: guesses that are looked at at the same time, or whose callers go away, count.
    #[test]
    fn a21_guesses_count_before_they_are_looked_at() {
        let guesses = Guesses::new();
        let count = || guesses.count(b"device", Moment(0));
        let mut looked_at: Vec<_> = (0..5).map_while(|_| count()).collect();
        assert_eq!(looked_at.len(), 5);
        assert!(count().is_none());
        looked_at.pop().unwrap().was_right();
        assert!(count().is_some());
    }
}
