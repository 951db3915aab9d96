//! A KMS key as the operations see it, and the rules of its state and usage.

use std::ops::Deref;
use std::sync::Arc;

use claviger_hsm_proto::{Binding, MaterialId};
use claviger_store::{Record, Revision};
use claviger_wire::arn;
use claviger_wire::fault::Code;

use crate::call::Authorized;
use crate::error::{Error, Result};
use crate::iam::identity::Bindings;
use crate::kms::key_policy::KeyPolicy;
use crate::kms::shapes::{KeySpec, KeyState, KeyUsage, Origin};
use crate::kms::spec::{self, Algorithm};
use crate::moment::Moment;
use crate::record::{
    self, ImportedRecord, KeyRecord, MaterialRecord, RegionsRecord, RotatedRecord, RotationRecord, TagRecord,
};

/// A key, decoded, with its policy compiled. There are very many of them in memory: what few keys have is boxed.
#[derive(Debug, Clone)]
pub struct Key {
    /// Account that owns it.
    pub account: Arc<str>,
    /// Region it is in.
    pub region: Arc<str>,
    /// ARN. It ends with the [key id](Self::id).
    pub arn: Arc<str>,
    /// Kind of material.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Its state.
    pub state: KeyState,
    /// When it was made.
    pub created: Moment,
    /// What its owner says of it.
    pub description: String,
    /// When it will be deleted, if it is to be.
    pub deletion: Option<Moment>,
    /// Tags, in the order they were added.
    pub tags: Vec<(String, String)>,
    /// Its policy.
    pub policy: Arc<KeyPolicy>,
    /// Generations of its material that encrypt or have encrypted, the current one last.
    pub materials: Vec<Material>,
    /// Public key of an asymmetric key: DER of a SubjectPublicKeyInfo (RFC 5280).
    pub public: Option<Vec<u8>>,
    /// Imported material that waits for its rotation.
    pub pending: Option<Box<Material>>,
    /// Automatic rotation, while it is on.
    pub rotation: Option<Rotation>,
    /// Rotations on demand so far.
    pub rotations_on_demand: u16,
    /// The Regions of a multi-Region key.
    pub regions: Option<Box<Regions>>,
    /// Days that a primary key waits once its last replica is gone; while it waits for that.
    pub pending_window_days: Option<u16>,
    /// Names of the aliases that point at it, `alias/` included, where it was looked up to be used; one more than there
    /// may be where there are more.
    pub(crate) aliases: Vec<String>,
    /// The service whose key it is, such as `s3`, if it is an AWS managed key.
    pub managed_by: Option<Box<str>>,
    /// The commit that wrote it last.
    pub(crate) revision: Revision,
}

/// One generation of key material, wrapped.
#[derive(Clone)]
pub struct Material {
    /// Names it.
    pub id: MaterialId,
    /// The material, as the HSM wrapped it. Empty when it is gone: imported, then deleted or expired.
    pub(crate) token: Vec<u8>,
    /// When it was made, or first imported.
    pub created: Moment,
    /// How it became current, if by a rotation.
    pub rotated: Option<Rotated>,
    /// What was said of it when it was imported.
    pub imported: Option<Box<Imported>>,
}

/// Automatic rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Days between rotations.
    pub period_days: u16,
    /// When the next is due.
    pub next: Moment,
}

/// A rotation that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// When.
    pub at: Moment,
    /// Whether somebody asked for it.
    pub on_demand: bool,
}

/// What was said of imported material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `KeyMaterialDescription`.
    pub description: Option<String>,
    /// When it expires; never when absent.
    pub expires: Option<Moment>,
}

/// Where a multi-Region key is. Every member of the set holds the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// Region of the primary key.
    pub primary: String,
    /// Regions of the replicas, in the order they were made.
    pub replicas: Vec<String>,
}

impl Material {
    /// Material of a key that does not rotate or was just made.
    pub(crate) fn new(id: MaterialId, token: Vec<u8>, created: Moment) -> Self {
        Self { id, token, created, rotated: None, imported: None }
    }

