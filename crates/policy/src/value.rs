//! What condition values are: numbers, dates, networks, base64.

use std::net::IpAddr;

/// Nanoseconds in a second; also the resolution of [`Decimal`].
const NANO: i128 = 1_000_000_000;

/// A decimal number with up to 15 digits before and 9 after the point, exact.
///
/// Dates are seconds since 1970 in the same type, so one comparison serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal {
    nanos: i128,
}

impl Decimal {
    /// Reads `[+-]digits[.digits]`. No exponents, no `NaN`, no `0x10`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let nanos = i128::from(digits_of(whole, 1..=15)?) * NANO + fraction_of(fraction)?;
        Some(Self { nanos: if negative { -nanos } else { nanos } })
    }

    /// Reads seconds since 1970, or a date and time of the W3C profile of ISO 8601: `2026`, `2026-11`, `2026-11-24`,
    /// `2026-11-24T16:00Z`, `2026-11-24T16:00:05.25+01:00`. Four digits are a year. Times before 1970 are refused.
    pub(crate) fn parse_date(text: &str) -> Option<Self> {
        let only_digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let parsed = match only_digits && text.len() != 4 {
            true => Self::parse(text)?,
            false => parse_iso_8601(text)?,
        };
        (parsed.nanos >= 0).then_some(parsed)
    }
}

fn digits_of(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let ok = lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    ok.then(|| text.parse().ok())?
}

/// The nanoseconds of the digits after a decimal point.
fn fraction_of(digits: &str) -> Option<i128> {
    let value = i128::from(digits_of(digits, 1..=9)?);
    let missing = u32::try_from(9 - digits.len()).ok()?;
    Some(value * 10_i128.pow(missing))
}

fn parse_iso_8601(text: &str) -> Option<Decimal> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = digits_of(parts.next()?, 4..=4)?;
    let month = parts.next().map_or(Some(1), |it| digits_of(it, 2..=2))?;
    let day = parts.next();
    // A time needs a whole date before it.
    if parts.next().is_some() || (time.is_some() && day.is_none()) {
        return None;
    }
    let day = day.map_or(Some(1), |it| digits_of(it, 2..=2))?;
    let (seconds, nanos) = time.map_or(Some((0, 0)), parse_time)?;
    let total = days_since_1970(year, month, day)? * 86_400 + seconds;
    Some(Decimal { nanos: i128::from(total) * NANO + nanos })
}

/// Reads `hh:mm[:ss[.s]]` with its zone; gives seconds from midnight UTC and nanoseconds.
fn parse_time(text: &str) -> Option<(i64, i128)> {
    let zone_at = text.find(['Z', '+', '-'])?;
    let (clock, zone) = text.split_at_checked(zone_at)?;
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) if clock.len() == 8 => (clock, fraction_of(fraction)?),
        Some(_) => return None,
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let hour = bounded(parts.next()?, 23)?;
    let minute = bounded(parts.next()?, 59)?;
    let second = parts.next().map_or(Some(0), |it| bounded(it, 59))?;
    parts.next().is_none().then_some(())?;
    Some((hour * 3600 + minute * 60 + second - parse_zone(zone)?, nanos))
}

/// Reads `Z` or `+hh:mm`; gives the offset in seconds.
fn parse_zone(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, offset) = match zone.strip_prefix('-') {
        Some(offset) => (-1, offset),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = offset.split_once(':')?;
    Some(sign * (bounded(hours, 23)? * 3600 + bounded(minutes, 59)? * 60))
}

fn bounded(two_digits: &str, most: i64) -> Option<i64> {
    digits_of(two_digits, 2..=2).filter(|value| *value <= most)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; `None` when there is no such day.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day last, so that month lengths follow one line: (153 m + 2) / 5.
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + day_of_year - 719_468)
}

/// An IP network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// Reads `address` or `address/prefix`. An IPv4 address in IPv6 form (`::ffff:10.0.0.1`) is the IPv4 address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().ok()?;
        let most = width(written);
        let prefix_bits = match prefix {
            None => most,
            Some(digits) => u32::try_from(digits_of(digits, 1..=3)?).ok().filter(|bits| *bits <= most)?,
        };
        match written.to_canonical() {
            address if width(address) == most => Some(Self { address, prefix_bits }),
            // Shorter than 96 bits, it covers more than the embedded IPv4 addresses: it stays what it is.
            address => Some(match prefix_bits.checked_sub(96) {
                Some(prefix_bits) => Self { address, prefix_bits },
                None => Self { address: written, prefix_bits },
            }),
        }
    }

    /// Whether `address` is in the network.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let host_bits = width(self.address) - self.prefix_bits;
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same_prefix(network.to_bits().into(), address.to_bits().into(), host_bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_prefix(network.to_bits(), address.to_bits(), host_bits)
            }
            _ => false,
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn same_prefix(one: u128, other: u128, host_bits: u32) -> bool {
    // A shift by the whole width leaves no bits to differ.
    (one ^ other).checked_shr(host_bits).unwrap_or(0) == 0
}

