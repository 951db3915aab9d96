//! Users, groups and roles as the operations see them, their policies compiled.

use std::sync::Arc;

use claviger_policy::{Document, Kind as DocumentKind};
use claviger_store::{Precondition, Record, Revision, Write};
use claviger_wire::arn;

use crate::cache::Cache;
use crate::decided::Fingerprint;
use crate::error::{Error, Result};
use crate::iam::document;
use crate::moment::Moment;
use crate::record::{
    self, TagRecord,
    iam::{BoundRecord, IdentityRecord, InlineRecord, RoleRecord},
};

/// A kind of identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    User,
    Group,
    Role,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 3] = [Self::User, Self::Group, Self::Role];

    /// As ARNs and names of records spell it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
        }
    }

    /// As messages begin with it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
        }
    }

    /// What unique ids begin with.
    pub(crate) const fn id_prefix(self) -> &'static str {
        match self {
            Self::User => "AIDA",
            Self::Group => "AGPA",
            Self::Role => "AROA",
        }
    }

    /// Most characters of all inline policies together, white space apart (quotas of IAM).
    pub(crate) const fn inline_limit(self) -> usize {
        match self {
            Self::User => 2_048,
            Self::Group => 5_120,
            Self::Role => 10_240,
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A policy that is part of its identity.
#[derive(Debug, Clone)]
pub(crate) struct Inline {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) document: Arc<Document>,
    /// Tells its text from others.
    pub(crate) fingerprint: Fingerprint,
}

/// What only roles have.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    /// The trust policy, bound to whom it named when it was put.
    pub(crate) trust: document::Bound,
    pub(crate) description: Option<String>,
    pub(crate) max_session_seconds: u32,
}

/// A user, group or role.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) account: Arc<str>,
    /// Its name as it was spelled.
    pub(crate) name: String,
    pub(crate) path: String,
    /// Unique id.
    pub(crate) id: String,
    pub(crate) created: Moment,
    pub(crate) tags: Vec<(String, String)>,
    /// The managed policy that bounds it, by its name in lower case.
    pub(crate) boundary: Option<String>,
    pub(crate) inline: Vec<Inline>,
    /// Attached managed policies, by their names in lower case.
    pub(crate) attached: Vec<String>,
    /// Groups of a user, by their unique ids.
    pub(crate) groups: Vec<String>,
    /// Access key ids of a user.
    pub(crate) keys: Vec<String>,
    /// There for roles and for no other.
    pub(crate) role: Option<Role>,
    pub(crate) revision: Revision,
}

/// The form of a name under which it is stored: names that differ in ASCII case only are one.
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// ARN of an entity of IAM; `path` begins and ends with `/`.
pub(crate) fn arn(region: &str, account: &str, word: &str, path: &str, name: &str) -> String {
    format!("arn:{}:iam::{account}:{word}{path}{name}", arn::partition(region))
}

impl Identity {
    /// Reads a record.
    pub(crate) fn decode(record: &Record) -> Result<Self> {
        let read: IdentityRecord = record::decode(record)?;
        let kind = Kind::of_word(&read.kind)
            .ok_or_else(|| Error::internal(format!("identity {} has an unknown kind", read.id)))?;
        // A row that was copied over another must not stand for it (invariant I7).
        if record.name != record::iam::identity(kind.word(), &read.account, &key(&read.name)) {
            let name = String::from_utf8_lossy(&record.name);
            return Err(Error::internal(format!("record `{name}` holds another identity, {}", read.id)));
        }
        let inline = read.inline.into_iter().map(|InlineRecord { name, text }| {
            let document = Arc::new(document::stored(&text, DocumentKind::Identity)?);
            let fingerprint = Fingerprint::of(&text);
            Ok(Inline { name, text, document, fingerprint })
        });
        Ok(Self {
            kind,
            inline: inline.collect::<Result<_>>()?,
            role: read.role.map(Role::decode).transpose()?,
            account: read.account.into(),
            name: read.name,
            path: read.path,
            id: read.id,
            created: Moment(read.created_ms),
            tags: read.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            boundary: read.boundary,
            attached: read.attached,
            groups: read.groups,
            keys: read.keys,
            revision: record.revision,
        })
    }

    /// Writes the record.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let inline = self.inline.iter();
        let inline = inline.map(|it| InlineRecord { name: it.name.clone(), text: it.text.clone() });
        record::encode(&IdentityRecord {
            account: self.account.to_string(),
            kind: self.kind.word().to_owned(),
            name: self.name.clone(),
            path: self.path.clone(),
            id: self.id.clone(),
            created_ms: self.created.0,
            tags: tag_records(&self.tags),
            boundary: self.boundary.clone(),
            inline: inline.collect(),
            attached: self.attached.clone(),
            groups: self.groups.clone(),
            keys: self.keys.clone(),
            role: self.role.as_ref().map(Role::encode),
        })
    }

    /// Its name as it is stored.
    pub(crate) fn key(&self) -> String {
        key(&self.name)
    }

    /// Name of its record.
    pub(crate) fn record_name(&self) -> Vec<u8> {
        record::iam::identity(self.kind.word(), &self.account, &self.key())
    }

    /// Its ARN for a caller in a Region.
    pub(crate) fn arn(&self, region: &str) -> String {
        arn(region, &self.account, self.kind.word(), &self.path, &self.name)
    }

    /// The write that keeps it as it is now.
    pub(crate) fn put(&self) -> Result<Write> {
        Ok(Write::Put { name: self.record_name(), value: self.encode()? })
    }

    /// That it is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { name: self.record_name(), revision: self.revision }
    }

    /// What only roles have.
    pub(crate) fn as_role(&self) -> Result<&Role> {
        self.role.as_ref().ok_or_else(|| Error::internal(format!("{} is no role", self.id)))
    }
}

impl Role {
    fn decode(read: RoleRecord) -> Result<Self> {
        Ok(Self {
            trust: document::Bound::stored(read.trust, read.bound)?,
            description: read.description,
            max_session_seconds: read.max_session_seconds,
        })
    }

    fn encode(&self) -> RoleRecord {
        RoleRecord {
            trust: self.trust.text.clone(),
            bound: self.trust.bound.clone(),
            description: self.description.clone(),
            max_session_seconds: self.max_session_seconds,
        }
    }
}

/// The user, group or role of a unique id in an account.
///
/// # Errors
/// A conflict where it changed between two reads.
pub(crate) async fn by_id(cache: &Cache, account: &str, id: &str) -> Result<Option<Arc<Identity>>> {
    let Some(found) = cache.principal(record::iam::principal(id)).await? else { return Ok(None) };
    let identity = cache.identity(record::iam::identity(&found.kind, &found.account, &found.key)).await?;
    // An id and what it names are written and deleted together.
    let Some(identity) = identity.filter(|it| it.id == id) else {
        return Err(claviger_store::Error::Conflict.into());
    };
    Ok(Some(identity).filter(|it| *it.account == *account))
}

/// Tags as records hold them.
pub(crate) fn tag_records(tags: &[(String, String)]) -> Vec<TagRecord> {
    tags.iter().map(|(key, value)| TagRecord { key: key.clone(), value: value.clone() }).collect()
}

/// Where a policy names users and roles: their ARNs and unique ids when it was put.
pub(crate) type Bindings = Vec<BoundRecord>;
