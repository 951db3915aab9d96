//! What a caller stands on: the records that say who it is and what it may do.
//!
//! They are read when a call begins, and its effect comes later. In between they may change: the access key is deleted, a
//! policy that denies is attached. So an effect is committed only while they are as they were read, and a call whose caller
//! has changed is authenticated and decided anew (invariant I6).

use claviger_store::{Precondition, Read};

use super::Caller;
use crate::call::held::name_of;
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
            holds.push(is_open(service, self.account()).await?);
        }
        Ok(holds)
    }

    /// Whether all it stands on is as it was read, and its account open.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) async fn stands(&self, service: &Service) -> Result<bool> {
        if !self.is_service() && !service.installation.cache.account_is_open(self.account()).await? {
            return Ok(false);
        }
        are_as_read(service, &self.grounds()).await
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

/// That an account is open.
///
/// # Errors
/// A conflict where it is not, and where the store fails.
pub(crate) async fn is_open(service: &Service, account: &str) -> Result<Precondition> {
    let found = service.installation.cache.open_account(account).await?;
    let revision = found.ok_or(claviger_store::Error::Conflict)?.revision;
    Ok(Precondition::Unchanged { name: record::account(account), revision })
}

/// Whether records are as they were read.
///
/// # Errors
/// Where the store fails.
pub(crate) async fn are_as_read(service: &Service, held: &[Precondition]) -> Result<bool> {
    let reads = held.iter().map(|held| Read::One(name_of(held).to_vec())).collect();
    let found = service.installation.store.read(reads).await?.found;
    Ok(held.iter().zip(&found).all(|(held, found)| match (held, found.first()) {
        (Precondition::Unchanged { revision, .. }, Some(record)) => record.revision == *revision,
        (Precondition::Unchanged { .. }, None) => false,
        (Precondition::Absent(_), found) => found.is_none(),
    }))
}
