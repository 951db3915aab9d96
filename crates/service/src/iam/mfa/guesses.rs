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
    /// Held while a code is looked at, so that guesses at the same time count one after the other.
    one: Mutex<()>,
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self { wrong: Bounded::new(MAX_DEVICES), one: Mutex::new(()) }
    }

    /// Looks at a code, unless too many were wrong; a wrong code and one that is not looked at are the same to the caller.
    pub(crate) fn attempt<T>(
        &self,
        device: &[u8],
        now: Moment,
        look: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let _guard = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = |wrong: &Wrong| (0..PAUSE_MS).contains(&now.0.saturating_sub(wrong.last.0));
        let recent = self.wrong.get(device).filter(paused);
        if recent.is_some_and(|wrong| wrong.count >= MAX_WRONG) {
            return None;
        }
        let found = look();
        match found {
            Some(_) => drop(self.wrong.remove(device)),
            None => {
                let count = recent.map_or(0, |wrong| wrong.count).saturating_add(1);
                self.wrong.insert(device.to_vec(), Wrong { count, last: now });
            }
        }
        found
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
}
