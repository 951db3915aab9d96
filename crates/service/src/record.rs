//! Records of the store: their names, and their bytes.
//!
//! A record is one byte of version and the CBOR of a structure whose fields have numbers. A reader takes every version
//! up to its own; a newer one is refused, never misread. A field that is added raises the version, so that an older
//! program cannot drop it by writing the record back.

use claviger_store::{MAX_NAME_LEN, Record};
use minicbor::{Decode, Encode};
use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::moment::Moment;

pub(crate) mod federation;
pub(crate) mod grant;
pub(crate) mod iam;
mod key;
pub(crate) mod login;
pub(crate) mod mfa;

pub(crate) use key::{
    ImportedRecord, KeyRecord, MaterialRecord, RegionsRecord, RotatedRecord, RotationRecord, TagRecord,
};

/// Format of the store as a whole: the set of names and what stands under them.
pub const FORMAT: u32 = 1;

/// Version of the records below. 2 added what keys have that are not symmetric, imported, rotated or multi-Region; 3 the
/// principals of IAM and what binds key policies to them; 4 grants and AWS managed keys.
const VERSION: u8 = 4;

/// Writes a record.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    minicbor::encode(value, &mut bytes)
        .map_err(|error| Error::internal(format!("cannot encode: {error}")))?;
    Ok(bytes)
}

/// Reads a record.
pub(crate) fn decode<'b, T: Decode<'b, ()>>(record: &'b Record) -> Result<T> {
    let corrupt =
        |why: &str| Error::internal(format!("record `{}` {why}", String::from_utf8_lossy(&record.name)));
    match record.value.split_first() {
        Some((1..=VERSION, body)) => {
            let mut decoder = minicbor::Decoder::new(body);
            let value = decoder.decode().map_err(|error| corrupt(&format!("cannot be read: {error}")))?;
            if decoder.position() == body.len() { Ok(value) } else { Err(corrupt("has trailing bytes")) }
        }
        Some((version, _)) => Err(corrupt(&format!("has version {version}, this program reads {VERSION}"))),
        None => Err(corrupt("is empty")),
    }
}

/// What there is of a kind, told apart by the first part of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Key,
    Alias,
    /// That an alias points at a key.
    AliasOf,
    Material,
    Credential,
    Account,
    Due,
    /// A user, group or role.
    Identity,
    ManagedPolicy,
    Principal,
    Grant,
    /// An identity provider.
    Provider,
    Other,
}

/// The kind of a record's name.
pub(crate) fn kind(name: &[u8]) -> Kind {
    match name.split(|byte| *byte == b'/').next() {
        Some(b"key") => Kind::Key,
        Some(b"alias") => Kind::Alias,
        Some(b"alias-of") => Kind::AliasOf,
        Some(b"material") => Kind::Material,
        Some(b"credential") => Kind::Credential,
        Some(b"account") => Kind::Account,
        Some(b"due") => Kind::Due,
        Some(b"user" | b"group" | b"role") => Kind::Identity,
        Some(b"policy") => Kind::ManagedPolicy,
        Some(b"principal") => Kind::Principal,
        Some(b"grant") => Kind::Grant,
        Some(b"oidc") => Kind::Provider,
        _ => Kind::Other,
    }
}

/// A name to look something up by. Those that requests look up fit in place.
pub(crate) type Name = SmallVec<[u8; 96]>;

/// Joins parts with `/`. Only the last part may itself hold one, so different parts make different names.
fn join(parts: &[&str]) -> Vec<u8> {
    joined(parts).into_vec()
}

fn joined(parts: &[&str]) -> Name {
    let mut name = Name::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(part.as_bytes());
    }
    name.truncate(MAX_NAME_LEN);
    name
}

/// The installation itself.
pub(crate) fn installation() -> Vec<u8> {
    join(&["installation"])
}

/// A KMS key.
pub(crate) fn key(account: &str, region: &str, id: &str) -> Vec<u8> {
    key_name(account, region, id).into_vec()
}

/// The same, to look it up.
pub(crate) fn key_name(account: &str, region: &str, id: &str) -> Name {
    joined(&["key", account, region, id])
}

/// How many keys an account has in a Region.
pub(crate) fn key_count(account: &str, region: &str) -> Vec<u8> {
    join(&["key-count", account, region])
}

/// All keys of an account in a Region.
pub(crate) fn keys(account: &str, region: &str) -> Vec<u8> {
    join(&["key", account, region, ""])
}

/// An alias, by its name without `alias/`.
pub(crate) fn alias(account: &str, region: &str, name: &str) -> Vec<u8> {
    join(&["alias", account, region, name])
}

