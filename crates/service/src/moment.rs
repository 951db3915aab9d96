//! Time and randomness, passed in.

use std::time::Duration;

use claviger_wire::digits;
use jiff::tz::Offset;

use crate::BoxFuture;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, as the wall clock of the host tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub i64);

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Moment {
    /// Whole seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since the epoch with milliseconds as a fraction, as AWS JSON writes timestamps.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds stay exact in a double until the year 287396"
    )]
    pub fn epoch(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The beginning of its second: the trail's times have no fraction.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(self.seconds().saturating_mul(1000))
    }

    /// So many days later.
    pub fn plus_days(self, days: u16) -> Self {
        Self(self.0.saturating_add(i64::from(days) * DAY_MS))
    }

    /// Such as `2026-01-02T03:04:05Z`.
    pub fn iso(self) -> String {
        let second = jiff::Timestamp::from_second(self.seconds()).unwrap_or_default();
        let at = Offset::UTC.to_datetime(second);
        // Until the year 9999 a year has four digits.
        let Ok(year @ 0..=9999) = u16::try_from(at.year()) else { return second.to_string() };
        let [[y1, y2], [y3, y4]] = [year / 100, year % 100].map(digits::two);
        let parts = [at.month(), at.day(), at.hour(), at.minute(), at.second()];
        let [[mo1, mo2], [d1, d2], [h1, h2], [mi1, mi2], [s1, s2]] =
            parts.map(|part| digits::two(part.unsigned_abs().into()));
        let text =
            [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2, b'Z'];
        // Digits and signs are text.
        String::from_utf8(text.to_vec()).unwrap_or_default()
    }

    /// As CloudTrail writes dates inside response elements, such as `Aug 10, 2022, 10:38:27 PM`.
    pub fn trail_date(self) -> String {
        self.format("%b %-d, %Y, %-I:%M:%S %p")
    }

    fn format(self, form: &str) -> String {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        moment.strftime(form).to_string()
    }
}

/// A wall clock that can be waited on. The shell's follows the machine's, the tests' is moved by hand.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Moment;

    /// Resolves when [`Clock::now`] is at or past the moment, also when the clock is set forward meanwhile. May resolve
    /// when the clock is set back, so that whoever waits can look again.
    fn at(&self, moment: Moment) -> BoxFuture<'_, ()>;
}

/// A clock that tells how much time has passed, and that nobody sets.
pub trait Stopwatch: Send + Sync {
    /// Time since a moment that is the same for every call.
    fn elapsed(&self) -> Duration;
}

/// The generator failed; nothing may be made of what it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEntropy;

/// Randomness for ids. Keys and nonces are made inside the HSM, never from this.
pub trait Entropy: Send + Sync {
    /// Fills the bytes.
    ///
    /// # Errors
    /// [`NoEntropy`].
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy>;

    /// A random UUID (RFC 9562, version 4).
    ///
    /// # Errors
    /// [`NoEntropy`].
    fn uuid(&self) -> Result<String, NoEntropy> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// Two of them, for the price of one call to the generator.
    ///
    /// # Errors
    /// [`NoEntropy`].
    fn two_uuids(&self) -> Result<(String, String), NoEntropy> {
        let mut bytes = [[0; 16]; 2];
        self.fill(bytes.as_flattened_mut())?;
        let [first, second] =
            bytes.map(|bytes| uuid::Builder::from_random_bytes(bytes).into_uuid().to_string());
        Ok((first, second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_aws_prints_them() {
        let moment = Moment(1_660_171_107_581);
        assert_eq!(moment.iso(), "2022-08-10T22:38:27Z");
        assert_eq!(moment.trail_date(), "Aug 10, 2022, 10:38:27 PM");
        assert_eq!(moment.seconds(), 1_660_171_107);
        assert!((moment.epoch() - 1_660_171_107.581).abs() < 1e-6);
    }

    #[test]
    fn moments_print_as_the_library_prints_them() {
        for second in [-62_167_219_201, -62_167_219_200, -1, 0, 951_868_799, 1_709_251_199, 253_402_200_000] {
            for second in second..second + 3 {
                let expected = jiff::Timestamp::from_second(second).unwrap().to_string();
                assert_eq!(Moment(second * 1000).iso(), expected);
            }
        }
    }

    #[test]
    fn extreme_moments_do_not_panic() {
        for moment in [Moment(i64::MIN), Moment(i64::MAX), Moment(-1)] {
            let _ = (moment.iso(), moment.trail_date(), moment.plus_days(u16::MAX));
        }
    }
}