    /// Whether the material itself is there.
    pub fn is_present(&self) -> bool {
        !self.token.is_empty()
    }

    fn decode(read: MaterialRecord) -> Self {
        Self {
            id: MaterialId(read.id),
            token: read.token,
            created: Moment(read.created_ms),
            rotated: read.rotated.map(|r| Rotated { at: Moment(r.at_ms), on_demand: r.on_demand }),
            imported: read.imported.map(|imported| {
                let expires = imported.expires_ms.map(Moment);
                Box::new(Imported { description: imported.description, expires })
            }),
        }
    }

    fn encode(&self) -> MaterialRecord {
        MaterialRecord {
            id: self.id.0,
            token: self.token.clone(),
            created_ms: self.created.0,
            rotated: self.rotated.map(|r| RotatedRecord { at_ms: r.at.0, on_demand: r.on_demand }),
            imported: self.imported.as_ref().map(|imported| ImportedRecord {
                description: imported.description.clone(),
                expires_ms: imported.expires.map(|moment| moment.0),
            }),
        }
    }
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

/// Collects without room for more: what is read has room for several, which most keys never need.
fn compact<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = items.collect();
    all.shrink_to_fit();
    all
}

impl Key {
    /// Reads a key's record. `policies` compiles its policy, or finds it already compiled.
    pub(crate) fn decode(
        record: &Record,
        policies: impl Fn(&str, Bindings) -> Result<Arc<KeyPolicy>>,
    ) -> Result<Self> {
        let read: KeyRecord = record::decode(record)?;
        let unknown = |what: &str| Error::internal(format!("key {} has an unknown {what}", read.id));
        // A row that was copied over another must not stand for it (invariant I7).
        if record.name != record::key(&read.account, &read.region, &read.id) {
            let name = String::from_utf8_lossy(&record.name);
            return Err(Error::internal(format!("record `{name}` holds another key, {}", read.id)));
        }
        Ok(Self {
            spec: KeySpec::from_str_exact(&read.spec).ok_or_else(|| unknown("spec"))?,
            usage: KeyUsage::from_str_exact(&read.usage).ok_or_else(|| unknown("usage"))?,
            origin: Origin::from_str_exact(&read.origin).ok_or_else(|| unknown("origin"))?,
            state: KeyState::from_str_exact(&read.state).ok_or_else(|| unknown("state"))?,
            policy: policies(&read.policy, read.principals.unwrap_or_default())?,
            arn: key_arn(&read.account, &read.region, &read.id).into(),
            account: read.account.into(),
            region: read.region.into(),
            created: Moment(read.created_ms),
            description: read.description,
            deletion: read.deletion_ms.map(Moment),
            tags: compact(read.tags.into_iter().map(|tag| (tag.key, tag.value))),
            materials: compact(read.materials.into_iter().map(Material::decode)),
            public: read.public,
            pending: read.pending.map(Material::decode).map(Box::new),
            rotation: read.rotation.map(|r| Rotation { period_days: r.period_days, next: Moment(r.next_ms) }),
            rotations_on_demand: read.rotations_on_demand.unwrap_or_default(),
            regions: read
                .regions
                .map(|read| Box::new(Regions { primary: read.primary, replicas: read.replicas })),
            pending_window_days: read.pending_window_days,
            aliases: Vec::new(),
            managed_by: read.managed_by.map(Into::into),
            revision: record.revision,
        })
    }

