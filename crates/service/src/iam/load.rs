//! Finding what a request names, and deciding about it.

use std::sync::Arc;

use claviger_wire::arn::{self, Arn};
use claviger_wire::fault::Code;

use crate::authn::Principal;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity, Kind};
use crate::iam::managed::ManagedPolicy;
use crate::record;

/// The error of an identity that does not exist.
pub(crate) fn no_such(kind: Kind, name: &str) -> Error {
    let text = format!("The {} with name {name} cannot be found.", kind.word());
    Error::new(Code::NoSuchEntity, text)
}

/// The error of a managed policy that does not exist.
pub(crate) fn no_such_policy(arn: &str) -> Error {
    Error::new(Code::NoSuchEntity, format!("Policy {arn} was not found."))
}

/// A user, group or role of the caller's account, before any decision.
pub(crate) async fn find(
    service: &Service,
    call: &Call<'_>,
    kind: Kind,
    name: &str,
) -> Result<Option<Arc<Identity>>> {
    let name = record::iam::identity(kind.word(), call.caller().account(), &identity::key(name));
    service.installation.cache.identity(name).await
}

/// Finds a user, group or role of the caller's account and decides whether the caller may do `action` with it. How
/// every operation on one begins.
///
/// # Errors
/// `AccessDenied`, before anything is said of whether it exists; `NoSuchEntity`.
pub(crate) async fn identity(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    (kind, name): (Kind, &str),
    asks: IamAsks<'_>,
) -> Result<Arc<Identity>> {
    let region = call.region();
    let found = find(service, call, kind, name).await?;
    let Some(found) = found else {
        let arn = identity::arn(region, call.caller().account(), kind.word(), "/", name);
        call.authorize_iam(action, &arn, asks)?;
        return Err(no_such(kind, name));
    };
    let boundary = match &found.boundary {
        Some(key) => {
            let policy = record::iam::policy(&found.account, key);
            service.installation.cache.managed_policy(policy).await?.map(|policy| policy.arn(region))
        }
        None => None,
    };
    let boundary = asks.boundary.or(boundary.as_deref());
    let asks = IamAsks { resource_tags: Some(&found.tags), boundary, ..asks };
    call.authorize_iam(action, &found.arn(region), asks)?;
    call.hold(|| found.unchanged());
    Ok(found)
}

/// The name of the user that a request means: the one given, or the caller.
///
/// # Errors
/// `ValidationError` where none is given and the caller is no user.
pub(crate) fn user_name(call: &Call<'_>, given: Option<&str>) -> Result<String> {
    let caller = call.caller();
    match (given, &caller.standing().identity) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, Some(user)) if caller.principal() == Principal::User => Ok(user.name.clone()),
        _ => Err(Error::validation("Must specify userName when calling with non-User credentials")),
    }
}

/// Finds a managed policy of the caller's account and decides whether the caller may do `action` with it.
///
/// # Errors
/// `InvalidInput`, `AccessDenied`, `NoSuchEntity`.
pub(crate) async fn policy(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    arn: &str,
    asks: IamAsks<'_>,
) -> Result<Arc<ManagedPolicy>> {
    let found = policy_of_arn(service, call.caller().account(), arn).await?;
    let tags = found.as_ref().map(|policy| policy.tags.as_slice());
    call.authorize_iam(action, arn, IamAsks { resource_tags: tags, ..asks })?;
    let found = found.ok_or_else(|| no_such_policy(arn))?;
    call.hold(|| found.unchanged());
    Ok(found)
}

/// A managed policy of an account that is to be attached, or to bound something.
///
/// # Errors
/// `InvalidInput`, `NoSuchEntity`.
pub(crate) async fn attachable(service: &Service, account: &str, arn: &str) -> Result<Arc<ManagedPolicy>> {
    let found = policy_of_arn(service, account, arn).await?;
    let missing = || format!("Policy {arn} does not exist or is not attachable.");
    found.ok_or_else(|| Error::new(Code::NoSuchEntity, missing()))
}

/// The managed policy of an ARN, if it is one of the account. An ARN that is spelled otherwise names nothing: what is
/// decided about an ARN must be decided about the policy that it stands for.
pub(crate) async fn policy_of_arn(
    service: &Service,
    account: &str,
    text: &str,
) -> Result<Option<Arc<ManagedPolicy>>> {
    let invalid = || Error::new(Code::InvalidInput, "Invalid ARN:  Could not be parsed!");
    let arn = Arn::parse(text).ok_or_else(invalid)?;
    let path = arn.resource.strip_prefix("policy/").ok_or_else(invalid)?;
    if arn.service != "iam" || !arn.region.is_empty() {
        return Err(invalid());
    }
    if !arn::is_account(arn.account) || arn.account != account {
        return Ok(None);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let found = service.installation.cache.managed_policy(record::iam::policy(account, &identity::key(name)));
    Ok(found.await?.filter(|policy| policy.arn(service.installation.iam_region()) == text))
}
