//! Which policies apply to an identity.

use std::sync::Arc;

use claviger_policy::Document;

use crate::cache::Cache;
use crate::decided::Source;
use crate::error::{Error, Result};
use crate::iam::identity::{Identity, by_id};
use crate::iam::managed::ManagedPolicy;
use crate::record::iam as names;

/// The policies that apply to a user or role, compiled; shared with the cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effective {
    /// Its own and those of its groups.
    pub(crate) identity: Vec<Arc<Document>>,
    /// Where each of them is from.
    pub(crate) sources: Vec<Source>,
    /// Its permissions boundary.
    pub(crate) boundary: Option<Arc<Document>>,
    /// Where that is from.
    pub(crate) boundary_source: Option<Source>,
    /// The groups among those whose policies these are, also one that has none yet.
    pub(crate) groups: Vec<Arc<Identity>>,
}

impl Effective {
    /// Collects what applies to an identity.
    ///
    /// # Errors
    /// Where the store fails; a conflict where a policy or group is not there that must be, because things changed between
    /// two reads. Leaving it out could widen what is allowed.
    pub(crate) async fn of(cache: &Cache, identity: &Arc<Identity>) -> Result<Self> {
        let mut effective = Self::default();
        effective.add(cache, identity).await?;
        for group in &identity.groups {
            let group = by_id(cache, &identity.account, group).await?.ok_or_else(moved)?;
            effective.add(cache, &group).await?;
            effective.groups.push(group);
        }
        if let Some(key) = &identity.boundary {
            let policy = managed(cache, &identity.account, key).await?;
            effective.boundary = Some(Arc::clone(&policy.document));
            effective.boundary_source = Some(Source::Managed(policy));
        }
        Ok(effective)
    }

    /// Adds what a user, group or role holds.
    async fn add(&mut self, cache: &Cache, holder: &Arc<Identity>) -> Result<()> {
        for (index, inline) in holder.inline.iter().enumerate() {
            self.identity.push(Arc::clone(&inline.document));
            self.sources.push(Source::Inline(Arc::clone(holder), index));
        }
        for key in &holder.attached {
            let policy = managed(cache, &holder.account, key).await?;
            self.identity.push(Arc::clone(&policy.document));
            self.sources.push(Source::Managed(policy));
        }
        Ok(())
    }
}

/// A managed policy that something refers to.
async fn managed(cache: &Cache, account: &str, key: &str) -> Result<Arc<ManagedPolicy>> {
    cache.managed_policy(names::policy(account, key)).await?.ok_or_else(moved)
}

/// Something that was referred to is gone: what referred to it has changed meanwhile.
fn moved() -> Error {
    claviger_store::Error::Conflict.into()
}