/// All aliases of an account in a Region.
pub(crate) fn aliases(account: &str, region: &str) -> Vec<u8> {
    join(&["alias", account, region, ""])
}

/// That an alias points at a key; an empty record.
pub(crate) fn alias_of(account: &str, region: &str, id: &str, name: &str) -> Vec<u8> {
    join(&["alias-of", account, region, id, name])
}

/// All aliases that point at a key.
pub(crate) fn aliases_of(account: &str, region: &str, id: &str) -> Vec<u8> {
    join(&["alias-of", account, region, id, ""])
}

/// All aliases that point at the key of a record's name.
pub(crate) fn aliases_of_key(key: &[u8]) -> Vec<u8> {
    let place = key.strip_prefix(b"key").unwrap_or_default();
    [b"alias-of".as_slice(), place, b"/"].concat()
}

/// The name of the record of the key that an alias points at, from [`alias_of`].
pub(crate) fn key_of_alias(name: &[u8]) -> Vec<u8> {
    let parts = name.splitn(5, |byte| *byte == b'/').skip(1).take(3);
    parts.fold(b"key".to_vec(), |key, part| [&key, part].join(&b'/'))
}

/// Which key of a Region a material belongs to.
pub(crate) fn material(region: &str, id: &str) -> Vec<u8> {
    material_name(region, id).into_vec()
}

/// The same, to look it up.
pub(crate) fn material_name(region: &str, id: &str) -> Name {
    joined(&["material", region, id])
}

/// A credential.
pub(crate) fn credential(access_key_id: &str) -> Vec<u8> {
    credential_name(access_key_id).into_vec()
}

/// The same, to look it up.
pub(crate) fn credential_name(access_key_id: &str) -> Name {
    joined(&["credential", access_key_id])
}

/// That an operator deleted an access key of a root user.
pub(crate) fn deleted_root_key(access_key_id: &str) -> Vec<u8> {
    join(&["deleted-root-key", access_key_id])
}

/// All credentials.
pub(crate) fn credentials() -> Vec<u8> {
    join(&["credential", ""])
}

/// An account.
pub(crate) fn account(id: &str) -> Vec<u8> {
    account_name(id).into_vec()
}

/// The same, to look it up.
pub(crate) fn account_name(id: &str) -> Name {
    joined(&["account", id])
}

/// All accounts.
pub(crate) fn accounts() -> Vec<u8> {
    join(&["account", ""])
}

/// What the service does by itself when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Deletes a key. The first version knew only this one, so its entries name no task.
    Deletion,
    /// Drops imported key material.
    Expiry,
    /// Makes a new generation of key material.
    Rotation,
    /// Removes what one commit could not of a key that is deleted; the record lists it ([`SweepRecord`]).
    Sweep,
    /// Removes the grants of a key that is deleted.
    Grants,
    /// Has the HSM make a new domain key. Of no KMS key.
    DomainKey,
}

impl Task {
    const ALL: [Self; 6] =
        [Self::Deletion, Self::Expiry, Self::Rotation, Self::Sweep, Self::Grants, Self::DomainKey];

    /// The last part of the name of its entries.
    const fn part(self) -> Option<&'static str> {
        match self {
            Self::Deletion => None,
            Self::Expiry => Some("expiry"),
            Self::Rotation => Some("rotation"),
            Self::Sweep => Some("sweep"),
            Self::Grants => Some("grants"),
            Self::DomainKey => Some("domain-key"),
        }
    }

    /// The task of this last part.
    pub(crate) fn named(part: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.part() == part)
    }
}

/// That something is to be done with a key at a moment. Sorted by the moment.
pub(crate) fn due(moment_ms: i64, account: &str, region: &str, id: &str, task: Task) -> Vec<u8> {
    let moment = format!("{:016x}", moment_ms.max(0));
    let parts = ["due", &moment, account, region, id].into_iter().chain(task.part());
    join(&parts.collect::<Vec<_>>())
}

/// That a new domain key is to be made at a moment.
pub(crate) fn due_domain_key(moment_ms: i64) -> Vec<u8> {
    due(moment_ms, "-", "-", "-", Task::DomainKey)
}

/// Everything that is to be done.
pub(crate) fn all_due() -> Vec<u8> {
    join(&["due", ""])
}

/// The HSM's domain key.
pub(crate) fn domain_key() -> Vec<u8> {
    join(&["domain-key"])
}

/// The last use of a key.
pub(crate) fn usage(account: &str, region: &str, id: &str) -> Vec<u8> {
    join(&["usage", account, region, id])
}

/// Since when the uses of keys are tracked.
pub(crate) fn usage_since() -> Vec<u8> {
    join(&["usage-since"])
}