/// Whether `text` is canonical base64 (RFC 4648 section 4): padded, without stray bits.
///
/// Each byte string has one canonical form, so equal texts are equal bytes and nothing needs decoding.
pub(crate) fn is_canonical_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let Some(values) = digits.bytes().map(base64_value).collect::<Option<Vec<u8>>>() else { return false };
    let last = values.last().copied().unwrap_or(0);
    let stray_bits = match padding {
        0 => 0,
        1 => last & 0b11,
        2 => last & 0b1111,
        _ => return false,
    };
    text.len().is_multiple_of(4) && stray_bits == 0
}

fn base64_value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, NANO, Network, is_canonical_base64};

    #[test]
    fn decimals() {
        let parse = |text: &str| Decimal::parse(text).map(|it| it.nanos);
        assert_eq!(parse("7"), Some(7 * NANO));
        assert_eq!(parse("007.50"), Some(7 * NANO + NANO / 2));
        assert_eq!(parse("-0.000000001"), Some(-1));
        assert_eq!(parse("+999999999999999"), Some(999_999_999_999_999 * NANO));
        let refused =
            "|NaN|inf|0x10|1e3|1e309|1.|.5|1.2.3|--1|+-1| 1|1 |1_000|\u{661}|1000000000000000|0.1234567890";
        for text in refused.split('|') {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates() {
        let check = |text: &str, seconds: i128| {
            let found = Decimal::parse_date(text).map(|it| it.nanos);
            assert_eq!(found, Some(seconds * NANO), "{text}");
        };
        check("1970", 0);
        check("1970-01-01T00:00Z", 0);
        check("1970-01-01T01:00:00+01:00", 0);
        check("1969-12-31T23:00:00-01:00", 0);
        check("2000-02-29", 951_782_400);
        check("2026-11-24T16:08:52Z", 1_795_536_532);
        check("2100-03-01", 4_107_542_400);
        check("1795536532", 1_795_536_532);
        check("0", 0);
        assert_eq!(Decimal::parse_date("1970-01-01T00:00:00.5Z").map(|it| it.nanos), Some(NANO / 2));
        let refused = "|1969|1969-12-31T23:59:59Z|-1|2026-13|2026-00-01|2026-02-29|2100-02-29|2026-1-1|2026-11-24T16|\
                       2026-11-24T16:00|2026-11T16:00Z|2026-11-24T24:00Z|2026-11-24T16:60Z|2026-11-24T16:00:60Z|\
                       2026-11-24T16:00.5Z|2026-11-24T16:00:00Zx|2026-11-24T16:00+0100|2026-11-24t16:00Z|\
                       20261124T160000Z|2026-11-24T16:00:00:00Z|1970-01-01T00:00+01:00|1e9|tomorrow";
        for text in refused.split('|') {
            assert_eq!(Decimal::parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn networks() {
        let check = |network: &str, address: &str, expected: bool| {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{network} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.1.2.3/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("10.0.0.1", "10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
        check("0.0.0.0/0", "255.255.255.255", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/33", "2001:db8:7fff::1", true);
        check("2001:db8::/33", "2001:db8:8000::1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("::ffff:10.0.0.0/104", "10.9.9.9", true);
        check("::ffff:10.0.0.0/104", "11.9.9.9", false);
        check("::ffff:10.0.0.1", "10.0.0.1", true);
        for text in
            "|10.0.0.0/33|10.0.0.0/|10.0.0.0/+8|10.0.0.0/-1|010.0.0.1|10.0.0|::/129|fe80::1%eth0|10.0.0.0/8/8"
                .split('|')
        {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn base64() {
        for text in ["", "AA==", "AAA=", "AAAA", "+/+/", "QmluYXJ5"] {
            assert!(is_canonical_base64(text), "{text}");
        }
        for text in
            ["A", "AA", "AB==", "AAB=", "AA=", "A===", "====", "AA==AAAA", "-_-_", "AA AA", "\u{e9}AA"]
        {
            assert!(!is_canonical_base64(text), "{text}");
        }
    }
}
