//! What decisions take from the caller and from the connection: its policies, and the condition keys that every request
//! carries.

use std::borrow::Cow;

use claviger_policy as policy;
use claviger_wire::arn::{self, Arn};
use http::header::{REFERER, USER_AGENT};
use policy::Values;

use super::{Call, flag, one};
use crate::audit::Subject;
use crate::authn::{Caller, Principal, Through};
use crate::endpoint::Endpoint;
use crate::iam::provider;

/// The policies on the caller's side, with a resource that has none.
pub(super) fn policies<'a>(subject: &Subject<'a>) -> policy::Policies<'a> {
    let standing = subject.caller.standing();
    policy::Policies {
        resource: policy::ResourceSide::Unguarded,
        grant: policy::Grant::None,
        identity: &standing.effective.identity,
        boundary: standing.effective.boundary.as_deref(),
        session: standing.session_policies.as_deref(),
        endpoint: subject.endpoint.and_then(Endpoint::policy),
    }
}

/// The account of a resource (`aws:ResourceAccount`). What has none, as `*`, is the caller's own (inferred).
pub(super) fn resource_account<'a>(call: &'a Call<'_>, resource: &'a str) -> Option<Values<'a>> {
    let caller = call.subject.caller;
    match Arn::parse(resource).filter(|arn| arn::is_account(arn.account)) {
        Some(arn) => one(arn.account),
        None if caller.principal() == Principal::Service => None,
        None => one(caller.account()),
    }
}

/// The value of a global condition key, without its prefix `aws:` ("AWS global condition context keys").
pub(super) fn value<'a>(call: &'a Call<'_>, name: &str) -> Option<Values<'a>> {
    let subject = &call.subject;
    let peer = || subject.incoming.origin.peer.to_canonical().to_string();
    match name {
        // Where the user is who asked the service, nobody here knows; where the service is, nobody asks.
        "sourceip" | "vpcsourceip" | "sourcevpce" | "sourcevpc" | "sourcevpcarn" | "vpceaccount"
            if subject.caller.through().is_some() =>
        {
            None
        }
        // A request has a public address, or one of a network that it came through an endpoint from; never both.
        "sourceip" if subject.endpoint.is_none() => one(peer()),
        "vpcsourceip" => subject.endpoint.and_then(|_| one(peer())),
        "sourcevpce" => subject.endpoint.and_then(|endpoint| one(&**endpoint.id())),
        "sourcevpc" => subject.endpoint.and_then(|endpoint| one(endpoint.vpc())),
        "sourcevpcarn" => subject.endpoint.and_then(|endpoint| {
            let (region, account, vpc) = (subject.region, endpoint.account(), endpoint.vpc());
            one(format!("arn:{}:ec2:{region}:{account}:vpc/{vpc}", arn::partition(region)))
        }),
        "vpceaccount" => subject.endpoint.and_then(|endpoint| one(endpoint.account())),
        "securetransport" => flag(subject.incoming.origin.tls.is_some()),
        "currenttime" => one(subject.now.iso()),
        "epochtime" => one(subject.now.seconds().to_string()),
        "requestedregion" => one(subject.region),
        "useragent" => subject.incoming.header(&USER_AGENT).and_then(one),
        "referer" => subject.incoming.header(&REFERER).and_then(one),
        "multifactorauthage" => {
            let shown = subject.caller.standing().session.as_ref()?.mfa?;
            one(subject.now.seconds().saturating_sub(shown.seconds()).to_string())
        }
        _ => of_caller(subject.caller, name),
    }
}

/// `kms:CallerAccount`. Services have no account.
pub(super) fn caller_account(caller: &Caller) -> Option<Values<'_>> {
    (caller.principal() != Principal::Service).then(|| one(caller.account())).flatten()
}

/// `kms:ViaService`: the service, where it calls on behalf of its user.
pub(super) fn via_service<'a>(subject: &Subject<'a>) -> Option<Values<'a>> {
    let through = subject.caller.through().filter(|through| through.on_behalf)?;
    one(through.service.in_region(subject.region))
}

