//! What a caller stands on: the records that say who it is and what it may do.
//!
//! They are read when a call begins, and its effect comes later. In between they may change: the access key is deleted, a
//! policy that denies is attached. So an effect is committed only while they are as they were read, and a call whose caller
//! has changed is authenticated and decided anew (invariant I6).

use claviger_store::{Precondition, Read};

use super::Caller;
use crate::call::name_of;
use crate::decided::Source;
use crate::dispatch::Service;
use crate::error::Result;
use crate::record;

impl Caller {
    /// That all it stands on is as it was read, and its account open.
    ///
    /// # Errors
    /// A conflict where the account was closed meanwhile, and where the store fails.
    pub(crate) async fn holds(&self, service: &Service) -> Result<Vec<Precondition>> {
        let mut holds = self.grounds();
        if !self.is_service() {
            let account = service.installation.cache.open_account(self.account()).await?;
            let revision = account.ok_or(claviger_store::Error::Conflict)?.revision;
            holds.push(Precondition::Unchanged { name: record::account(self.account()), revision });
        }
        Ok(holds)
    }

    /// Whether all it stands on is as it was read, and its account open.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) async fn stands(&self, service: &Service) -> Result<bool> {
        let (cache, store) = (&service.installation.cache, &service.installation.store);
        if !self.is_service() && !cache.account_is_open(self.account()).await? {
            return Ok(false);
        }
        let grounds = self.grounds();
        let reads = grounds.iter().map(|ground| Read::One(name_of(ground).to_vec())).collect();
        let found = store.read(reads).await?.found;
        Ok(grounds.iter().zip(&found).all(|(ground, found)| match (ground, found.first()) {
            (Precondition::Unchanged { revision, .. }, Some(record)) => record.revision == *revision,
            (Precondition::Unchanged { .. }, None) => false,
            (Precondition::Absent(_), found) => found.is_none(),
        }))
    }

    fn grounds(&self) -> Vec<Precondition> {
        let standing = &self.standing;
        let credential = standing.key.iter().map(|(id, revision)| Precondition::Unchanged {
            name: record::credential(id),
            revision: *revision,
        });
        let vouching = self.web_identity().map(super::web_identity::WebIdentity::provider);
        let providers = standing.provider.as_deref().into_iter().chain(vouching);
        let holders = standing.identity.iter().chain(&standing.effective.groups);
        let effective = &standing.effective;
        let sources =
            effective.sources.iter().chain(&effective.boundary_source).chain(&standing.session_sources);
        credential
            .chain(providers.map(|provider| provider.unchanged()))
            .chain(holders.map(|holder| holder.unchanged()))
            .chain(sources.filter_map(|source| match source {
                Source::Managed(policy) => Some(policy.unchanged()),
                // Part of its holder, or of the session's token.
                Source::Inline(..) | Source::Session(_) => None,
            }))
            .collect()
    }
}
