//! The time of signing: `20150830T123600Z` (ISO 8601 basic format, UTC, whole seconds) and, in a `Date` header, also
//! `Sun, 30 Aug 2015 12:36:00 GMT` (RFC 9110, section 5.6.7).
//!
//! Strict: nothing but these two forms, no leap second, no offset, no year outside 0000..=9999.

use std::fmt;
use std::ops::Deref;

use jiff::civil::DateTime;
use jiff::{SignedDuration, fmt::rfc2822};

use crate::digits;

/// 1970-01-01T00:00:00.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// The first and the last second that the format can write.
const FIRST: DateTime = DateTime::constant(0, 1, 1, 0, 0, 0, 0);
const LAST: DateTime = DateTime::constant(9999, 12, 31, 23, 59, 59, 0);

/// A second of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timestamp(DateTime);

impl Timestamp {
    /// Reads the ISO 8601 basic format.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
        let [y1, y2, y3, y4, mo1, mo2, d1, d2, b'T', h1, h2, mi1, mi2, s1, s2, b'Z'] = bytes else {
            return None;
        };
        let century = i16::from(two_digits(*y1, *y2)?);
        let year = century * 100 + i16::from(two_digits(*y3, *y4)?);
        DateTime::new(
            year,
            two_digits(*mo1, *mo2)?,
            two_digits(*d1, *d2)?,
            two_digits(*h1, *h2)?,
            two_digits(*mi1, *mi2)?,
            two_digits(*s1, *s2)?,
            0,
        )
        .ok()
        .map(Self)
    }

    /// Reads the value of a `Date` header: either form.
    pub(super) fn parse_date_header(text: &str) -> Option<Self> {
        if let Some(basic) = Self::parse(text) {
            return Some(basic);
        }
        let instant = rfc2822::parse(text).ok()?.timestamp();
        // The parser allows more than RFC 9110 does; what it read must print as what was sent.
        let printed = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&instant).ok()?;
        (printed == text).then(|| Self::from_unix_seconds(instant.as_second()))
    }

    /// The second that is `seconds` after the epoch, or the nearest that can be written.
    pub(super) fn from_unix_seconds(seconds: i64) -> Self {
        Self(EPOCH.saturating_add(SignedDuration::from_secs(seconds)).clamp(FIRST, LAST))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) fn unix_seconds(self) -> i64 {
        self.0.duration_since(EPOCH).as_secs()
    }

    /// `20150830T123600Z`.
    pub(super) fn basic(self) -> Basic {
        let at = self.0;
        let year = at.year().unsigned_abs();
        let [month, day, hour, minute, second] = [at.month(), at.day(), at.hour(), at.minute(), at.second()]
            .map(|part| u16::from(part.unsigned_abs()));
        let [[y1, y2], [y3, y4], [mo1, mo2], [d1, d2]] =
            [year / 100, year % 100, month, day].map(digits::two);
        let [[h1, h2], [mi1, mi2], [s1, s2]] = [hour, minute, second].map(digits::two);
        Basic([y1, y2, y3, y4, mo1, mo2, d1, d2, b'T', h1, h2, mi1, mi2, s1, s2, b'Z'])
    }
}

/// A [`Timestamp`] in the ISO 8601 basic format.
pub(super) struct Basic([u8; 16]);

impl Deref for Basic {
    type Target = str;

    fn deref(&self) -> &str {
        // Digits and letters are text.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Two ASCII digits as a number.
fn two_digits(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0'));
    i8::try_from(digit(tens)? * 10 + digit(ones)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_basic_format() {
        for (text, seconds) in [
            ("20150830T123600Z", 1_440_938_160),
            ("19700101T000000Z", 0),
            ("20240229T235959Z", 1_709_251_199),
            ("00000101T000000Z", -62_167_219_200),
            ("99991231T235959Z", 253_402_300_799),
        ] {
            let read = Timestamp::parse(text).unwrap();
            assert_eq!(read.unix_seconds(), seconds, "{text}");
            assert_eq!(Timestamp::from_unix_seconds(seconds), read, "{text}");
            assert_eq!(&*read.basic(), text);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "20150830T123660Z",
            "20150830T126000Z",
            "20150830T240000Z",
            "20150230T123600Z",
            "20230229T123600Z",
            "20151330T123600Z",
            "20150800T123600Z",
            "20150830T123600",
            "20150830T123600z",
            "20150830t123600Z",
            "20150830T123600+",
            "20150830T123600+0000",
            "2015-08-30T12:36:00Z",
            "20150830T123600ZZ",
            " 20150830T12360Z",
            "+0150830T123600Z",
            "2015083\u{661}T12360Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_header_has_two_forms() {
        let expected = Timestamp::parse("20150830T123600Z");
        for text in ["20150830T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT"] {
            assert_eq!(Timestamp::parse_date_header(text), expected, "{text}");
        }
        for text in [
            "Mon, 30 Aug 2015 12:36:00 GMT",
            "30 Aug 2015 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00 +0000",
            "Sun, 30 Aug 2015 14:36:00 +0200",
            "Sun, 30 Aug 15 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:60 GMT",
            "Sunday, 30-Aug-15 12:36:00 GMT",
            "sun, 30 aug 2015 12:36:00 gmt",
            "1440938160",
        ] {
            assert_eq!(Timestamp::parse_date_header(text), None, "{text}");
        }
    }

    #[test]
    fn time_saturates() {
        for seconds in [i64::MIN, i64::MAX] {
            let nearest = Timestamp::from_unix_seconds(seconds);
            assert_eq!(nearest.unix_seconds().signum(), seconds.signum());
            assert_eq!(Timestamp::parse(&nearest.basic()), Some(nearest));
        }
    }
}
