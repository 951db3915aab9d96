//! Shapes of multi-Region keys, and of what a key was last used for.

use claviger_wire::{arn, choice, text};

text! {
    /// Name of a Region.
    pub struct RegionName: 1..=32, "^([a-z]+-){2,3}\\d+$", arn::is_region
}

choice! {
    /// What a key is to its set.
    pub enum MultiRegionKeyType {
        /// The one whose shared properties count.
        Primary = "PRIMARY",
        /// One that has them from it.
        Replica = "REPLICA",
    }
}

choice! {
    /// Operations whose last success is kept for each key: those that use key material.
    pub enum TrackedOperation {
        /// Of one key.
        Decrypt = "Decrypt",
        /// Of one key.
        DeriveSharedSecret = "DeriveSharedSecret",
        /// Of one key.
        Encrypt = "Encrypt",
        /// Of one key.
        GenerateDataKey = "GenerateDataKey",
        /// Of one key.
        GenerateDataKeyPair = "GenerateDataKeyPair",
        /// Of one key.
        GenerateDataKeyPairWithoutPlaintext = "GenerateDataKeyPairWithoutPlaintext",
        /// Of one key.
        GenerateDataKeyWithoutPlaintext = "GenerateDataKeyWithoutPlaintext",
        /// Of one key.
        GenerateMac = "GenerateMac",
        /// Of two keys: it is the last use of both.
        ReEncrypt = "ReEncrypt",
        /// Of one key.
        Sign = "Sign",
        /// Of one key.
        Verify = "Verify",
        /// Of one key.
        VerifyMac = "VerifyMac",
        /// Of one key.
        Encapsulate = "Encapsulate",
        /// Of one key.
        Decapsulate = "Decapsulate",
    }
}
