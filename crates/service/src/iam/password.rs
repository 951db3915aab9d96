//! Passwords: what they must be like, and their hashes (Argon2id, RFC 9106). Pure.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use claviger_wire::fault::Code;
use minicbor::bytes::ByteVec;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::record::login::{PasswordPolicyRecord, ProfileRecord};

/// Length of a salt in bytes (RFC 9106, 3.1: 16 recommended).
pub(crate) const SALT_LEN: usize = 16;
/// Length of a hash in bytes.
const HASH_LEN: usize = 32;
/// Memory in KiB, passes and lanes of new hashes: OWASP's "Password Storage Cheat Sheet", first choice.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Most passwords remembered (`passwordReusePreventionType`).
const MAX_PREVIOUS: usize = 24;
/// The symbols that a policy may ask for ("Setting an account password policy for IAM users").
const SYMBOLS: &str = "!@#$%^&*()_+-=[]{}|'";

/// Keys the hashes: a key of the host that the HSM derives for the domain, so that a stolen store is not enough to guess
/// passwords.
pub(crate) struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    fn hash(&self, password: &str, salt: &[u8], (memory, passes, lanes): (u32, u32, u32)) -> Result<Vec<u8>> {
        let failed = |error: argon2::Error| Error::internal(format!("cannot hash a password: {error}"));
        let parameters = Params::new(memory, passes, lanes, Some(HASH_LEN)).map_err(failed)?;
        let hasher = Argon2::new_with_secret(&*self.0, Algorithm::Argon2id, Version::V0x13, parameters);
        let mut hash = vec![0; HASH_LEN];
        hasher.map_err(failed)?.hash_password_into(password.as_bytes(), salt, &mut hash).map_err(failed)?;
        Ok(hash)
    }

    /// Whether the password is the one of the record. The one place that decides it.
    ///
    /// # Errors
    /// Where the record's parameters cannot be.
    pub(crate) fn verify(&self, record: &ProfileRecord, password: &str) -> Result<bool> {
        let hash = self.hash(password, &record.salt, (record.memory_kib, record.passes, record.lanes))?;
        Ok(verify_slices_are_equal(&hash, &record.hash).is_ok())
    }

    /// The record of a new user's password.
    pub(crate) fn first(&self, password: &str, salt: [u8; SALT_LEN], now_ms: i64) -> Result<ProfileRecord> {
        let (memory_kib, passes, lanes) = PARAMETERS;
        Ok(ProfileRecord {
            created_ms: now_ms,
            hash: self.hash(password, &salt, PARAMETERS)?,
            salt: salt.to_vec(),
            memory_kib,
            passes,
            lanes,
            changed_ms: now_ms,
            reset_required: false,
            previous: Vec::new(),
        })
    }

    /// The record with another password.
    ///
    /// # Errors
    /// `PasswordPolicyViolation` where it is one of the last `remembered`.
    pub(crate) fn changed(
        &self,
        record: &ProfileRecord,
        password: &str,
        remembered: usize,
        now_ms: i64,
    ) -> Result<ProfileRecord> {
        let parameters = (record.memory_kib, record.passes, record.lanes);
        let hash = self.hash(password, &record.salt, parameters)?;
        let mut previous = vec![ByteVec::from(record.hash.clone())];
        previous.extend(record.previous.iter().take(MAX_PREVIOUS - 1).cloned());
        if previous.iter().take(remembered).any(|known| verify_slices_are_equal(known, &hash).is_ok()) {
            return Err(violation("it was used before"));
        }
        Ok(ProfileRecord { hash, previous, changed_ms: now_ms, ..record.clone() })
    }
}

fn violation(cause: &str) -> Error {
    let text = "Password does not conform to the account password policy.";
    Error::new(Code::PasswordPolicyViolation, text).because(cause.to_owned())
}

