//! Which policies apply to an identity.

use std::sync::Arc;

use claviger_policy::Document;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::iam::identity::{Identity, by_id};
use crate::record::iam as names;

/// The policies that apply to a user or role, compiled; shared with the cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effective {
    /// Its own and those of its groups.
    pub(crate) identity: Vec<Arc<Document>>,
    /// Its permissions boundary.
    pub(crate) boundary: Option<Arc<Document>>,
}

impl Effective {
    /// Collects what applies to an identity.
    ///
    /// # Errors
    /// Where the store fails; a conflict where a policy or group is not there that must be, because things changed between
    /// two reads. Leaving it out could widen what is allowed.
    pub(crate) async fn of(cache: &Cache, identity: &Identity) -> Result<Self> {
        let mut documents = Vec::new();
        held_by(cache, identity, &mut documents).await?;
        for group in &identity.groups {
            let group = by_id(cache, &identity.account, group).await?.ok_or_else(moved)?;
            held_by(cache, &group, &mut documents).await?;
        }
        let boundary = match &identity.boundary {
            Some(key) => Some(managed(cache, &identity.account, key).await?),
            None => None,
        };
        Ok(Self { identity: documents, boundary })
    }
}

async fn held_by(cache: &Cache, identity: &Identity, documents: &mut Vec<Arc<Document>>) -> Result<()> {
    documents.extend(identity.inline.iter().map(|inline| Arc::clone(&inline.document)));
    for key in &identity.attached {
        documents.push(managed(cache, &identity.account, key).await?);
    }
    Ok(())
}

/// The version in force of a managed policy that something refers to.
async fn managed(cache: &Cache, account: &str, key: &str) -> Result<Arc<Document>> {
    let policy = cache.managed_policy(names::policy(account, key)).await?;
    let policy = policy.ok_or_else(moved)?;
    Ok(Arc::clone(&policy.document))
}

/// Something that was referred to is gone: what referred to it has changed meanwhile.
fn moved() -> Error {
    claviger_store::Error::Conflict.into()
}
