//! Time-based one-time passwords (RFC 6238): six digits, thirty seconds, HMAC-SHA-1, as virtual devices make them.

use totp_rs::{Builder, Totp};

use crate::moment::Moment;

/// Seconds of a time step.
const STEP_SECONDS: u64 = 30;
/// How many time steps a code may be early or late, once the device's clock is known.
const WINDOW: i64 = 1;
/// By how many time steps a device's clock may be off when it is enabled, or synchronized anew.
const SEARCH: i64 = 20;
/// Length of a seed in bytes (RFC 4226, 4: at least 16, recommended 20). AWS's are longer.
pub(crate) const SEED_LEN: usize = 40;

fn device(seed: &[u8]) -> Option<Totp> {
    let builder = Builder::new().with_digits(6).with_skew(0).with_step_duration(STEP_SECONDS);
    builder.with_secret(seed.to_vec()).build().ok()
}

fn step(now: Moment) -> i64 {
    now.seconds().div_euclid(i64::try_from(STEP_SECONDS).unwrap_or(i64::MAX))
}

/// Whether the code is that of the time step. Compared in constant time.
fn matches(device: &Totp, step: i64, code: &str) -> bool {
    let time = u64::try_from(step).ok().and_then(|step| step.checked_mul(STEP_SECONDS));
    time.is_some_and(|time| device.check(code, time).is_some())
}

/// The time step of a code, where it is one that may be accepted now: about now, by the device's clock, and after the last
/// that was accepted (RFC 6238, 5.2).
pub(crate) fn accepted(seed: &[u8], code: &str, now: Moment, drift: i64, last_step: i64) -> Option<i64> {
    let device = device(seed)?;
    let about = step(now).saturating_add(drift);
    (about - WINDOW..=about + WINDOW).find(|step| *step > last_step && matches(&device, *step, code))
}

/// Where two codes follow each other: by how many time steps the device's clock is ahead of ours, and the time step of
/// the second.
pub(crate) fn consecutive(
    seed: &[u8],
    (first, second): (&str, &str),
    now: Moment,
    last_step: i64,
) -> Option<(i64, i64)> {
    let (device, now) = (device(seed)?, step(now));
    let follows = |step: &i64| {
        *step > last_step && matches(&device, *step, first) && matches(&device, *step + 1, second)
    };
    // Nearest first: what fits by chance far away must not win.
    let offsets = (0..=SEARCH).flat_map(|offset| [now - offset, now + offset]);
    offsets.into_iter().find(follows).map(|step| (step + 1 - now, step + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of RFC 6238, appendix B.
    const SEED: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Moment(seconds * 1000);
            assert_eq!(accepted(SEED, code, now, 0, 0), Some(step(now)), "{code}");
        }
    }

    /// Attack A21: a code twice, and codes that a reader might take for the same (CVE-2025-6014, CVE-2025-6015).
    #[test]
    fn a21_each_code_is_accepted_once_and_in_one_spelling() {
        let now = Moment(1_111_111_109_000);
        let last = accepted(SEED, "081804", now, 0, 0).unwrap();
        assert_eq!(accepted(SEED, "081804", now, 0, last), None);
        for code in
            ["081 804", " 081804", "081804 ", "81804", "0081804", "０８１８０４", "", "-81804", "+81804"]
        {
            assert_eq!(accepted(SEED, code, now, 0, 0), None, "{code}");
        }
    }

    #[test]
    fn codes_are_good_about_their_time() {
        let made = Moment(1_111_111_109_000);
        let later = |seconds: i64| Moment(made.0 + seconds * 1000);
        assert!(accepted(SEED, "081804", later(30), 0, 0).is_some());
        assert!(accepted(SEED, "081804", later(-30), 0, 0).is_some());
        assert_eq!(accepted(SEED, "081804", later(61), 0, 0), None);
        assert_eq!(accepted(SEED, "081804", later(-90), 0, 0), None);
        assert!(accepted(SEED, "081804", later(-300), 10, 0).is_some(), "a device that is ten steps ahead");
    }

    #[test]
    fn two_codes_tell_the_clock_of_a_device() {
        // 081804 is the last code before 050471.
        let both = ("081804", "050471");
        let now = Moment(1_111_111_111_000);
        let (drift, last) = consecutive(SEED, both, now, 0).unwrap();
        assert_eq!((drift, last), (0, step(now)));
        assert_eq!(consecutive(SEED, both, Moment(now.0 - 300_000), 0), Some((10, last)));
        assert_eq!(consecutive(SEED, both, Moment(now.0 - 3_600_000), 0), None);
        assert_eq!(consecutive(SEED, ("050471", "081804"), now, 0), None);
        assert_eq!(consecutive(SEED, ("081804", "081804"), now, 0), None);
        assert_eq!(consecutive(SEED, both, now, last), None, "codes that were used");
    }
}
