//! What users, groups and roles hold in common: inline policies, attached policies, a permissions boundary, tags.

use std::sync::Arc;

use claviger_store::Write;
use claviger_wire::fault::Code;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::decided::Fingerprint;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{Identity, Inline, Kind};
use crate::iam::listing::{Cursor, Page};
use crate::iam::managed::ManagedPolicy;
use crate::iam::shapes::{PolicyDocument, PolicyName, Tag, TagKey};
use crate::iam::views::AttachedPolicy;
use crate::iam::{document, load, tags};
use crate::record;

/// Most managed policies attached to an identity (quota).
const MAX_ATTACHED: usize = 10;

/// Which identity a request names.
pub(crate) type Named<'a> = (Kind, &'a str);

/// How the index calls an attached policy.
pub(crate) const PERMISSIONS: &str = "permissions";
/// How the index calls a permissions boundary.
pub(crate) const BOUNDARY: &str = "boundary";

fn no_such_inline(kind: Kind, name: &str) -> Error {
    let text = format!("The {} policy with name {name} cannot be found.", kind.word());
    Error::new(Code::NoSuchEntity, text)
}

/// Puts an inline policy, in place of one of the same name.
pub(crate) async fn put_inline(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    (name, text): (&PolicyName, &PolicyDocument),
) -> Result<()> {
    let identity = load::identity(service, call, action, named, IamAsks::default()).await?;
    let document = Arc::new(document::parse_identity(text)?);
    let mut changed = Identity::clone(&identity);
    changed.inline.retain(|inline| !inline.name.eq_ignore_ascii_case(name));
    let fingerprint = Fingerprint::of(text);
    changed.inline.push(Inline { name: name.to_string(), text: text.to_string(), document, fingerprint });
    let (kind, limit) = (identity.kind, identity.kind.inline_limit());
    if changed.inline.iter().map(|inline| document::counted(&inline.text)).sum::<usize>() > limit {
        let message =
            format!("Maximum policy size of {limit} bytes exceeded for {} {}", kind.word(), named.1);
        return Err(Error::new(Code::LimitExceeded, message));
    }
    call.commit(service, vec![identity.unchanged()], vec![changed.put()?]).await
}

/// An inline policy.
pub(crate) async fn inline(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    name: &PolicyName,
) -> Result<(Arc<Identity>, Inline)> {
    let identity = load::identity(service, call, action, named, IamAsks::default()).await?;
    let found = identity.inline.iter().find(|inline| inline.name.eq_ignore_ascii_case(name)).cloned();
    let found = found.ok_or_else(|| no_such_inline(identity.kind, name))?;
    Ok((identity, found))
}

/// Takes an inline policy away.
pub(crate) async fn delete_inline(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    name: &PolicyName,
) -> Result<()> {
    let (identity, found) = inline(service, call, action, named, name).await?;
    let mut changed = Identity::clone(&identity);
    changed.inline.retain(|inline| inline.name != found.name);
    call.commit(service, vec![identity.unchanged()], vec![changed.put()?]).await
}

/// That a policy is used by an identity.
fn used_by(policy: &ManagedPolicy, usage: &str, identity: &Identity) -> Vec<u8> {
    record::iam::used_by(&policy.account, &policy.key(), usage, &identity.id)
}

/// Attaches a managed policy; nothing changes where it is attached already.
pub(crate) async fn attach(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    arn: &str,
) -> Result<()> {
    let asks = IamAsks { policy_arn: Some(arn), ..IamAsks::default() };
    let identity = load::identity(service, call, action, named, asks).await?;
    let policy = load::attachable(service, &identity.account, arn).await?;
    if identity.attached.contains(&policy.key()) {
        return Ok(());
    }
    if identity.attached.len() >= MAX_ATTACHED {
        let message = format!("Cannot exceed quota for PoliciesPer{}: {MAX_ATTACHED}", identity.kind.title());
        return Err(Error::new(Code::LimitExceeded, message));
    }
    let (mut changed, mut used) = (Identity::clone(&identity), ManagedPolicy::clone(&policy));
    changed.attached.push(policy.key());
    used.attachments = used.attachments.saturating_add(1);
    let index = Write::Put { name: used_by(&policy, PERMISSIONS, &identity), value: Vec::new() };
    let writes = vec![changed.put()?, used.put()?, index];
    call.commit(service, vec![identity.unchanged(), policy.unchanged()], writes).await
}

/// Detaches a managed policy.
pub(crate) async fn detach(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    arn: &str,
) -> Result<()> {
    let asks = IamAsks { policy_arn: Some(arn), ..IamAsks::default() };
    let identity = load::identity(service, call, action, named, asks).await?;
    let policy = load::policy_of_arn(service, &identity.account, arn).await?;
    let policy = policy.filter(|policy| identity.attached.contains(&policy.key()));
    let policy = policy.ok_or_else(|| load::no_such_policy(arn))?;
    let (mut changed, mut used) = (Identity::clone(&identity), ManagedPolicy::clone(&policy));
    changed.attached.retain(|key| *key != policy.key());
    used.attachments = used.attachments.saturating_sub(1);
    let writes = vec![changed.put()?, used.put()?, Write::Delete(used_by(&policy, PERMISSIONS, &identity))];
    call.commit(service, vec![identity.unchanged(), policy.unchanged()], writes).await
}

