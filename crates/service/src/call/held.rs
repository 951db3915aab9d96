//! What a call's effect depends on: that its caller, and what it was decided by, is as it was.

use std::sync::Arc;

use claviger_store::Precondition;

use super::Call;
use crate::authn::grounds;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Identity;
use crate::kms::key::Key;

impl Call<'_> {
    /// Has the call's effect depend on what it was decided by.
    pub(crate) fn hold(&mut self, unchanged: impl FnOnce() -> Precondition) {
        if !self.subject.read_only {
            self.held.push(unchanged());
        }
    }

    /// The same of a role that is assumed, and of its account.
    pub(super) fn hold_role(&mut self, role: &Identity) {
        self.held.push(role.unchanged());
        self.owners.push(Arc::clone(&role.account));
    }

    /// The same of a key's account.
    pub(super) fn hold_owner(&mut self, key: &Key) {
        let caller = self.subject.caller;
        if !self.subject.read_only && (*key.account != *caller.account() || caller.is_service()) {
            self.owners.push(Arc::clone(&key.account));
        }
    }

    /// That the caller, and what the call was decided by, is as it was.
    pub(super) async fn holds(&self, service: &Service) -> Result<Vec<Precondition>> {
        let mut holds = self.subject.caller.holds(service).await?;
        holds.extend(self.held.iter().cloned());
        for owner in &self.owners {
            holds.push(grounds::is_open(service, owner).await?);
        }
        Ok(holds)
    }

    /// Whether it is.
    pub(crate) async fn stands(&self, service: &Service) -> Result<bool> {
        for owner in &self.owners {
            if !service.installation.cache.account_is_open(owner).await? {
                return Ok(false);
            }
        }
        Ok(self.subject.caller.stands(service).await? && grounds::are_as_read(service, &self.held).await?)
    }
}

/// The record that it is about.
pub(crate) fn name_of(precondition: &Precondition) -> &[u8] {
    match precondition {
        Precondition::Unchanged { name, .. } | Precondition::Absent(name) => name,
    }
}
