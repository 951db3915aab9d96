//! How fast a bucket lets requests through: the generic cell rate algorithm (ITU-T I.371) in one atomic word.
//!
//! Ours, because it is thirty lines and decides who is served: the time is an argument, a clock that goes back neither
//! shuts a bucket nor fills it, and a request costs one compare-and-swap.

use std::sync::atomic::{AtomicU64, Ordering};

const SECOND_NS: u64 = 1_000_000_000;

/// How far two readings of the clock may be out of order before the clock counts as set back, in nanoseconds. Readings
/// are taken by the threads just before they use them.
const MAX_SKEW_NS: u64 = SECOND_NS;

/// How many requests a second are let through, in the long run and at once: a bucket that was not used holds what it lets
/// through in one second, and one request at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time that one request takes up, rounded up, so that rounding lets nothing more through.
    interval_ns: u64,
    /// What a full bucket holds.
    burst: u64,
}

impl Rate {
    /// Slowest rate, in requests a second.
    pub const MIN: f64 = 0.001;
    /// Fastest rate, in requests a second.
    pub const MAX: f64 = 1_000_000.0;

    /// So many thousandths of a request a second, at least one.
    pub(crate) const fn of_thousandths(thousandths: u64) -> Self {
        let thousandths = if thousandths == 0 { 1 } else { thousandths };
        let burst = thousandths / 1000;
        Self {
            interval_ns: (1000 * SECOND_NS).div_ceil(thousandths),
            burst: if burst == 0 { 1 } else { burst },
        }
    }

    /// So many requests a second, between [`Rate::MIN`] and [`Rate::MAX`], to three decimals.
    pub fn per_second(requests: f64) -> Option<Self> {
        let within = (Self::MIN..=Self::MAX).contains(&requests);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within bounds that a u64 holds"
        )]
        within.then(|| Self::of_thousandths((requests * 1000.0).round() as u64))
    }

    /// Time until a full bucket that was emptied is full again.
    const fn burst_ns(self) -> u64 {
        self.burst.saturating_mul(self.interval_ns)
    }
}

