//! Numbers, dates, addresses and bytes, each by its digits.

use std::net::IpAddr;

/// A decimal number in units of 10^-9: its digits, written one behind the other.
pub(crate) fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || part.len() > 9 {
        return None;
    }
    format!("{sign}{whole}{part:0<9}").parse().ok()
}

/// A moment in units of 10^-9 seconds since 1970.
pub(crate) fn date(text: &str) -> Option<i128> {
    let is_year = text.len() == 4;
    let moment = match text.chars().all(|c| c.is_ascii_digit() || c == '.') && !is_year {
        true => number(text),
        false => calendar(text),
    };
    moment.filter(|moment| *moment >= 0)
}

/// `2026`, `2026-11`, `2026-11-24`, `2026-11-24T16:00Z`, `2026-11-24T16:00:05.25+01:00`.
fn calendar(text: &str) -> Option<i128> {
    let (day, clock) = text.split_once('T').unwrap_or((text, "00:00Z"));
    let mut fields = day.split('-').map(|it| it.parse::<i128>().ok());
    let year = fields.next()??;
    let (month, day) = (fields.next().unwrap_or(Some(1))?, fields.next().unwrap_or(Some(1))?);
    let is_leap = |year: i128| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut days = 0;
    for passed in 1970..year {
        days += if is_leap(passed) { 366 } else { 365 };
    }
    for passed in (year..1970).rev() {
        days -= if is_leap(passed) { 366 } else { 365 };
    }
    let months = usize::try_from(month - 1).ok().filter(|passed| *passed < 12)?;
    days += lengths[..months].iter().sum::<i128>() + day - 1;
    let zone = clock.find(['Z', '+', '-'])?;
    let (clock, zone) = clock.split_at(zone);
    let minutes = |text: &str| -> Option<i128> {
        let (hours, minutes) = text.split_once(':')?;
        Some(hours.parse::<i128>().ok()? * 60 + minutes.parse::<i128>().ok()?)
    };
    let east = match zone {
        "Z" => 0,
        _ => minutes(&zone[1..])? * if zone.starts_with('-') { -1 } else { 1 },
    };
    let seconds = number(clock.get(6..).unwrap_or("0"))?;
    let whole = (days * 24 * 60 + minutes(clock.get(..5)?)? - east) * 60;
    Some(whole * 1_000_000_000 + seconds)
}

/// The bits of an address, each a character: an IPv4 address in IPv6 form is the IPv4 address.
fn bits(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
    }
}

/// Whether an address is in a network, given as `address` or `address/prefix`.
pub(crate) fn in_network(network: &str, address: &str) -> bool {
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let (base, prefix) = network.split_once('/').unwrap_or((network, ""));
    let base = bits(base.parse().unwrap());
    let prefix = if prefix.is_empty() { base.len() } else { prefix.parse().unwrap() };
    let own = bits(address);
    own.len() == base.len() && own[..prefix] == base[..prefix]
}

/// The bits of base64, as padded texts have them (RFC 4648 section 4).
pub(crate) fn bytes(text: &str) -> Option<String> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    let mut bits = String::new();
    for digit in digits.chars() {
        bits += &format!("{:06b}", DIGITS.find(digit)?);
    }
    let rest = bits.split_off(bits.len() / 8 * 8);
    let whole = text.len().is_multiple_of(4) && text.len() - digits.len() <= 2 && rest.len() < 6;
    (whole && !rest.contains('1')).then_some(bits)
}
