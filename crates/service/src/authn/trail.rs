//! `userIdentity` of the trail (CloudTrail User Guide, "CloudTrail userIdentity element").

use claviger_wire::line::Line;

use super::principal::{SessionFacts, Standing};
use crate::iam::provider;

/// The names of a caller.
pub(super) struct Who<'a> {
    pub(super) arn: &'a str,
    pub(super) principal_id: &'a str,
    pub(super) region: &'a str,
}

/// Someone whom an identity provider vouches for, as the trail tells it.
pub(super) fn web_identity(principal_id: &str, subject: &str, provider_arn: &str) -> String {
    let mut line = Line::with_capacity(256);
    line.text("type", "WebIdentityUser")
        .text("principalId", principal_id)
        .text("userName", subject)
        .text("identityProvider", provider_arn);
    finish(line)
}

/// Who calls, as the trail tells it.
pub(super) fn identity(
    standing: &Standing,
    who: &Who<'_>,
    access_key_id: &str,
    invoked_by: Option<&str>,
) -> String {
    let session_of_role = standing.session.as_ref().is_some_and(|session| session.name.is_some());
    let federated = standing.session.as_ref().is_some_and(|session| session.federated_user.is_some());
    let kind = match &standing.identity {
        None => "Root",
        Some(_) if session_of_role => "AssumedRole",
        Some(_) if federated => "FederatedUser",
        Some(_) => "IAMUser",
    };
    let mut line = Line::with_capacity(512);
    line.text("type", kind)
        .text("principalId", who.principal_id)
        .text("arn", who.arn)
        .text("accountId", &standing.account)
        .text("accessKeyId", access_key_id);
    if let Some(user) = standing.identity.as_ref().filter(|_| !session_of_role && !federated) {
        line.text("userName", &user.name);
    }
    if let Some(session) = &standing.session {
        line.json("sessionContext", &context(standing, who, session));
    }
    line.optional("invokedBy", invoked_by);
    finish(line)
}

/// A service that calls for itself.
pub(super) fn service(host: &str) -> String {
    let mut line = Line::with_capacity(64);
    line.text("type", "AWSService").text("invokedBy", host);
    finish(line)
}

fn context(standing: &Standing, who: &Who<'_>, session: &SessionFacts) -> String {
    let mut line = Line::with_capacity(256);
    let issuer_kind = match (&session.name, &session.federated_user) {
        (Some(_), _) => Some("Role"),
        (None, Some(_)) => Some("IAMUser"),
        (None, None) => None,
    };
    if let (Some(role), Some(kind)) = (&standing.identity, issuer_kind) {
        let mut issuer = Line::with_capacity(192);
        issuer
            .text("type", kind)
            .text("principalId", &role.id)
            .text("arn", &standing.issuer_arn(who.region))
            .text("accountId", &standing.account)
            .text("userName", &role.name);
        line.json("sessionIssuer", &finish(issuer));
    }
    if let Some(federation) = &session.federation {
        let mut data = Line::with_capacity(128);
        data.text(
            "federatedProvider",
            &provider::arn_of(who.region, &standing.account, &federation.provider),
        )
        .json("attributes", "{}");
        line.json("webIdFederationData", &finish(data));
    }
    let mut attributes = Line::with_capacity(96);
    attributes
        .text("creationDate", &session.issued.iso())
        .text("mfaAuthenticated", if session.mfa.is_some() { "true" } else { "false" });
    line.json("attributes", &finish(attributes));
    line.optional("sourceIdentity", session.source_identity.as_deref());
    finish(line)
}

/// The closed object as text. It was put together from text.
fn finish(line: Line) -> String {
    String::from_utf8(line.finish()).unwrap_or_default()
}
