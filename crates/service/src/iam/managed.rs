//! Managed policies.

use std::sync::Arc;

use claviger_policy::{Document, Kind};
use claviger_store::{Precondition, Record, Revision, Write};

use crate::decided::Fingerprint;
use crate::error::{Error, Result};
use crate::iam::{document, identity};
use crate::moment::Moment;
use crate::record::{
    self,
    iam::{PolicyRecord, VersionRecord},
};

/// A version of a managed policy.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) text: String,
    pub(crate) created: Moment,
}

/// A managed policy, the version in force compiled.
#[derive(Debug, Clone)]
pub(crate) struct ManagedPolicy {
    pub(crate) account: Arc<str>,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) created: Moment,
    pub(crate) updated: Moment,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    /// Versions by rising number.
    pub(crate) versions: Vec<Version>,
    /// Number of the version in force.
    pub(crate) default: u32,
    /// Number of the next version.
    pub(crate) next: u32,
    pub(crate) attachments: u32,
    pub(crate) boundaries: u32,
    pub(crate) document: Arc<Document>,
    /// Tells the text in force from others.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) revision: Revision,
}

impl ManagedPolicy {
    /// Reads a record.
    pub(crate) fn decode(record: &Record) -> Result<Self> {
        let read: PolicyRecord = record::decode(record)?;
        if record.name != record::iam::policy(&read.account, &identity::key(&read.name)) {
            let name = String::from_utf8_lossy(&record.name);
            return Err(Error::internal(format!("record `{name}` holds another policy, {}", read.id)));
        }
        let in_force = read.versions.iter().find(|version| version.number == read.default);
        let in_force =
            in_force.ok_or_else(|| Error::internal(format!("policy {} has no version", read.id)))?;
        Ok(Self {
            document: Arc::new(document::stored(&in_force.text, Kind::Identity)?),
            fingerprint: Fingerprint::of(&in_force.text),
            versions: read.versions.into_iter().map(Version::decode).collect(),
            account: read.account.into(),
            name: read.name,
            path: read.path,
            id: read.id,
            created: Moment(read.created_ms),
            updated: Moment(read.updated_ms),
            description: read.description,
            tags: read.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            default: read.default,
            next: read.next,
            attachments: read.attachments,
            boundaries: read.boundaries,
            revision: record.revision,
        })
    }

    fn encode(&self) -> Result<Vec<u8>> {
        record::encode(&PolicyRecord {
            account: self.account.to_string(),
            name: self.name.clone(),
            path: self.path.clone(),
            id: self.id.clone(),
            created_ms: self.created.0,
            updated_ms: self.updated.0,
            description: self.description.clone(),
            tags: identity::tag_records(&self.tags),
            versions: self.versions.iter().map(Version::encode).collect(),
            default: self.default,
            next: self.next,
            attachments: self.attachments,
            boundaries: self.boundaries,
        })
    }

    /// Its name as it is stored.
    pub(crate) fn key(&self) -> String {
        identity::key(&self.name)
    }

    /// Name of its record.
    pub(crate) fn record_name(&self) -> Vec<u8> {
        record::iam::policy(&self.account, &self.key())
    }

    /// Its ARN for a caller in a Region.
    pub(crate) fn arn(&self, region: &str) -> String {
        identity::arn(region, &self.account, "policy", &self.path, &self.name)
    }

    /// The write that keeps it as it is now.
    pub(crate) fn put(&self) -> Result<Write> {
        Ok(Write::Put { name: self.record_name(), value: self.encode()? })
    }

    /// That it is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { name: self.record_name(), revision: self.revision }
    }

    /// The version of an id such as `v1`.
    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id() == id)
    }
}

impl Version {
    fn decode(read: VersionRecord) -> Self {
        Self { number: read.number, text: read.text, created: Moment(read.created_ms) }
    }

    fn encode(&self) -> VersionRecord {
        VersionRecord { number: self.number, text: self.text.clone(), created_ms: self.created.0 }
    }

    /// Such as `v1`.
    pub(crate) fn id(&self) -> String {
        format!("v{}", self.number)
    }
}