/// What was taken from one bucket: the moment at which it will be full again ("theoretical arrival time").
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Lets so many requests through together at a moment of a clock, or none of them. More than the bucket ever holds
    /// counts as all that it holds.
    pub(crate) fn admits(&self, rate: Rate, count: u64, now_ns: u64) -> bool {
        let empty = now_ns.saturating_add(rate.burst_ns());
        let cost = count.min(rate.burst).saturating_mul(rate.interval_ns);
        let mut full_at = self.0.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now_ns).saturating_add(cost);
            let admitted = next <= empty;
            let next = match admitted {
                true => next,
                // Nothing that was let through leads here: the clock was set back. The bucket is empty as of now.
                false if full_at > empty.saturating_add(MAX_SKEW_NS) => empty,
                false => return false,
            };
            match self.0.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return admitted,
                Err(changed) => full_at = changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of so many requests, one after the other, are let through at a moment.
    fn admitted(cell: &Cell, rate: Rate, tries: u64, now_ns: u64) -> u64 {
        (0..tries).map(|_| u64::from(cell.admits(rate, 1, now_ns))).sum()
    }

    #[test]
    fn a_bucket_holds_a_second_and_fills_again() {
        let check = |per_second: f64, at_once: u64, after_ms: u64, then: u64| {
            let (cell, rate) = (Cell::default(), Rate::per_second(per_second).unwrap());
            assert_eq!(admitted(&cell, rate, 2 * at_once + 5, 0), at_once, "{per_second}");
            let now = after_ms * 1_000_000;
            assert_eq!(admitted(&cell, rate, 2 * at_once + 5, now), then, "{per_second} after {after_ms} ms");
        };
        check(1000.0, 1000, 1, 1);
        check(1000.0, 1000, 500, 500);
        check(1000.0, 1000, 3_600_000, 1000);
        check(1.0, 1, 999, 0);
        check(1.0, 1, 1000, 1);
        check(0.5, 1, 1999, 0);
        check(0.5, 1, 2000, 1);
        check(2.5, 2, 399, 0);
        check(2.5, 2, 400, 1);
        check(3.0, 3, 333, 0);
        check(3.0, 3, 334, 1);
        check(1_000_000.0, 1_000_000, 1, 1000);
    }

    #[test]
    fn rates_are_within_bounds() {
        for wrong in [0.0, -1.0, 0.000_9, 1_000_000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::per_second(wrong), None, "{wrong}");
        }
        assert_eq!(Rate::per_second(0.1), Some(Rate::of_thousandths(100)));
        assert_eq!(Rate::of_thousandths(0), Rate::of_thousandths(1));
    }

    #[test]
    fn several_are_let_through_together_or_not_at_all() {
        let (cell, rate) = (Cell::default(), Rate::of_thousandths(3000));
        assert!(cell.admits(rate, 2, 0));
        assert!(!cell.admits(rate, 2, 0), "one is left");
        assert!(cell.admits(rate, 1, 0));
        let (cell, rate) = (Cell::default(), Rate::of_thousandths(100));
        assert!(cell.admits(rate, 2, 0), "a bucket of one gives all that it has");
        assert!(!cell.admits(rate, 1, 9_999_999_999));
        assert!(cell.admits(rate, 1, 10_000_000_000));
    }

    #[test]
    fn clocks_at_their_ends_do_no_harm() {
        let (cell, rate) = (Cell::default(), Rate::of_thousandths(1));
        assert!(cell.admits(rate, 1, u64::MAX));
        assert!(cell.admits(rate, u64::MAX, u64::MAX - 5));
        assert!(!cell.admits(rate, u64::MAX, 0), "the clock was set back");
        assert!(cell.admits(rate, 1, 1000 * SECOND_NS));
    }

    /// A clock's steps in milliseconds, and how often a request comes after each.
    fn walk(steps: std::ops::Range<i64>) -> impl Strategy<Value = (u64, Vec<(i64, u64)>)> {
        let rate = prop_oneof![1_u64..2000, 1000_u64..20_000];
        (rate, prop::collection::vec((steps, 0_u64..12), 1..120))
    }

    proptest! {
        /// Over any window of time no more is let through than the rate gives in it, and what a full bucket holds.
        #[test]
        fn no_window_admits_more((thousandths, steps) in walk(0..3000)) {
            let (cell, rate) = (Cell::default(), Rate::of_thousandths(thousandths));
            let mut now_ms = 0_u64;
            let mut let_through = Vec::new();
            for (step, tries) in steps {
                now_ms += step.unsigned_abs();
                let_through.push((now_ms, admitted(&cell, rate, tries, now_ms * 1_000_000)));
            }
            for (first, (begin, _)) in let_through.iter().enumerate() {
                let mut sum = 0;
                for (end, count) in &let_through[first..] {
                    sum += count;
                    let most = rate.burst * 1_000_000 + (end - begin) * thousandths;
                    prop_assert!(sum * 1_000_000 <= most, "{sum} in {} ms", end - begin);
                }
            }
        }

        /// However the clock is set forward and back, what is let through is covered by the time that went forward; and
        /// within two seconds and the time of one request the bucket lets through again.
        #[test]
        fn a_clock_that_is_set_neither_opens_nor_shuts((thousandths, steps) in walk(-5000..5000)) {
            let (cell, rate) = (Cell::default(), Rate::of_thousandths(thousandths));
            let mut now_ms = 100_000_000_i64;
            let (mut forward_ms, mut sum) = (0, 0);
            for (step, tries) in steps {
                now_ms += step;
                forward_ms += step.max(0).unsigned_abs();
                sum += admitted(&cell, rate, tries, now_ms.unsigned_abs() * 1_000_000);
                prop_assert!(sum * 1_000_000 <= rate.burst * 1_000_000 + forward_ms * thousandths);
            }
            let now_ns = now_ms.unsigned_abs() * 1_000_000;
            cell.admits(rate, 1, now_ns);
            prop_assert!(cell.admits(rate, 1, now_ns + 2 * MAX_SKEW_NS + rate.interval_ns));
        }
    }

    /// Threads that race for one bucket share what it holds.
    #[test]
    fn threads_share_a_bucket() {
        let (cell, rate) = (Cell::default(), Rate::of_thousandths(5_000_000));
        let sum: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| admitted(&cell, rate, 2000, 0))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(sum, 5000);
    }
}
