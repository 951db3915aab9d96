//! Records of passwords.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::join;

/// The password of a user, by the user's unique id.
pub(crate) fn profile(account: &str, user: &str) -> Vec<u8> {
    join(&["login", account, user])
}

/// What passwords of an account must be like.
pub(crate) fn policy(account: &str) -> Vec<u8> {
    join(&["password-policy", account])
}

/// A user's password, hashed.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct ProfileRecord {
    #[n(0)]
    pub(crate) created_ms: i64,
    /// Salt of this and of the previous passwords.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) salt: Vec<u8>,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) hash: Vec<u8>,
    /// Parameters of the hash: memory in KiB, passes, lanes.
    #[n(3)]
    pub(crate) memory_kib: u32,
    #[n(4)]
    pub(crate) passes: u32,
    #[n(5)]
    pub(crate) lanes: u32,
    #[n(6)]
    pub(crate) changed_ms: i64,
    /// Whether it must be changed at the next sign-in.
    #[n(7)]
    pub(crate) reset_required: bool,
    /// Hashes of the passwords before, the newest first.
    #[n(8)]
    pub(crate) previous: Vec<ByteVec>,
}

/// What passwords of an account must be like.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PasswordPolicyRecord {
    #[n(0)]
    pub(crate) minimum_length: u32,
    #[n(1)]
    pub(crate) symbols: bool,
    #[n(2)]
    pub(crate) numbers: bool,
    #[n(3)]
    pub(crate) uppercase: bool,
    #[n(4)]
    pub(crate) lowercase: bool,
    #[n(5)]
    pub(crate) users_may_change: bool,
    #[n(6)]
    pub(crate) max_age_days: Option<u32>,
    /// How many passwords before must not come again.
    #[n(7)]
    pub(crate) reuse_prevention: Option<u32>,
    #[n(8)]
    pub(crate) hard_expiry: Option<bool>,
}
