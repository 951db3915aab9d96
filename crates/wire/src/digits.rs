//! Decimal digits of dates and times. `format!` with padding costs as much as an HMAC.

/// The last two decimal digits of a number in ASCII.
pub fn two(number: u16) -> [u8; 2] {
    [number / 10, number].map(|digit| b'0' + u8::try_from(digit % 10).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_the_last_two() {
        for (number, expected) in
            [(0, b"00"), (7, b"07"), (10, b"10"), (99, b"99"), (2026, b"26"), (u16::MAX, b"35")]
        {
            assert_eq!(&two(number), expected, "{number}");
        }
    }
}
