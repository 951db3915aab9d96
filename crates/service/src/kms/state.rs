//! What each state and kind of a key allows: AWS's tables of key states ("Key states of AWS KMS keys"), as data.
//!
//! The state is asked first, then the kind of the key. An operation that stands in no row is refused.

use claviger_wire::fault::Code;

use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::kms::shapes::{KeySpec, KeyState, Origin};
use crate::kms::spec;

/// What a state says to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// It does not stand in the way; the kind of the key may.
    Open,
    /// Refused in the state's own words (codes 1, 3, 5, 8, 11, 14 and 15 of AWS's table).
    Shut,
    /// Only a key that waits for its deletion can be taken back (code 4).
    Kept,
    /// Only imported keys get into this state, or only keys of a store, and the operation is not for them (codes 6, 7).
    Origin,
    /// As `Shut` for a key whose material is imported; the operation is not for others (codes 8 and 9).
    Import,
}

use Cell::{Import, Kept, Open, Origin as Foreign, Shut};

/// Operations that stand alike to every state, and their cells in the order of [`column`].
type Row = (&'static [&'static str], [Cell; 7]);

/// The states. `PendingReplicaDeletion` stands with `PendingDeletion`.
const fn column(state: KeyState) -> usize {
    match state {
        KeyState::Enabled => 0,
        KeyState::Disabled => 1,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => 2,
        KeyState::PendingImport => 3,
        KeyState::Unavailable => 4,
        KeyState::Creating => 5,
        KeyState::Updating => 6,
    }
}

/// Operation by state: Enabled, Disabled, PendingDeletion, PendingImport, Unavailable, Creating, Updating.
#[rustfmt::skip]
const STATES: &[Row] = &[
    (&["Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt", "ReEncryptFrom",
       "ReEncryptTo", "Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate"],
                                             [Open, Shut, Shut, Shut, Shut, Shut, Open]),
    (&["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"],
                                             [Open, Shut, Shut, Shut, Foreign, Shut, Open]),
    (&["GetPublicKey"],                      [Open, Open, Shut, Open, Shut, Shut, Open]),
    (&["DescribeKey", "GetKeyPolicy", "GetKeyLastUsage", "ListAliases", "ListGrants", "ListKeyPolicies",
       "ListResourceTags", "PutKeyPolicy", "RetireGrant", "RevokeGrant", "DeleteAlias"],
                                             [Open, Open, Open, Open, Open, Open, Open]),
    (&["CreateAlias", "UpdateAlias", "TagResource", "UntagResource", "UpdateKeyDescription"],
                                             [Open, Open, Shut, Open, Open, Open, Open]),
    (&["CreateGrant"],                       [Open, Shut, Shut, Shut, Open, Shut, Open]),
    // AWS lets these two through for a key whose store is not connected, and carries them out once it is. No record
    // could remember that yet, and to answer as if it did would be a lie.
    (&["EnableKey", "DisableKey"],           [Open, Open, Shut, Shut, Shut, Shut, Shut]),
    (&["ScheduleKeyDeletion"],               [Open, Open, Shut, Open, Open, Open, Shut]),
    (&["CancelKeyDeletion"],                 [Kept, Kept, Open, Kept, Kept, Kept, Kept]),
    (&["EnableKeyRotation", "DisableKeyRotation"],
                                             [Open, Shut, Shut, Foreign, Foreign, Shut, Open]),
    (&["RotateKeyOnDemand"],                 [Open, Shut, Shut, Shut, Foreign, Shut, Open]),
    (&["GetKeyRotationStatus"],              [Open, Open, Open, Foreign, Foreign, Open, Open]),
    (&["ListKeyRotations"],                  [Open, Open, Open, Open, Foreign, Open, Open]),
    (&["GetParametersForImport"],            [Open, Open, Import, Open, Foreign, Shut, Shut]),
    (&["ImportKeyMaterial"],                 [Open, Open, Import, Open, Foreign, Shut, Open]),
    (&["DeleteImportedKeyMaterial"],         [Open, Open, Open, Open, Shut, Shut, Shut]),
    (&["ReplicateKey"],                      [Open, Shut, Shut, Shut, Shut, Shut, Shut]),
    (&["UpdatePrimaryRegion"],               [Open, Shut, Shut, Shut, Shut, Shut, Open]),
];

/// What an operation asks of a key beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A symmetric encryption key. AWS gives no message.
    Symmetric,
    /// A key with a public part. AWS gives no message that is known.
    Asymmetric,
    /// Its material was made here.
    MadeHere,
    /// Its material is, or is to be, imported.
    Imported,
    /// It is in no custom key store.
    InNoStore,
    /// Not the replica of a multi-Region key.
    NoReplica,
    /// The primary key of a multi-Region set.
    Primary,
}

/// Operations and what they ask of the kind of a key, in the order of the checks.
const KINDS: &[(&[&str], &[Kind])] = &[
    (&["EnableKeyRotation", "DisableKeyRotation"], &[Kind::Symmetric, Kind::MadeHere, Kind::NoReplica]),
    (&["RotateKeyOnDemand"], &[Kind::Symmetric, Kind::InNoStore, Kind::NoReplica]),
    (
        &[
            "GetKeyRotationStatus",
            "ListKeyRotations",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
        ],
        &[Kind::InNoStore],
    ),
    (&["GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"], &[Kind::Imported]),
    (&["GetPublicKey"], &[Kind::Asymmetric]),
    (&["ReplicateKey", "UpdatePrimaryRegion"], &[Kind::Primary]),
];