/// How far the ledger has come.
pub(crate) fn ledger_end() -> Vec<u8> {
    join(&["ledger-end"])
}

/// An event that was committed with its effect and may not be in the ledger yet.
pub(crate) fn outbox(event_id: &str) -> Vec<u8> {
    join(&["outbox", event_id])
}

/// All such events.
pub(crate) fn all_outbox() -> Vec<u8> {
    join(&["outbox", ""])
}

/// The part of a name after a prefix, as text.
pub(crate) fn rest<'a>(name: &'a [u8], prefix: &[u8]) -> &'a str {
    name.strip_prefix(prefix).and_then(|rest| std::str::from_utf8(rest).ok()).unwrap_or_default()
}

/// The installation's own record.
#[derive(Debug, Encode, Decode)]
pub(crate) struct InstallationRecord {
    /// [`FORMAT`] when it was made.
    #[n(0)]
    pub(crate) format: u32,
    /// Domain of the HSM whose keys the store holds.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) domain: [u8; 16],
    /// When it was made, milliseconds since the epoch.
    #[n(2)]
    pub(crate) created_ms: i64,
}

/// The HSM's newest domain key, as far as it has been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DomainKeyRecord {
    /// Its number.
    #[n(0)]
    pub(crate) generation: u32,
    /// When it was made, or first heard of.
    #[n(1)]
    pub(crate) since_ms: i64,
    /// When the next is due.
    #[n(2)]
    pub(crate) next_ms: Option<i64>,
}

/// How many keys there are.
#[derive(Debug, Encode, Decode)]
pub(crate) struct KeyCountRecord {
    #[n(0)]
    pub(crate) count: u64,
}

/// An alias.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct AliasRecord {
    /// Key id it points at, in the same account and Region.
    #[n(0)]
    pub(crate) target: String,
    #[n(1)]
    pub(crate) created_ms: i64,
    #[n(2)]
    pub(crate) updated_ms: i64,
}

/// Which key a material belongs to.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct MaterialOwner {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) key_id: String,
}

/// What is left to remove of a key that is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SweepRecord {
    /// Names of records.
    #[n(0)]
    pub(crate) names: Vec<minicbor::bytes::ByteVec>,
}

/// A long-term credential.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct CredentialRecord {
    #[n(0)]
    pub(crate) account: String,
    /// Whose it is: `root` for the account's root user, else the unique id of a user.
    #[n(1)]
    pub(crate) principal: String,
    /// The secret access key, sealed by the HSM.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) token: Vec<u8>,
    #[n(3)]
    pub(crate) created_ms: i64,
    /// Whether it is switched off; it is on when absent.
    #[n(4)]
    pub(crate) inactive: Option<bool>,
}

impl CredentialRecord {
    /// That of a root user.
    pub(crate) fn of_root(account: &str, token: Vec<u8>, now: Moment) -> Self {
        let (account, principal) = (account.to_owned(), "root".to_owned());
        Self { account, principal, token, created_ms: now.0, inactive: None }
    }

    /// Whether it may be used.
    pub(crate) fn is_active(&self) -> bool {
        self.inactive != Some(true)
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AccountRecord {
    /// Twelve digits.
    #[n(0)]
    pub(crate) id: String,
    /// What the operator calls it.
    #[n(1)]
    pub(crate) name: Option<String>,
    #[n(2)]
    pub(crate) created_ms: i64,
    /// When it was closed, while it is.
    #[n(3)]
    pub(crate) closed_ms: Option<i64>,
    /// Access key ids of its root user.
    #[n(4)]
    pub(crate) root_keys: Vec<String>,
}

impl AccountRecord {
    /// One that no operator has given a name.
    pub(crate) fn unnamed(id: &str, now: Moment) -> Self {
        Self { id: id.to_owned(), name: None, created_ms: now.0, closed_ms: None, root_keys: Vec::new() }
    }
}

/// An access key of a root user that was deleted: a configuration that still names it must not bring it back.
#[derive(Debug, Encode, Decode)]
pub(crate) struct DeletedRootKeyRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) deleted_ms: i64,
}

/// The last use of a key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct UsageRecord {
    /// Name of the operation.
    #[n(0)]
    pub(crate) operation: String,
    #[n(1)]
    pub(crate) at_ms: i64,
    /// Id of its event in the ledger.
    #[n(2)]
    pub(crate) event_id: String,
    #[n(3)]
    pub(crate) request_id: String,
}

/// How far the ledger had come.
#[derive(Debug, Encode, Decode)]
pub(crate) struct LedgerEndRecord {
    /// Sequence number of its last durable event.
    #[n(0)]
    pub(crate) last: u64,
}

