//! Records of devices for multi-factor authentication.

use minicbor::{Decode, Encode};

use super::{TagRecord, join};

/// A virtual device, by its path and name in lower case.
pub(crate) fn device(account: &str, key: &str) -> Vec<u8> {
    join(&["mfa", account, key])
}

/// All virtual devices of an account.
pub(crate) fn devices(account: &str) -> Vec<u8> {
    join(&["mfa", account, ""])
}

/// That a device is a user's, by the user's unique id; an empty record.
pub(crate) fn device_of(account: &str, user: &str, key: &str) -> Vec<u8> {
    join(&["mfa-of", account, user, key])
}

/// All devices of a user.
pub(crate) fn devices_of(account: &str, user: &str) -> Vec<u8> {
    join(&["mfa-of", account, user, ""])
}

/// A virtual device.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct DeviceRecord {
    #[n(0)]
    pub(crate) account: String,
    /// Its path, slashes included, and its name, as they were spelled.
    #[n(1)]
    pub(crate) name: String,
    /// What its codes are made of, sealed for this record.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) seed: Vec<u8>,
    #[n(3)]
    pub(crate) created_ms: i64,
    #[n(4)]
    pub(crate) tags: Vec<TagRecord>,
    /// Unique id of the user whose it is, and since when.
    #[n(5)]
    pub(crate) user: Option<String>,
    #[n(6)]
    pub(crate) enabled_ms: Option<i64>,
    /// By how many time steps its clock is ahead.
    #[n(7)]
    pub(crate) drift: i64,
    /// The last time step whose code was accepted: no code of it, or of one before, is accepted again.
    #[n(8)]
    pub(crate) last_step: i64,
}