/// Checks a password against the account's policy; without one, against AWS's default: eight characters of three kinds,
/// and not the name of the account.
///
/// # Errors
/// `PasswordPolicyViolation`.
pub(crate) fn check(policy: Option<&PasswordPolicyRecord>, account: &str, password: &str) -> Result<()> {
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let (upper, lower) = (has(|c| c.is_ascii_uppercase()), has(|c| c.is_ascii_lowercase()));
    let number = has(|c| c.is_ascii_digit());
    let length = password.chars().count();
    let Some(policy) = policy else {
        let other = has(|c| !c.is_ascii_alphanumeric());
        let kinds = [upper, lower, number, other].into_iter().filter(|has| *has).count();
        return match length >= 8 && kinds >= 3 && password != account {
            true => Ok(()),
            false => Err(violation("the default policy")),
        };
    };
    let symbol = has(|c| SYMBOLS.contains(c));
    let fits = length >= usize::try_from(policy.minimum_length).unwrap_or(usize::MAX)
        && (symbol || !policy.symbols)
        && (number || !policy.numbers)
        && (upper || !policy.uppercase)
        && (lower || !policy.lowercase);
    if fits { Ok(()) } else { Err(violation("the account's policy")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper() -> Pepper {
        Pepper::new(Zeroizing::new([9; 32]))
    }

    /// Attack A21: passwords that look alike are not the same.
    #[test]
    fn a21_one_password_is_right_and_no_other() {
        let record = pepper().first("Pässword-1", [1; SALT_LEN], 5).unwrap();
        assert!(pepper().verify(&record, "Pässword-1").unwrap());
        for wrong in
            ["Pa\u{308}ssword-1", "Pässword-1 ", "pässword-1", "Pässword-1\0", "Pässword-", "", "Ｐässword-1"]
        {
            assert!(!pepper().verify(&record, wrong).unwrap(), "{wrong}");
        }
        assert!(!Pepper::new(Zeroizing::new([8; 32])).verify(&record, "Pässword-1").unwrap());
        let mut moved = record.clone();
        moved.salt[0] ^= 1;
        assert!(!pepper().verify(&moved, "Pässword-1").unwrap());
        moved.memory_kib = 0;
        assert!(pepper().verify(&moved, "Pässword-1").is_err());
        assert!(!record.hash.windows(4).any(|window| window == b"word"));
    }

    #[test]
    fn passwords_that_are_remembered_do_not_come_again() {
        let pepper = pepper();
        let first = pepper.first("one", [1; SALT_LEN], 1).unwrap();
        let second = pepper.changed(&first, "two", 2, 2).unwrap();
        assert_eq!((second.changed_ms, second.created_ms), (2, 1));
        for (password, remembered, refused) in
            [("two", 1, true), ("one", 1, false), ("one", 2, true), ("three", 24, false), ("two", 0, false)]
        {
            let changed = pepper.changed(&second, password, remembered, 3);
            assert_eq!(changed.is_err(), refused, "{password} {remembered}");
        }
    }

    #[test]
    fn passwords_are_what_the_policy_asks_for() {
        let check_default = |password: &str, fits: bool| {
            assert_eq!(check(None, "111122223333", password).is_ok(), fits, "{password}");
        };
        check_default("Abcdefg1", true);
        check_default("abcdef1!", true);
        check_default("Abcdef1", false);
        check_default("abcdefgh", false);
        check_default("ABCDEFG1", false);
        check_default("111122223333", false);
        let policy = |change: fn(&mut PasswordPolicyRecord)| {
            let mut policy = PasswordPolicyRecord {
                minimum_length: 6,
                symbols: false,
                numbers: false,
                uppercase: false,
                lowercase: false,
                users_may_change: false,
                max_age_days: None,
                reuse_prevention: None,
                hard_expiry: None,
            };
            change(&mut policy);
            policy
        };
        for (policy, good, bad) in [
            (policy(|_| ()), "abcdef", "abcde"),
            (policy(|it| it.minimum_length = 10), "abcdefghij", "abcdefghi"),
            (policy(|it| it.symbols = true), "abcde!", "abcdeé"),
            (policy(|it| it.numbers = true), "abcde1", "abcdef"),
            (policy(|it| it.uppercase = true), "abcdeF", "abcdef"),
            (policy(|it| it.lowercase = true), "ABCDEf", "ABCDEF"),
        ] {
            assert!(check(Some(&policy), "1", good).is_ok(), "{good}");
            assert!(check(Some(&policy), "1", bad).is_err(), "{bad}");
        }
    }
}
