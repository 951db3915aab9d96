//! How users, groups and roles come to be, change their names, and go.

use std::sync::Arc;

use claviger_store::{Precondition, Read, Write};
use claviger_wire::fault::Code;

use crate::call::Call;
use crate::call::iam::{IamAsks, Tags};
use crate::credential;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity, Kind, Role};
use crate::iam::{holder, load, login, mfa};
use crate::record::{self, iam::PrincipalRecord};

/// Length of a unique id in characters.
pub(crate) const ID_LEN: usize = 21;

/// What is to be made.
pub(crate) struct Plan<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) path: Option<&'a str>,
    pub(crate) tags: &'a Tags,
    /// ARN of its permissions boundary.
    pub(crate) boundary: Option<&'a str>,
}

/// Decides whether the caller may make it, and whether it may give it tags.
pub(crate) fn authorize(
    call: &mut Call<'_>,
    (create, tag): (&'static str, &'static str),
    plan: &Plan<'_>,
) -> Result<()> {
    let (account, path) = (call.caller().account(), plan.path.unwrap_or("/"));
    let arn = identity::arn(call.region(), account, plan.kind.word(), path, plan.name);
    let asks = IamAsks {
        tags: (!plan.tags.is_empty()).then_some(plan.tags),
        boundary: plan.boundary,
        ..IamAsks::default()
    };
    call.authorize_iam(create, &arn, asks)?;
    if !plan.tags.is_empty() {
        call.authorize_iam(tag, &arn, asks)?;
    }
    Ok(())
}

/// Makes it, in memory: a unique id that nothing refers to yet.
pub(crate) fn make(
    service: &Service,
    call: &Call<'_>,
    plan: &Plan<'_>,
    role: Option<Role>,
) -> Result<Identity> {
    Ok(Identity {
        kind: plan.kind,
        account: call.caller().account().into(),
        name: plan.name.to_owned(),
        path: plan.path.unwrap_or("/").to_owned(),
        id: credential::random_id(&*service.entropy, plan.kind.id_prefix(), ID_LEN)?,
        created: call.now(),
        tags: plan.tags.to_vec(),
        boundary: None,
        inline: Vec::new(),
        attached: Vec::new(),
        groups: Vec::new(),
        keys: Vec::new(),
        role,
        revision: 0,
    })
}

/// Writes what [`make`] made.
///
/// # Errors
/// `EntityAlreadyExists`.
pub(crate) async fn create(
    service: &Service,
    call: &mut Call<'_>,
    plan: &Plan<'_>,
    mut made: Identity,
) -> Result<Identity> {
    if load::find(service, call, plan.kind, plan.name).await?.is_some() {
        return Err(exists(plan.kind, plan.name));
    }
    let mut preconditions = vec![Precondition::Absent(made.record_name())];
    let mut writes = Vec::new();
    if let Some(arn) = plan.boundary {
        let (policy, more) = holder::bound_anew(service, &mut made, arn).await?;
        preconditions.push(policy.unchanged());
        writes.extend(more);
    }
    let principal = record::iam::principal(&made.id);
    preconditions.push(Precondition::Absent(principal.clone()));
    writes.push(Write::Put { name: principal, value: record::encode(&names(&made))? });
    writes.push(made.put()?);
    call.commit(service, preconditions, writes).await?;
    Ok(made)
}

fn names(identity: &Identity) -> PrincipalRecord {
    PrincipalRecord {
        account: identity.account.to_string(),
        kind: identity.kind.word().to_owned(),
        key: identity.key(),
    }
}

fn exists(kind: Kind, name: &str) -> Error {
    let text = format!("{} with name {name} already exists.", kind.title());
    Error::new(Code::EntityAlreadyExists, text)
}

/// Gives a user or group another name or path; its unique id stays.
///
/// # Errors
/// `EntityAlreadyExists`.
pub(crate) async fn rename(
    service: &Service,
    call: &mut Call<'_>,
    identity: &Arc<Identity>,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Result<()> {
    let mut changed = Identity::clone(identity);
    changed.name = new_name.unwrap_or(&identity.name).to_owned();
    changed.path = new_path.unwrap_or(&identity.path).to_owned();
    let mut preconditions = vec![identity.unchanged()];
    let mut writes = vec![changed.put()?];
    if changed.key() != identity.key() {
        if load::find(service, call, identity.kind, &changed.name).await?.is_some() {
            return Err(exists(identity.kind, &changed.name));
        }
        preconditions.push(Precondition::Absent(changed.record_name()));
        writes.push(Write::Delete(identity.record_name()));
        let name = record::iam::principal(&identity.id);
        writes.push(Write::Put { name, value: record::encode(&names(&changed))? });
    }
    call.commit(service, preconditions, writes).await
}

/// Deletes a user, group or role on which nothing hangs any more. Its unique id is never given again.
///
/// # Errors
/// `DeleteConflict`.
pub(crate) async fn delete(service: &Service, call: &mut Call<'_>, identity: &Identity) -> Result<()> {
    let hangs = [
        (!identity.keys.is_empty(), "must delete access keys first."),
        (!identity.groups.is_empty(), "must remove user from all groups first."),
        (!identity.attached.is_empty(), "must detach all policies first."),
        (!identity.inline.is_empty(), "must delete policies first."),
    ];
    if identity.kind == Kind::User && login::find(service, identity).await?.is_some() {
        return Err(conflict("must delete login profile first."));
    }
    if identity.kind == Kind::User && mfa::has_any(service, identity).await? {
        return Err(conflict("must delete MFA device first."));
    }
    if let Some((_, what)) = hangs.iter().find(|(hangs, _)| *hangs) {
        return Err(conflict(what));
    }
    let mut preconditions = vec![identity.unchanged()];
    let mut writes =
        vec![Write::Delete(identity.record_name()), Write::Delete(record::iam::principal(&identity.id))];
    if identity.kind == Kind::Role {
        writes.push(Write::Delete(record::iam::last_used(&identity.id)));
        service.installation.last_used.forget(&identity.id);
    }
    if let Some((policy, more)) = holder::unbound(service, identity).await? {
        preconditions.push(policy.unchanged());
        writes.extend(more);
    }
    call.commit(service, preconditions, writes).await
}

/// The error of what cannot be deleted yet.
pub(crate) fn conflict(what: &str) -> Error {
    Error::new(Code::DeleteConflict, format!("Cannot delete entity, {what}"))
}

/// Whether a group has users.
pub(crate) async fn has_members(service: &Service, group: &Identity) -> Result<bool> {
    let prefix = record::iam::members(&group.account, &group.id);
    let read = Read::Range { prefix, after: None, limit: 1 };
    Ok(service.installation.store.read(vec![read]).await?.found.iter().flatten().next().is_some())
}

/// Decides whether the caller may do `action` also with what the identity will be called.
pub(crate) fn authorize_renamed(
    call: &mut Call<'_>,
    action: &'static str,
    identity: &Identity,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Result<()> {
    let (name, path) = (new_name.unwrap_or(&identity.name), new_path.unwrap_or(&identity.path));
    let arn = identity::arn(call.region(), &identity.account, identity.kind.word(), path, name);
    let asks = IamAsks { resource_tags: Some(&identity.tags), ..IamAsks::default() };
    call.authorize_iam(action, &arn, asks).map(|_| ())
}
