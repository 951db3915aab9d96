//! Forward access: whom a service calls for, proven by the signature that its user made for that service.
//!
//! The signature verifies against the user's own secret, which the HSM holds, for the scope of the very service that
//! passes it on; it is fresh; and the user stands as it stands now. So a service can call for nobody who did not ask it
//! to, and nobody but a service can call for another at all.

use std::sync::Arc;

use claviger_wire::arn::{self, Arn};
use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::{Claim, Refusal};
use http::HeaderName;

use super::{Caller, Found, Standing, standing, verify};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::services::ServiceIdentity;

/// The user's signature ([`Claim::forwarded`]).
const FORWARD_ACCESS: HeaderName = HeaderName::from_static("x-amz-forward-access");
/// The user's session token, if it has one.
const FORWARD_TOKEN: HeaderName = HeaderName::from_static("x-amz-forward-access-token");
/// The resource of the service that the call is for.
const SOURCE_ARN: HeaderName = HeaderName::from_static("x-amz-source-arn");
/// The account that owns it.
const SOURCE_ACCOUNT: HeaderName = HeaderName::from_static("x-amz-source-account");
/// Longest ARN of a resource, in bytes.
const MAX_ARN_LEN: usize = 2048;

/// The service that makes a call.
#[derive(Debug, Clone)]
pub(crate) struct Through {
    pub(crate) service: Arc<ServiceIdentity>,
    /// Whether it calls on behalf of the principal (a forward access session), or for itself.
    pub(crate) on_behalf: bool,
    pub(crate) source_arn: Option<String>,
    pub(crate) source_account: Option<String>,
}

/// The caller of a request that a service has signed. Where what it passes on does not hold, that is the service, with
/// the reason why nothing is done for it: it has authenticated itself, so there is an event.
pub(super) async fn caller(
    service: &Service,
    incoming: &Incoming,
    identity: &Arc<ServiceIdentity>,
    region: &str,
    now: Moment,
) -> Result<Caller> {
    let itself = || Through {
        service: Arc::clone(identity),
        on_behalf: false,
        source_arn: None,
        source_account: None,
    };
    let refuse = |why: String| Ok(Caller::of_service(itself(), region).refused(why));
    let (source_arn, source_account) = match source(incoming) {
        Ok(source) => source,
        Err(why) => return refuse(why),
    };
    let through = Through { source_arn, source_account, ..itself() };
    if !incoming.headers.contains_key(&FORWARD_ACCESS) {
        return match incoming.headers.contains_key(&FORWARD_TOKEN) {
            true => refuse(format!("{FORWARD_TOKEN} needs {FORWARD_ACCESS}.")),
            false => Ok(Caller::of_service(through, region)),
        };
    }
    match user(service, incoming, identity, region, now).await? {
        Ok((standing, access_key_id)) => {
            Ok(Caller::behind(Through { on_behalf: true, ..through }, standing, &access_key_id, region))
        }
        Err(refusal) => {
            let why = refusal.message();
            refuse(format!("The forward access that {} presents is not valid: {why}", identity.host))
        }
    }
}

/// Marks a caller that is no service and presents forward access. To do nothing of what it asks is safer than to do it
/// under its own name: that is not what it asked for.
pub(super) fn unless_presented(incoming: &Incoming, caller: Arc<Caller>) -> Arc<Caller> {
    if incoming.headers.contains_key(&FORWARD_ACCESS) || incoming.headers.contains_key(&FORWARD_TOKEN) {
        let why = format!("User: {} is not a service, which alone may present forward access.", caller.arn());
        return Arc::new(Caller::clone(&caller).refused(why));
    }
    caller
}

/// The user whose signature is passed on, and the access key that made it.
async fn user(
    service: &Service,
    incoming: &Incoming,
    identity: &ServiceIdentity,
    region: &str,
    now: Moment,
) -> Result<Result<(Standing, String), Refusal>> {
    let presented = incoming.header(&FORWARD_ACCESS).unwrap_or_default();
    let token = incoming.header(&FORWARD_TOKEN);
    if token.is_none() && incoming.headers.contains_key(&FORWARD_TOKEN) {
        return Ok(Err(Refusal::UnrecognizedClient));
    }
    let claim = Claim::forwarded(presented, token);
    // The user's request was to this service, in the Region of this call.
    let claim = claim.and_then(|claim| claim.check_scope(&identity.name, |it| it == region, now.seconds()));
    let claim = match claim {
        Ok(claim) => claim,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (found, verified, _) = match verify(service, claim, now).await {
        Ok(verified) => verified,
        Err(error) => return refusal(error).map(Err),
    };
    if matches!(found, Found::Service(_)) {
        // A service is nobody's user.
        return Ok(Err(Refusal::UnrecognizedClient));
    }
    let standing = standing(service, verified.access_key_id(), &found).await?;
    let access_key_id = verified.access_key_id().to_owned();
    Ok(standing.map(|standing| (standing, access_key_id)).ok_or(Refusal::UnrecognizedClient))
}

/// A user's refusal as the service's; what failed on our side stays a failure.
fn refusal(error: Error) -> Result<Refusal> {
    use claviger_wire::fault::Code;
    match error.code {
        Code::ExpiredToken => Ok(Refusal::ExpiredToken),
        Code::UnrecognizedClient => Ok(Refusal::UnrecognizedClient),
        Code::InvalidSignature | Code::IncompleteSignature => {
            Ok(Refusal::InvalidSignature(error.message.unwrap_or_default()))
        }
        _ => Err(error),
    }
}

/// The resource that a service says it calls for, and its account.
fn source(incoming: &Incoming) -> Result<(Option<String>, Option<String>), String> {
    let once = |name: HeaderName| match (incoming.headers.contains_key(&name), incoming.header(&name)) {
        (true, None) => Err(format!("{name} must stand once, and be visible ASCII.")),
        (_, value) => Ok(value.map(str::to_owned)),
    };
    let (source_arn, account) = (once(SOURCE_ARN)?, once(SOURCE_ACCOUNT)?);
    if source_arn.as_ref().is_some_and(|text| text.len() > MAX_ARN_LEN || Arn::parse(text).is_none()) {
        return Err(format!("{SOURCE_ARN} is not an ARN."));
    }
    if account.as_ref().is_some_and(|text| !arn::is_account(text)) {
        return Err(format!("{SOURCE_ACCOUNT} is not an account."));
    }
    Ok((source_arn, account))
}