/// The managed policies attached to an identity whose path begins so, by name.
pub(crate) async fn attached(
    service: &Service,
    identity: &Identity,
    path_prefix: &str,
    region: &str,
) -> Result<Vec<AttachedPolicy>> {
    let mut attached = Vec::new();
    for key in &identity.attached {
        let policy = service.installation.cache.managed_policy(record::iam::policy(&identity.account, key));
        if let Some(policy) = policy.await?.filter(|policy| policy.path.starts_with(path_prefix)) {
            let policy_arn = policy.arn(region);
            attached.push(AttachedPolicy { policy_name: policy.name.clone(), policy_arn });
        }
    }
    Ok(attached)
}

/// Names of the inline policies of an identity.
pub(crate) fn inline_names(cursor: &Cursor<'_>, identity: &Identity) -> Page<String> {
    let names = identity.inline.iter().map(|inline| inline.name.clone()).collect();
    cursor.page(names, String::clone)
}

/// A permissions boundary that a request gives to an identity that is being made: what to write besides, and the
/// boundary in the identity's record.
pub(crate) async fn bound_anew(
    service: &Service,
    identity: &mut Identity,
    arn: &str,
) -> Result<(Arc<ManagedPolicy>, Vec<Write>)> {
    let policy = load::attachable(service, &identity.account, arn).await?;
    identity.boundary = Some(policy.key());
    let mut used = ManagedPolicy::clone(&policy);
    used.boundaries = used.boundaries.saturating_add(1);
    let index = Write::Put { name: used_by(&policy, BOUNDARY, identity), value: Vec::new() };
    Ok((policy, vec![used.put()?, index]))
}

/// What must be written when an identity loses its permissions boundary, because it gets another or is deleted: the
/// policy as it was, and the writes.
pub(crate) async fn unbound(
    service: &Service,
    identity: &Identity,
) -> Result<Option<(Arc<ManagedPolicy>, Vec<Write>)>> {
    let Some(key) = &identity.boundary else { return Ok(None) };
    let name = record::iam::policy(&identity.account, key);
    let Some(policy) = service.installation.cache.managed_policy(name).await? else { return Ok(None) };
    let mut used = ManagedPolicy::clone(&policy);
    used.boundaries = used.boundaries.saturating_sub(1);
    let writes = vec![used.put()?, Write::Delete(used_by(&policy, BOUNDARY, identity))];
    Ok(Some((policy, writes)))
}

/// Gives an identity a permissions boundary, in place of the one it has.
pub(crate) async fn put_boundary(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    arn: &str,
) -> Result<()> {
    let asks = IamAsks { boundary: Some(arn), ..IamAsks::default() };
    let identity = load::identity(service, call, action, named, asks).await?;
    let mut changed = Identity::clone(&identity);
    let (policy, mut writes) = bound_anew(service, &mut changed, arn).await?;
    if changed.boundary == identity.boundary {
        return Ok(());
    }
    let mut preconditions = vec![identity.unchanged(), policy.unchanged()];
    if let Some((old, more)) = unbound(service, &identity).await? {
        preconditions.push(old.unchanged());
        writes.extend(more);
    }
    writes.push(changed.put()?);
    call.commit(service, preconditions, writes).await
}

/// Takes the permissions boundary of an identity away.
pub(crate) async fn delete_boundary(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
) -> Result<()> {
    let identity = load::identity(service, call, action, named, IamAsks::default()).await?;
    let Some((old, mut writes)) = unbound(service, &identity).await? else {
        let text = format!("{} {} does not have a permissions boundary.", identity.kind.title(), named.1);
        return Err(Error::new(Code::NoSuchEntity, text));
    };
    writes.push(Identity { boundary: None, ..Identity::clone(&identity) }.put()?);
    call.commit(service, vec![identity.unchanged(), old.unchanged()], writes).await
}

/// Adds tags to an identity.
pub(crate) async fn tag(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    given: &[Tag],
) -> Result<()> {
    let given = tags::checked(Some(given))?;
    let asks = IamAsks { tags: Some(&given), ..IamAsks::default() };
    let identity = load::identity(service, call, action, named, asks).await?;
    let mut changed = Identity::clone(&identity);
    tags::add(&mut changed.tags, &given)?;
    call.commit(service, vec![identity.unchanged()], vec![changed.put()?]).await
}

/// Takes tags of an identity away.
pub(crate) async fn untag(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: Named<'_>,
    keys: &[TagKey],
) -> Result<()> {
    let names: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    let asks = IamAsks { tag_keys: Some(&names), ..IamAsks::default() };
    let identity = load::identity(service, call, action, named, asks).await?;
    let mut changed = Identity::clone(&identity);
    tags::remove(&mut changed.tags, keys);
    call.commit(service, vec![identity.unchanged()], vec![changed.put()?]).await
}
