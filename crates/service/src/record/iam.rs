//! Records of IAM: users, groups, roles, managed policies, and the indexes over them.
//!
//! Names of entities are unique without regard to ASCII case, so records are named by the lower-case form. What a name
//! meant once it may mean again for somebody else; what may never be inherited refers to the unique id instead.

use minicbor::{Decode, Encode};

use super::federation::FederationRecord;
use super::{TagRecord, join};

/// A user, group or role, by its kind (`user`, `group`, `role`) and its name in lower case.
pub(crate) fn identity(kind: &str, account: &str, key: &str) -> Vec<u8> {
    join(&[kind, account, key])
}

/// All users, groups or roles of an account.
pub(crate) fn identities(kind: &str, account: &str) -> Vec<u8> {
    join(&[kind, account, ""])
}

/// A managed policy, by its name in lower case.
pub(crate) fn policy(account: &str, key: &str) -> Vec<u8> {
    join(&["policy", account, key])
}

/// All managed policies of an account.
pub(crate) fn policies(account: &str) -> Vec<u8> {
    join(&["policy", account, ""])
}

/// Whom a unique id names.
pub(crate) fn principal(id: &str) -> Vec<u8> {
    join(&["principal", id])
}

/// That a user is in a group, by their unique ids; an empty record.
pub(crate) fn member(account: &str, group: &str, user: &str) -> Vec<u8> {
    join(&["member", account, group, user])
}

/// All members of a group.
pub(crate) fn members(account: &str, group: &str) -> Vec<u8> {
    join(&["member", account, group, ""])
}

/// That a managed policy is attached to an identity, or bounds it: `usage` is `permissions` or `boundary`. An empty
/// record.
pub(crate) fn used_by(account: &str, policy: &str, usage: &str, id: &str) -> Vec<u8> {
    join(&["used-by", account, policy, usage, id])
}

/// Everything that a managed policy is attached to, or bounds; both where `usage` is empty.
pub(crate) fn users_of(account: &str, policy: &str, usage: &str) -> Vec<u8> {
    match usage {
        "" => join(&["used-by", account, policy, ""]),
        usage => join(&["used-by", account, policy, usage, ""]),
    }
}

/// When a credential, or a role by its unique id, was last used, as far as it has been written down.
pub(crate) fn last_used(id: &str) -> Vec<u8> {
    join(&["last-used", id])
}

/// A user, group or role.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct IdentityRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) kind: String,
    /// Its name as it was spelled.
    #[n(2)]
    pub(crate) name: String,
    #[n(3)]
    pub(crate) path: String,
    #[n(4)]
    pub(crate) id: String,
    #[n(5)]
    pub(crate) created_ms: i64,
    #[n(6)]
    pub(crate) tags: Vec<TagRecord>,
    /// The managed policy that bounds it, by its name in lower case.
    #[n(7)]
    pub(crate) boundary: Option<String>,
    #[n(8)]
    pub(crate) inline: Vec<InlineRecord>,
    /// Attached managed policies, by their names in lower case.
    #[n(9)]
    pub(crate) attached: Vec<String>,
    /// Groups of a user, by their unique ids.
    #[n(10)]
    pub(crate) groups: Vec<String>,
    /// Access key ids of a user.
    #[n(11)]
    pub(crate) keys: Vec<String>,
    /// What only roles have.
    #[n(12)]
    pub(crate) role: Option<RoleRecord>,
}

/// A policy that is part of its identity.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct InlineRecord {
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) text: String,
}

/// What only roles have.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct RoleRecord {
    /// The trust policy.
    #[n(0)]
    pub(crate) trust: String,
    #[n(1)]
    pub(crate) bound: Vec<BoundRecord>,
    #[n(2)]
    pub(crate) description: Option<String>,
    #[n(3)]
    pub(crate) max_session_seconds: u32,
}

/// Whom a policy meant by an ARN when it was put.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BoundRecord {
    #[n(0)]
    pub(crate) arn: String,
    #[n(1)]
    pub(crate) id: String,
}

/// A managed policy.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct PolicyRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) name: String,
    #[n(2)]
    pub(crate) path: String,
    #[n(3)]
    pub(crate) id: String,
    #[n(4)]
    pub(crate) created_ms: i64,
    #[n(5)]
    pub(crate) updated_ms: i64,
    #[n(6)]
    pub(crate) description: Option<String>,
    #[n(7)]
    pub(crate) tags: Vec<TagRecord>,
    /// Versions by rising number.
    #[n(8)]
    pub(crate) versions: Vec<VersionRecord>,
    /// Number of the version in force.
    #[n(9)]
    pub(crate) default: u32,
    /// Number of the next version; numbers are never used again.
    #[n(10)]
    pub(crate) next: u32,
    /// To how many identities it is attached.
    #[n(11)]
    pub(crate) attachments: u32,
    /// How many identities it bounds.
    #[n(12)]
    pub(crate) boundaries: u32,
}

/// A version of a managed policy.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct VersionRecord {
    #[n(0)]
    pub(crate) number: u32,
    #[n(1)]
    pub(crate) text: String,
    #[n(2)]
    pub(crate) created_ms: i64,
}

/// Whom a unique id names.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct PrincipalRecord {
    #[n(0)]
    pub(crate) account: String,
    /// `user`, `group` or `role`.
    #[n(1)]
    pub(crate) kind: String,
    /// Its name in lower case.
    #[n(2)]
    pub(crate) key: String,
}

/// When and for what a credential was last used.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LastUsedRecord {
    #[n(0)]
    pub(crate) at_ms: i64,
    #[n(1)]
    pub(crate) service: String,
    #[n(2)]
    pub(crate) region: String,
}

/// What the token of a session holds, sealed.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct SessionRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) access_key_id: String,
    /// The secret access key, sealed by the HSM.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) secret: Vec<u8>,
    #[n(3)]
    pub(crate) issued_ms: i64,
    #[n(4)]
    pub(crate) expires_ms: i64,
    /// Unique id of the role or user whose session it is; `root` for the account's root user.
    #[n(5)]
    pub(crate) principal: String,
    /// Name of a role's session.
    #[n(6)]
    pub(crate) name: Option<String>,
    /// Access key id that asked for it, for a session of a user or of the root user: it dies with that.
    #[n(7)]
    pub(crate) source_key: Option<String>,
    /// Text of the session policy.
    #[n(8)]
    pub(crate) policy: Option<String>,
    /// Managed session policies, by their names in lower case.
    #[n(9)]
    pub(crate) managed: Vec<String>,
    #[n(10)]
    pub(crate) tags: Vec<TagRecord>,
    /// Keys of the tags that go on to sessions of sessions.
    #[n(11)]
    pub(crate) transitive: Vec<String>,
    #[n(12)]
    pub(crate) source_identity: Option<String>,
    /// Where it comes from, for one of a web identity.
    #[n(13)]
    pub(crate) federation: Option<FederationRecord>,
    /// When its holder showed the code of a device.
    #[n(14)]
    pub(crate) mfa_ms: Option<i64>,
    /// Name of the one whom a user vouches for, for such a session.
    #[n(15)]
    pub(crate) federated_user: Option<String>,
}
