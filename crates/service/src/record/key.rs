//! The record of a KMS key, and what it is made of.

use minicbor::{Decode, Encode};

use super::iam;

/// A KMS key.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct KeyRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) region: String,
    #[n(2)]
    pub(crate) id: String,
    #[n(3)]
    pub(crate) spec: String,
    #[n(4)]
    pub(crate) usage: String,
    #[n(5)]
    pub(crate) origin: String,
    #[n(6)]
    pub(crate) state: String,
    #[n(7)]
    pub(crate) created_ms: i64,
    #[n(8)]
    pub(crate) description: String,
    #[n(9)]
    pub(crate) deletion_ms: Option<i64>,
    #[n(10)]
    pub(crate) tags: Vec<TagRecord>,
    #[n(11)]
    pub(crate) policy: String,
    /// Materials that encrypt or have encrypted, the current one last.
    #[n(12)]
    pub(crate) materials: Vec<MaterialRecord>,
    /// Public key of an asymmetric key: DER of a SubjectPublicKeyInfo.
    #[cbor(n(13), with = "minicbor::bytes")]
    pub(crate) public: Option<Vec<u8>>,
    /// Imported material that waits for its rotation.
    #[n(14)]
    pub(crate) pending: Option<MaterialRecord>,
    /// Automatic rotation, while it is on.
    #[n(15)]
    pub(crate) rotation: Option<RotationRecord>,
    /// Rotations on demand so far.
    #[n(16)]
    pub(crate) rotations_on_demand: Option<u16>,
    /// The Regions of a multi-Region key.
    #[n(17)]
    pub(crate) regions: Option<RegionsRecord>,
    /// Days that a primary key waits once its last replica is gone.
    #[n(18)]
    pub(crate) pending_window_days: Option<u16>,
    /// The service whose AWS managed key it is.
    #[n(40)]
    pub(crate) managed_by: Option<String>,
    /// Unique ids of the users and roles that the policy names.
    #[n(30)]
    pub(crate) principals: Option<Vec<iam::BoundRecord>>,
}

/// Automatic rotation of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RotationRecord {
    #[n(0)]
    pub(crate) period_days: u16,
    /// When the next rotation is due, milliseconds since the epoch.
    #[n(1)]
    pub(crate) next_ms: i64,
}

/// Where a multi-Region key is. Every member of the set holds the same.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RegionsRecord {
    /// Region of the primary key.
    #[n(0)]
    pub(crate) primary: String,
    /// Regions of the replicas, in the order they were made.
    #[n(1)]
    pub(crate) replicas: Vec<String>,
}

/// A tag of a key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TagRecord {
    #[n(0)]
    pub(crate) key: String,
    #[n(1)]
    pub(crate) value: String,
}

/// One generation of a key's material, wrapped.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct MaterialRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) token: Vec<u8>,
    #[n(2)]
    pub(crate) created_ms: i64,
    /// How it became current, if by a rotation.
    #[n(3)]
    pub(crate) rotated: Option<RotatedRecord>,
    /// What was said of it when it was imported.
    #[n(4)]
    pub(crate) imported: Option<ImportedRecord>,
}

/// A rotation that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RotatedRecord {
    #[n(0)]
    pub(crate) at_ms: i64,
    /// Whether somebody asked for it.
    #[n(1)]
    pub(crate) on_demand: bool,
}

/// An import. The material itself is gone when the token beside it is empty: deleted or expired.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ImportedRecord {
    #[n(0)]
    pub(crate) description: Option<String>,
    /// When it expires; never when absent.
    #[n(1)]
    pub(crate) expires_ms: Option<i64>,
}