/// What a request from a service carries of it; the rest of a service's own request is absent.
fn of_service<'a>(caller: &'a Caller, through: &'a Through, name: &str) -> Option<Values<'a>> {
    let host = || one(through.service.host.as_str());
    match (name, through.on_behalf) {
        ("viaawsservice", _) => flag(caller.is_via_service()),
        ("principalisawsservice", on_behalf) => flag(!on_behalf),
        ("calledviafirst" | "calledvialast", true) => host(),
        ("calledvia", true) => Some(Values::Set(vec![through.service.host.as_str().into()])),
        ("principalservicename", false) => host(),
        ("principalservicenameslist", false) => Some(Values::Set(vec![
            through.service.host.as_str().into(),
            through.service.in_region(caller.region()).into(),
        ])),
        ("sourcearn", false) => caller.source_arn().and_then(one),
        ("sourceaccount", false) => through.source_account.as_deref().and_then(one),
        _ => None,
    }
}

/// The value of a condition key of an identity provider: its address, and the name of a claim ("Available keys for AWS
/// OIDC federation"). Those of the caller's own provider only.
pub(super) fn of_provider<'a>(caller: &'a Caller, key: &str) -> Option<Values<'a>> {
    let federation = caller.federation()?;
    let (address, name) = key.split_at_checked(federation.provider.len())?;
    if !address.eq_ignore_ascii_case(&federation.provider) {
        return None;
    }
    let name = name.strip_prefix(':')?;
    let claim = federation.claims.iter().find(|claim| claim.name == name)?;
    let values: Vec<_> = claim.values.iter().map(|value| Cow::Borrowed(value.as_str())).collect();
    match (values.as_slice(), name) {
        (_, "amr") => Some(Values::Set(values)),
        ([value], _) => Some(Values::One(value.clone())),
        // A single-valued key: what is allowed must hold for each.
        _ => Some(Values::Conflicting(values)),
    }
}

fn of_caller<'a>(caller: &'a Caller, name: &str) -> Option<Values<'a>> {
    if let Some(through) = caller.through() {
        let found = of_service(caller, through, name);
        if found.is_some() || !through.on_behalf {
            return found;
        }
    }
    let standing = caller.standing();
    let session = standing.session.as_ref();
    if let Some(wanted) = name.strip_prefix("principaltag/") {
        // Keys are unique without regard to case.
        let (_, value) = standing.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
        return one(value.as_str());
    }
    match name {
        // Whom a provider vouches for is no principal of AWS's yet ("Control access to AWS STS with VPC endpoint
        // policies").
        "principalarn" | "principalaccount" | "principalisawsservice" | "userid"
            if caller.principal() == Principal::WebIdentity =>
        {
            None
        }
        "principalarn" => one(caller.principal_arn()),
        "principalaccount" => one(caller.account()),
        "principaltype" => one(match caller.principal() {
            Principal::Root => "Account",
            Principal::User => "User",
            Principal::RoleSession => "AssumedRole",
            Principal::Service => return None,
            Principal::WebIdentity | Principal::FederatedUser => "FederatedUser",
        }),
        "federatedprovider" => caller.federation().and_then(|federation| {
            one(provider::arn_of(caller.region(), caller.account(), &federation.provider))
        }),
        "principalisawsservice" | "viaawsservice" => flag(false),
        "userid" => one(caller.principal_id()),
        "username" if caller.principal() == Principal::User => {
            standing.identity.as_ref().and_then(|user| one(user.name.as_str()))
        }
        "tokenissuetime" => session.and_then(|session| one(session.issued.iso())),
        // Long-term credentials do not carry the key.
        "multifactorauthpresent" => session.and_then(|session| flag(session.mfa.is_some())),
        "sourceidentity" => session.and_then(|session| session.source_identity.as_deref()).and_then(one),
        _ => None,
    }
}
