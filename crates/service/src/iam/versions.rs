//! Managed policies and their versions.

use std::sync::Arc;

use claviger_policy::Document;
use claviger_store::{Precondition, Write};
use claviger_wire::fault::Code;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::document;
use crate::iam::managed::{ManagedPolicy, Version};

/// Most characters of a managed policy, white space apart (quota).
const MAX_POLICY: usize = 6_144;
/// Most versions of a managed policy (quota).
const MAX_VERSIONS: usize = 5;

/// Compiles the document of a managed policy.
///
/// # Errors
/// `MalformedPolicyDocument`, `LimitExceeded`.
pub(crate) fn parse(text: &str) -> Result<Arc<Document>> {
    if document::counted(text) > MAX_POLICY {
        let message = format!("Cannot exceed quota for PolicySize: {MAX_POLICY}");
        return Err(Error::new(Code::LimitExceeded, message));
    }
    document::parse_identity(text).map(Arc::new)
}

/// Writes a new managed policy.
///
/// # Errors
/// `EntityAlreadyExists`.
pub(crate) async fn create(service: &Service, call: &mut Call<'_>, policy: &ManagedPolicy) -> Result<()> {
    if service.installation.cache.managed_policy(policy.record_name()).await?.is_some() {
        let name = &policy.name;
        let text = format!("A policy called {name} already exists. Duplicate names are not allowed.");
        return Err(Error::new(Code::EntityAlreadyExists, text));
    }
    call.commit(service, vec![Precondition::Absent(policy.record_name())], vec![policy.put()?]).await
}

/// Deletes a managed policy.
///
/// # Errors
/// `DeleteConflict`.
pub(crate) async fn delete_policy(
    service: &Service,
    call: &mut Call<'_>,
    policy: &ManagedPolicy,
) -> Result<()> {
    let conflict = |text: &str| Err(Error::new(Code::DeleteConflict, text));
    if policy.attachments > 0 || policy.boundaries > 0 {
        return conflict("Cannot delete a policy attached to entities.");
    }
    if policy.versions.len() > 1 {
        return conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy.",
        );
    }
    call.commit(service, vec![policy.unchanged()], vec![Write::Delete(policy.record_name())]).await
}

/// The policy with one version more, and that version.
///
/// # Errors
/// `MalformedPolicyDocument`, `LimitExceeded`.
pub(crate) fn add(
    call: &Call<'_>,
    policy: &ManagedPolicy,
    text: &str,
    in_force: bool,
) -> Result<(ManagedPolicy, Version)> {
    parse(text)?;
    if policy.versions.len() >= MAX_VERSIONS {
        let message = format!(
            "A managed policy can have up to {MAX_VERSIONS} versions. Before you create a new version, you must delete an \
             existing version."
        );
        return Err(Error::new(Code::LimitExceeded, message));
    }
    let version = Version { number: policy.next, text: text.to_owned(), created: call.now() };
    let mut changed = policy.clone();
    changed.versions.push(version.clone());
    changed.next = policy.next.saturating_add(1);
    changed.updated = call.now();
    if in_force {
        changed.default = version.number;
    }
    Ok((changed, version))
}

/// A version by its id, such as `v1`.
///
/// # Errors
/// `NoSuchEntity`.
pub(crate) fn of_id<'p>(policy: &'p ManagedPolicy, arn: &str, id: &str) -> Result<&'p Version> {
    let missing = || {
        let text = format!("Policy {arn} version {id} does not exist or is not attachable.");
        Error::new(Code::NoSuchEntity, text)
    };
    policy.version(id).ok_or_else(missing)
}

/// The policy with one version less.
///
/// # Errors
/// `DeleteConflict` for the version in force.
pub(crate) fn without(policy: &ManagedPolicy, number: u32) -> Result<ManagedPolicy> {
    if policy.default == number {
        let text = "Cannot delete the default version of a policy.";
        return Err(Error::new(Code::DeleteConflict, text));
    }
    let mut changed = policy.clone();
    changed.versions.retain(|version| version.number != number);
    Ok(changed)
}