/// The row of an operation in one of the tables.
fn row<T: Copy>(table: &[(&[&str], T)], operation: &str) -> Option<T> {
    table.iter().find(|(names, _)| names.contains(&operation)).map(|(_, row)| *row)
}

impl Key {
    /// Whether the key's state and kind allow an operation, in AWS's order of checks.
    ///
    /// # Errors
    /// `DisabledException`, `KMSInvalidStateException`, `UnsupportedOperationException`.
    pub(crate) fn allows(&self, operation: &str) -> Result<()> {
        self.allows_state(operation)?;
        let kinds = row(KINDS, operation).unwrap_or_default();
        kinds.iter().try_for_each(|kind| self.is_of(*kind))
    }

    /// Whether the key's state allows an operation, whatever its kind.
    ///
    /// # Errors
    /// As [`Key::allows`].
    pub(crate) fn allows_state(&self, operation: &str) -> Result<()> {
        let cells = row(STATES, operation)
            .ok_or_else(|| Error::internal(format!("no state of a key is known to allow {operation}")))?;
        match cells.get(column(self.state)).copied().unwrap_or(Shut) {
            Open => Ok(()),
            Kept => Err(self.state_error("is not pending deletion.")),
            Foreign => Err(self.origin_error()),
            Import if self.origin != Origin::External => Err(self.origin_error()),
            Shut | Import => Err(self.invalid_state()),
        }
    }

    fn is_of(&self, kind: Kind) -> Result<()> {
        let in_no_store = matches!(self.origin, Origin::AwsKms | Origin::External);
        let (holds, error): (bool, fn(&Self) -> Error) = match kind {
            Kind::Symmetric => (self.spec == KeySpec::SymmetricDefault, Self::kind_error),
            Kind::Asymmetric => (spec::is_asymmetric(self.spec), Self::kind_error),
            Kind::MadeHere => (self.origin == Origin::AwsKms, Self::origin_error),
            Kind::Imported => (self.origin == Origin::External, Self::origin_error),
            Kind::InNoStore => (in_no_store, Self::origin_error),
            Kind::NoReplica => (!self.is_replica(), Self::not_primary),
            Kind::Primary => (self.as_primary().is_ok(), Self::not_primary),
        };
        if holds { Ok(()) } else { Err(error(self)) }
    }

    fn kind_error(&self) -> Error {
        Error::bare(Code::UnsupportedOperation)
    }

    fn origin_error(&self) -> Error {
        let (arn, origin) = (&self.arn, self.origin.as_str());
        let message = format!("{arn} origin is {origin} which is not valid for this operation.");
        Error::new(Code::UnsupportedOperation, message)
    }

    /// The error of a key that is no primary key of a multi-Region set.
    pub(crate) fn not_primary(&self) -> Error {
        Error::new(Code::UnsupportedOperation, format!("{} is not a multi-region primary key.", self.arn))
    }

    fn state_error(&self, says: &str) -> Error {
        Error::new(Code::KmsInvalidState, format!("{} {says}", self.arn))
    }

    /// The error of a state that blocks an operation.
    pub(crate) fn invalid_state(&self) -> Error {
        self.state_error(match self.state {
            KeyState::PendingDeletion => "is pending deletion.",
            KeyState::PendingReplicaDeletion => "is pending replica deletion.",
            KeyState::PendingImport => {
                "is pending import because no key material has ever been imported or one of the imported key \
                 materials is deleted or expired."
            }
            KeyState::Creating => "is creating.",
            KeyState::Updating => "is updating.",
            KeyState::Unavailable => "is unavailable.",
            KeyState::Disabled => return Error::new(Code::Disabled, format!("{} is disabled.", self.arn)),
            KeyState::Enabled => "is enabled.",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kms::{NOT_SERVED, ops};

    /// Operations that are about no key.
    const KEYLESS: &[&str] = &[
        "ConnectCustomKeyStore",
        "CreateCustomKeyStore",
        "CreateKey",
        "DeleteCustomKeyStore",
        "DescribeCustomKeyStores",
        "DisconnectCustomKeyStore",
        "GenerateRandom",
        "ListKeys",
        "ListRetirableGrants",
        "UpdateCustomKeyStore",
    ];

    #[test]
    fn the_whole_api_stands_in_the_table_once() {
        let rows: Vec<&str> = STATES.iter().flat_map(|(names, _)| *names).copied().collect();
        let unique: BTreeSet<&str> = rows.iter().copied().collect();
        assert_eq!(rows.len(), unique.len());
        let api: BTreeSet<&str> =
            ops::ALL.iter().map(|entry| entry.name).chain(NOT_SERVED.iter().copied()).collect();
        let expected: BTreeSet<&str> = unique.iter().chain(KEYLESS).copied().collect();
        let parts: Vec<_> = expected.symmetric_difference(&api).copied().collect();
        assert_eq!(parts, ["ReEncryptFrom", "ReEncryptTo"], "the halves of ReEncrypt");
        let kinds: Vec<&str> = KINDS.iter().flat_map(|(names, _)| *names).copied().collect();
        assert!(kinds.iter().all(|name| unique.contains(name)));
    }
}