/// Since when the uses of keys are tracked.
#[derive(Debug, Encode, Decode)]
pub(crate) struct UsageSinceRecord {
    #[n(0)]
    pub(crate) since_ms: i64,
}

/// An event that was committed with its effect.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct OutboxRecord {
    /// Sequence number that the ledger would have given next when the event was written: where to look for it.
    #[n(0)]
    pub(crate) ledger_from: u64,
    /// The event.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) event: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Vec<u8>) -> Record {
        Record { name: b"alias/x".to_vec(), value, revision: 1 }
    }

    #[test]
    fn a_newer_record_is_refused() {
        let alias = AliasRecord { target: "t".to_owned(), created_ms: 1, updated_ms: 2 };
        let mut bytes = encode(&alias).unwrap();
        assert_eq!(decode::<AliasRecord>(&record(bytes.clone())).unwrap().target, "t");
        bytes[0] = VERSION + 1;
        let error = decode::<AliasRecord>(&record(bytes)).unwrap_err();
        assert!(error.cause.unwrap().contains("has version 5"));
    }

    /// A key as version 1 wrote it.
    #[derive(Encode)]
    struct FirstKeyRecord {
        #[n(0)]
        account: String,
        #[n(10)]
        tags: Vec<TagRecord>,
        #[n(12)]
        materials: Vec<FirstMaterialRecord>,
        #[n(1)]
        region: String,
        #[n(2)]
        id: String,
        #[n(3)]
        spec: String,
        #[n(4)]
        usage: String,
        #[n(5)]
        origin: String,
        #[n(6)]
        state: String,
        #[n(7)]
        created_ms: i64,
        #[n(8)]
        description: String,
        #[n(9)]
        deletion_ms: Option<i64>,
        #[n(11)]
        policy: String,
    }

    #[derive(Encode)]
    struct FirstMaterialRecord {
        #[cbor(n(0), with = "minicbor::bytes")]
        id: [u8; 32],
        #[cbor(n(1), with = "minicbor::bytes")]
        token: Vec<u8>,
        #[n(2)]
        created_ms: i64,
    }

    #[test]
    fn a_key_of_the_first_version_is_read() {
        let text = |text: &str| text.to_owned();
        let key = FirstKeyRecord {
            account: text("111122223333"),
            tags: vec![TagRecord { key: text("k"), value: text("v") }],
            materials: vec![FirstMaterialRecord { id: [7; 32], token: vec![1, 2], created_ms: 3 }],
            region: text("us-east-1"),
            id: text("id"),
            spec: text("SYMMETRIC_DEFAULT"),
            usage: text("ENCRYPT_DECRYPT"),
            origin: text("AWS_KMS"),
            state: text("Enabled"),
            created_ms: 4,
            description: text("d"),
            deletion_ms: None,
            policy: text("{}"),
        };
        let mut bytes = vec![1];
        minicbor::encode(&key, &mut bytes).unwrap();
        let read: KeyRecord = decode(&record(bytes)).unwrap();
        assert_eq!((read.policy.as_str(), read.materials[0].created_ms), ("{}", 3));
        assert_eq!((read.public, read.rotation, read.regions), (None, None, None));
        assert!(read.materials[0].imported.is_none() && read.materials[0].rotated.is_none());
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let bytes = encode(&MaterialOwner { account: "a".to_owned(), key_id: "k".to_owned() }).unwrap();
        for length in 0..bytes.len() {
            assert!(decode::<MaterialOwner>(&record(bytes[..length].to_vec())).is_err());
        }
        assert!(decode::<MaterialOwner>(&record([bytes, vec![0]].concat())).is_err());
    }

    #[test]
    fn names_sort_by_moment_and_keep_apart() {
        let at = |moment, task| due(moment, "a", "r", "k", task);
        assert!(at(999, Task::Sweep) < at(1_000, Task::Deletion));
        let mut names: Vec<_> = Task::ALL.map(|task| at(1, task)).to_vec();
        names.dedup();
        assert_eq!(names.len(), Task::ALL.len());
        assert_ne!(alias("a", "r", "x/y"), alias("a", "r", "x"));
        assert_eq!(rest(&alias("a", "r", "x/y"), &aliases("a", "r")), "x/y");
        assert_eq!(kind(&alias_of("a", "r", "k", "n")), Kind::AliasOf);
        assert_eq!(key_of_alias(&alias_of("a", "r", "k", "x/y")), key("a", "r", "k"));
        assert_eq!(aliases_of_key(&key("a", "r", "k")), aliases_of("a", "r", "k"));
        assert_eq!(kind(&alias("a", "r", "n")), Kind::Alias);
    }
}
