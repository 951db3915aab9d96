//! The role that a session is asked of.

use std::sync::Arc;

use claviger_wire::arn::{self, Arn};
use serde::Serialize;

use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity};
use crate::record;

/// How long a session is unless the request says otherwise, and the longest of one that was itself gained by a session, in
/// seconds.
pub(super) const HOUR: u32 = 3600;

/// A session of a role, as answers show it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssumedRoleUser {
    assumed_role_id: String,
    arn: String,
}

impl AssumedRoleUser {
    /// The session of this name.
    pub(super) fn of(role: &Identity, name: &str, region: &str) -> Self {
        let (partition, account) = (arn::partition(region), &role.account);
        Self {
            assumed_role_id: format!("{}:{name}", role.id),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{}/{name}", role.name),
        }
    }
}

/// The role of an ARN, if there is one and its account is open. An ARN that is spelled otherwise names nothing: what is
/// decided about an ARN must be decided about the role that it stands for.
///
/// # Errors
/// `ValidationError` for what is no ARN of a role.
pub(super) async fn find(service: &Service, text: &str) -> Result<Option<Arc<Identity>>> {
    let invalid = || Error::validation(format!("{text} is invalid"));
    let arn = Arn::parse(text).ok_or_else(invalid)?;
    let path = arn.resource.strip_prefix("role/").ok_or_else(invalid)?;
    if arn.service != "iam" || !arn.region.is_empty() || !arn::is_account(arn.account) {
        return Err(invalid());
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if !service.installation.cache.account_is_open(arn.account).await? {
        return Ok(None);
    }
    let role = record::iam::identity("role", arn.account, &identity::key(name));
    let role = service.installation.cache.identity(role).await?;
    Ok(role.filter(|role| role.arn(service.installation.iam_region()) == text))
}

/// How long a session of the role is to be, in seconds.
///
/// # Errors
/// `ValidationError` beyond what the role allows.
pub(super) fn duration(asked: Option<u32>, role: &Identity) -> Result<u32> {
    let seconds = asked.unwrap_or(HOUR);
    if seconds > role.as_role()?.max_session_seconds {
        return Err(Error::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}
