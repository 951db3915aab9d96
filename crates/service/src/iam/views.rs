//! Entities as answers show them. Nothing here is secret: the trail shows what these hold.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::cache::Cache;
use crate::error::Result;
use crate::iam::identity::Identity;
use crate::iam::managed::{ManagedPolicy, Version};
use crate::moment::Moment;
use crate::query::Members;
use crate::record::{self, iam::LastUsedRecord};

/// What RFC 3986 leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A policy document as answers carry it (RFC 3986).
pub(crate) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, UNRESERVED).to_string()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagView {
    key: String,
    value: String,
}

/// Tags, where there are any.
pub(crate) fn tags(tags: &[(String, String)]) -> Option<Members<TagView>> {
    (!tags.is_empty()).then(|| all_tags(tags))
}

/// Tags, also where there are none.
pub(crate) fn all_tags(tags: &[(String, String)]) -> Members<TagView> {
    let view = |(key, value): &(String, String)| TagView { key: key.clone(), value: value.clone() };
    tags.iter().map(view).collect::<Vec<_>>().into()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Boundary {
    permissions_boundary_type: &'static str,
    permissions_boundary_arn: String,
}

impl Boundary {
    /// The permissions boundary of an identity, if it has one.
    pub(crate) async fn of(cache: &Cache, identity: &Identity, region: &str) -> Result<Option<Self>> {
        let Some(key) = &identity.boundary else { return Ok(None) };
        let policy = cache.managed_policy(record::iam::policy(&identity.account, key)).await?;
        Ok(policy.map(|policy| Self::arn(policy.arn(region))))
    }

    /// The one of this ARN.
    pub(crate) fn arn(permissions_boundary_arn: String) -> Self {
        Self { permissions_boundary_type: "Policy", permissions_boundary_arn }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct User {
    path: String,
    /// The root user has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    user_id: String,
    arn: String,
    create_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Members<TagView>>,
}

impl User {
    /// As lists show it.
    pub(crate) fn listed(user: &Identity, region: &str) -> Self {
        Self {
            path: user.path.clone(),
            user_name: Some(user.name.clone()),
            user_id: user.id.clone(),
            arn: user.arn(region),
            create_date: user.created.iso(),
            permissions_boundary: None,
            tags: None,
        }
    }

    /// By itself.
    pub(crate) fn whole(user: &Identity, boundary: Option<Boundary>, region: &str) -> Self {
        Self { permissions_boundary: boundary, tags: tags(&user.tags), ..Self::listed(user, region) }
    }

    /// The root user of an account.
    pub(crate) fn root(account: &str, arn: &str, created: String) -> Self {
        Self {
            path: "/".to_owned(),
            user_name: None,
            user_id: account.to_owned(),
            arn: arn.to_owned(),
            create_date: created,
            permissions_boundary: None,
            tags: None,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Group {
    path: String,
    group_name: String,
    group_id: String,
    arn: String,
    create_date: String,
}

impl Group {
    pub(crate) fn of(group: &Identity, region: &str) -> Self {
        Self {
            path: group.path.clone(),
            group_name: group.name.clone(),
            group_id: group.id.clone(),
            arn: group.arn(region),
            create_date: group.created.iso(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Role {
    path: String,
    role_name: String,
    role_id: String,
    arn: String,
    create_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    assume_role_policy_document: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_session_duration: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Members<TagView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_last_used: Option<RoleLastUsed>,
}

/// Empty where no session of the role has called yet.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoleLastUsed {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

impl Role {
    /// With the last use that is known of.
    pub(crate) fn used(self, last: Option<LastUsedRecord>) -> Self {
        let last = last.map(|last| RoleLastUsed {
            last_used_date: Some(Moment(last.at_ms).iso()),
            region: Some(last.region),
        });
        Self { role_last_used: Some(last.unwrap_or_default()), ..self }
    }

    /// As the trail shows it: without its trust policy, which is among the parameters already.
    pub(crate) fn for_trail(role: &Identity, region: &str) -> Self {
        Self {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: role.arn(region),
            create_date: role.created.iso(),
            assume_role_policy_document: None,
            description: None,
            max_session_duration: None,
            permissions_boundary: None,
            tags: None,
            role_last_used: None,
        }
    }

    /// As lists show it.
    pub(crate) fn listed(role: &Identity, region: &str) -> Result<Self> {
        let only = role.as_role()?;
        Ok(Self {
            assume_role_policy_document: Some(encoded(&only.trust.text)),
            description: only.description.clone(),
            max_session_duration: Some(only.max_session_seconds),
            ..Self::for_trail(role, region)
        })
    }

    /// By itself.
    pub(crate) fn whole(role: &Identity, boundary: Option<Boundary>, region: &str) -> Result<Self> {
        Ok(Self { permissions_boundary: boundary, tags: tags(&role.tags), ..Self::listed(role, region)? })
    }

    /// As it was just made.
    pub(crate) fn made(role: &Identity, boundary: Option<Boundary>, region: &str) -> Result<Self> {
        Ok(Self { max_session_duration: None, ..Self::whole(role, boundary, region)? })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Policy {
    policy_name: String,
    policy_id: String,
    arn: String,
    path: String,
    default_version_id: String,
    attachment_count: u32,
    permissions_boundary_usage_count: u32,
    is_attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    create_date: String,
    update_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Members<TagView>>,
}

impl Policy {
    /// As lists show it.
    pub(crate) fn listed(policy: &ManagedPolicy, region: &str) -> Self {
        Self {
            policy_name: policy.name.clone(),
            policy_id: policy.id.clone(),
            arn: policy.arn(region),
            path: policy.path.clone(),
            default_version_id: format!("v{}", policy.default),
            attachment_count: policy.attachments,
            permissions_boundary_usage_count: policy.boundaries,
            is_attachable: true,
            description: None,
            create_date: policy.created.iso(),
            update_date: policy.updated.iso(),
            tags: None,
        }
    }

    /// As it was just made.
    pub(crate) fn made(policy: &ManagedPolicy, region: &str) -> Self {
        Self { tags: tags(&policy.tags), ..Self::listed(policy, region) }
    }

    /// By itself.
    pub(crate) fn whole(policy: &ManagedPolicy, region: &str) -> Self {
        Self { description: policy.description.clone(), ..Self::made(policy, region) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyVersion {
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    version_id: String,
    is_default_version: bool,
    create_date: String,
}

impl PolicyVersion {
    /// As lists show it.
    pub(crate) fn listed(policy: &ManagedPolicy, version: &Version) -> Self {
        Self {
            document: None,
            version_id: version.id(),
            is_default_version: version.number == policy.default,
            create_date: version.created.iso(),
        }
    }

    /// By itself, with its document.
    pub(crate) fn whole(policy: &ManagedPolicy, version: &Version) -> Self {
        Self { document: Some(encoded(&version.text)), ..Self::listed(policy, version) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttachedPolicy {
    pub(crate) policy_name: String,
    pub(crate) policy_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccessKeyMetadata {
    pub(crate) user_name: String,
    pub(crate) access_key_id: String,
    pub(crate) status: &'static str,
    pub(crate) create_date: String,
}

/// How an access key's status is spelled.
pub(crate) fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}