    /// Key id.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// Writes the key's record.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        record::encode(&KeyRecord {
            account: self.account.to_string(),
            region: self.region.to_string(),
            id: self.id().to_owned(),
            spec: self.spec.as_str().to_owned(),
            usage: self.usage.as_str().to_owned(),
            origin: self.origin.as_str().to_owned(),
            state: self.state.as_str().to_owned(),
            created_ms: self.created.0,
            description: self.description.clone(),
            deletion_ms: self.deletion.map(|moment| moment.0),
            tags: self
                .tags
                .iter()
                .map(|(key, value)| TagRecord { key: key.clone(), value: value.clone() })
                .collect(),
            policy: self.policy.text().to_owned(),
            materials: self.materials.iter().map(Material::encode).collect(),
            public: self.public.clone(),
            pending: self.pending.as_deref().map(Material::encode),
            rotation: self.rotation.map(|r| RotationRecord { period_days: r.period_days, next_ms: r.next.0 }),
            rotations_on_demand: Some(self.rotations_on_demand),
            regions: self.regions.as_ref().map(|regions| RegionsRecord {
                primary: regions.primary.clone(),
                replicas: regions.replicas.clone(),
            }),
            pending_window_days: self.pending_window_days,
            managed_by: self.managed_by.as_deref().map(str::to_owned),
            principals: Some(self.policy.bound.clone()).filter(|bound| !bound.is_empty()),
        })
    }

    /// Name of its record.
    pub(crate) fn name(&self) -> Vec<u8> {
        record::key(&self.account, &self.region, self.id())
    }

    /// What its wrapped material is bound to.
    pub(crate) fn binding(&self) -> Binding<'_> {
        Binding {
            account: &self.account,
            region: &self.region,
            key_id: self.id(),
            spec: self.spec.as_str(),
            usage: self.usage.as_str(),
        }
    }

    /// The material that encrypts.
    pub(crate) fn current(&self) -> Result<&Material> {
        self.materials.last().ok_or_else(|| Error::internal(format!("key {} has no material", self.id())))
    }

    /// The material of this id, if it is one of the key's.
    pub(crate) fn material(&self, id: MaterialId) -> Option<&Material> {
        self.materials.iter().find(|material| material.id == id)
    }
}

/// ARN of a key.
pub(crate) fn key_arn(account: &str, region: &str, id: &str) -> String {
    format!("arn:{}:kms:{region}:{account}:key/{id}", arn::partition(region))
}

/// A key that the caller may use, that is in a state to be used, and whose kind fits. What the HSM is asked to do with
/// a key takes this.
#[derive(Debug)]
pub struct UsableKey(Authorized<Arc<Key>>);

impl Deref for UsableKey {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.0
    }
}

impl Authorized<Arc<Key>> {
    /// Checks usage and state for an operation that uses key material, in the order in which AWS was seen to check them:
    /// a disabled key that is for something else is refused for its usage.
    ///
    /// # Errors
    /// `DisabledException`, `KMSInvalidStateException`, `InvalidKeyUsageException`.
    pub fn usable_for(self, operation: &str, usage: KeyUsage) -> Result<UsableKey> {
        if self.usage != usage {
            let (arn, actual) = (&self.arn, self.usage.as_str());
            let message = format!("{arn} key usage is {actual} which is not valid for {operation}.");
            return Err(Error::new(Code::InvalidKeyUsage, message));
        }
        self.allows(operation)?;
        Ok(UsableKey(self))
    }
}

impl UsableKey {
    /// Checks that the algorithm is one of the key's spec.
    ///
    /// # Errors
    /// `InvalidKeyUsageException`.
    pub fn with_algorithm(self, algorithm: impl Into<Algorithm>) -> Result<Self> {
        let algorithm = algorithm.into();
        if spec::algorithms(self.spec, self.usage).contains(&algorithm) {
            return Ok(self);
        }
        let (algorithm, spec) = (algorithm.as_str(), self.spec.as_str());
        let message = format!("Algorithm {algorithm} is incompatible with key spec {spec}.");
        Err(Error::new(Code::InvalidKeyUsage, message))
    }

    /// Checks that the key can encrypt data keys: only a symmetric one does.
    ///
    /// # Errors
    /// `InvalidKeyUsageException`.
    pub fn for_data_keys(self) -> Result<Self> {
        if spec::is_asymmetric(self.spec) {
            let message = "You cannot generate a data key with an asymmetric CMK";
            return Err(Error::new(Code::InvalidKeyUsage, message));
        }
        Ok(self)
    }
}
