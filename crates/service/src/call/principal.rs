//! What decisions take from the caller and from the connection: its policies, and the condition keys that every request
//! carries.

use claviger_policy as policy;
use policy::Values;

use super::{Call, flag, one};
use crate::authn::{Caller, Principal};

/// The policies on the caller's side, with a resource that has none.
pub(super) fn policies(caller: &Caller) -> policy::Policies<'_> {
    let standing = caller.standing();
    policy::Policies {
        resource: policy::ResourceSide::Unguarded,
        grant: policy::Grant::None,
        identity: &standing.effective.identity,
        boundary: standing.effective.boundary.as_deref(),
        session: standing.session_policies.as_deref(),
        endpoint: None,
    }
}

/// The value of a global condition key, without its prefix `aws:` ("AWS global condition context keys").
pub(super) fn value<'a>(call: &'a Call<'_>, name: &str) -> Option<Values<'a>> {
    let subject = &call.subject;
    match name {
        "sourceip" => one(subject.incoming.origin.peer.to_canonical().to_string()),
        "securetransport" => flag(subject.incoming.origin.tls.is_some()),
        "currenttime" => one(subject.now.iso()),
        "epochtime" => one(subject.now.seconds().to_string()),
        "requestedregion" => one(subject.region),
        "useragent" => subject.incoming.header("user-agent").and_then(one),
        "referer" => subject.incoming.header("referer").and_then(one),
        _ => of_caller(subject.caller, name),
    }
}

fn of_caller<'a>(caller: &'a Caller, name: &str) -> Option<Values<'a>> {
    let standing = caller.standing();
    let session = standing.session.as_ref();
    if let Some(wanted) = name.strip_prefix("principaltag/") {
        // Keys are unique without regard to case.
        let (_, value) = standing.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
        return one(value.as_str());
    }
    match name {
        "principalarn" => one(caller.principal_arn()),
        "principalaccount" => one(caller.account()),
        "principaltype" => one(match caller.principal() {
            Principal::Root => "Account",
            Principal::User => "User",
            Principal::RoleSession => "AssumedRole",
        }),
        "principalisawsservice" | "viaawsservice" => flag(false),
        "userid" => one(caller.principal_id()),
        "username" if caller.principal() == Principal::User => {
            standing.identity.as_ref().and_then(|user| one(user.name.as_str()))
        }
        "tokenissuetime" => session.and_then(|session| one(session.issued.iso())),
        // No session has it in this version: there are no devices to ask. Long-term credentials do not carry the key.
        "multifactorauthpresent" => session.and_then(|_| flag(false)),
        "sourceidentity" => session.and_then(|session| session.source_identity.as_deref()).and_then(one),
        _ => None,
    }
}
