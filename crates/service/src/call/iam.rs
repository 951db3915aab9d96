//! Decisions about what IAM and STS do.

use std::borrow::Cow;

use claviger_policy as policy;
use claviger_wire::fault::Code;
use policy::{Finding, Values};

use super::decision::Outcome;
use super::{Authorized, Call, one, principal};
use crate::authn::Principal;
use crate::decided::Guard;
use crate::error::{Error, Result};
use crate::iam::identity::Identity;

/// Pairs of key and value.
pub(crate) type Tags = [(String, String)];

/// What of a request to IAM or STS conditions may ask for.
#[derive(Default, Clone, Copy)]
pub(crate) struct IamAsks<'a> {
    /// Tags of the entity.
    pub(crate) resource_tags: Option<&'a Tags>,
    /// Tags that the request gives.
    pub(crate) tags: Option<&'a Tags>,
    /// Keys of tags that the request takes away.
    pub(crate) tag_keys: Option<&'a [String]>,
    /// ARN of the managed policy that is attached or detached.
    pub(crate) policy_arn: Option<&'a str>,
    /// ARN of the permissions boundary that is put, or that the entity has.
    pub(crate) boundary: Option<&'a str>,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) session_name: Option<&'a str>,
    pub(crate) source_identity: Option<&'a str>,
    pub(crate) transitive: Option<&'a [String]>,
    /// Whether the request itself brings a code of a device that was right.
    pub(crate) mfa: bool,
}

struct Circumstances<'a, 'c> {
    call: &'a Call<'c>,
    action: &'static str,
    asks: IamAsks<'a>,
    /// ARN of the resource, or `*`.
    resource: &'a str,
}

fn set(texts: &[String]) -> Option<Values<'_>> {
    Some(Values::Set(texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect()))
}

fn tag<'a>(tags: Option<&'a Tags>, wanted: &str) -> Option<Values<'a>> {
    let (_, value) = tags?.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
    one(value.as_str())
}

impl policy::Context for Circumstances<'_, '_> {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        let asks = &self.asks;
        match key.split_once(':')? {
            ("aws" | "iam", name) if name.starts_with("resourcetag/") => {
                tag(asks.resource_tags, name.split_once('/')?.1)
            }
            ("aws", name) if name.starts_with("requesttag/") => tag(asks.tags, name.split_once('/')?.1),
            ("aws", "tagkeys") => match (asks.tags, asks.tag_keys) {
                (Some(tags), _) => {
                    Some(Values::Set(tags.iter().map(|(key, _)| Cow::Borrowed(key.as_str())).collect()))
                }
                (None, keys) => keys.and_then(set),
            },
            ("aws", "multifactorauthpresent") if asks.mfa => one("true"),
            ("aws", "multifactorauthage") if asks.mfa => one("0"),
            ("aws", "resourceaccount") => principal::resource_account(self.call, self.resource),
            ("aws", name) => principal::value(self.call, name),
            ("iam", "policyarn") => asks.policy_arn.and_then(one),
            ("iam", "permissionsboundary") if changes_permissions(self.action) => asks.boundary.and_then(one),
            ("sts", "externalid") => asks.external_id.and_then(one),
            ("sts", "rolesessionname") => asks.session_name.and_then(one),
            ("sts", "sourceidentity") => asks.source_identity.and_then(one),
            ("sts", "transitivetagkeys") => asks.transitive.and_then(set),
            _ => principal::of_provider(self.call.subject.caller, key),
        }
    }

    fn spend(&self, bytes: usize) {
        self.call.work.spend(bytes);
    }

    fn is_spent(&self) -> bool {
        self.call.work.is_spent()
    }
}

/// Whether a request for an action says what bounds the user or role that it is about (`iam:PermissionsBoundary`; Service
/// Authorization Reference, "Condition keys for AWS Identity and Access Management").
fn changes_permissions(action: &str) -> bool {
    let of = |name: &str| ["User", "Role"].iter().any(|kind| name.replace("{}", kind) == action);
    [
        "iam:Create{}",
        "iam:Put{}Policy",
        "iam:Delete{}Policy",
        "iam:Attach{}Policy",
        "iam:Detach{}Policy",
        "iam:Put{}PermissionsBoundary",
        "iam:Delete{}PermissionsBoundary",
    ]
    .into_iter()
    .any(of)
}

impl Call<'_> {
    /// Decides whether the caller may do `action` with an entity of IAM in its own account.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn authorize_iam(
        &mut self,
        action: &'static str,
        resource: &str,
        asks: IamAsks<'_>,
    ) -> Result<Authorized<()>> {
        self.decided = true;
        let context = Circumstances { call: self, action, asks, resource };
        let request = policy::Request { principal: self.principal(), action, resource, context: &context };
        let outcome = Outcome::of(&self.work, &request, &principal::policies(&self.subject));
        self.note(action, resource, &outcome, None, None);
        let Some(reason) = outcome.reason() else { return Ok(Authorized(())) };
        let text = policy::denial_text(self.subject.caller.arn(), action, Some(resource), &reason, false);
        Err(outcome.refusal(text))
    }

    /// Decides about an action that needs no permission and that no policy of the caller's can deny. What stands between
    /// is the policy of a VPC endpoint ("Control access to AWS STS with VPC endpoint policies": one that allows only
    /// `AssumeRole` "blocks other AWS STS actions such as `GetCallerIdentity`").
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn needs_no_permission(&mut self, action: &'static str) -> Result<()> {
        const ON: &str = "*";
        self.decided = true;
        let context = Circumstances { call: self, action, asks: IamAsks::default(), resource: ON };
        let request =
            policy::Request { principal: self.principal(), action, resource: ON, context: &context };
        let policies = policy::Policies {
            identity: &[],
            boundary: None,
            session: None,
            ..principal::policies(&self.subject)
        };
        let trace = policy::Trace { identity: Finding::Absent, ..policy::trace(&request, &policies) };
        match (trace.endpoint, trace.conclusion()) {
            (Finding::Silent(_) | Finding::Denies(_), decision @ policy::Decision::Deny(reason)) => {
                self.note(action, ON, &Outcome { decision, trace: Some(trace), too_much: false }, None, None);
                let text = policy::denial_text(self.subject.caller.arn(), action, Some(ON), &reason, false);
                Err(Error::new(Code::AccessDenied, text))
            }
            _ => {
                self.draft.decisions.needs_none();
                Ok(())
            }
        }
    }

    /// Decides whether the caller may assume a role: by the role's trust policy and its own policies, for each of the
    /// actions. A role that does not exist answers like one that does not trust the caller.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn authorize_assume<'r>(
        &mut self,
        actions: &[&'static str],
        role: Option<&'r Identity>,
        role_arn: &str,
        asks: IamAsks<'_>,
    ) -> Result<Authorized<&'r Identity>> {
        self.decided = true;
        if self.subject.caller.principal() == Principal::Root {
            for action in actions {
                let on = self.noted(role_arn);
                self.draft.decisions.refuse(action, on, "root users may not assume roles");
            }
            return Err(Error::new(Code::AccessDenied, "Roles may not be assumed by root accounts."));
        }
        for action in actions {
            let allowed = self.is_trusted(role, action, role_arn, asks);
            if !allowed {
                let caller = self.subject.caller.arn();
                let text =
                    format!("User: {caller} is not authorized to perform: {action} on resource: {role_arn}");
                return Err(Error::new(Code::AccessDenied, text));
            }
        }
        let role = role.ok_or_else(|| Error::internal("a role that is not there was allowed"))?;
        self.hold_role(role);
        Ok(Authorized(role))
    }

    /// Decides whether someone whom an identity provider vouches for may assume a role: by the role's trust policy alone,
    /// for each of the actions. A role that does not exist answers like one that does not trust the provider.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn authorize_web_identity<'r>(
        &mut self,
        actions: &[&'static str],
        role: Option<&'r Identity>,
        asks: IamAsks<'_>,
    ) -> Result<Authorized<&'r Identity>> {
        self.decided = true;
        let arn = role.map(|role| role.arn(self.subject.region)).unwrap_or_default();
        let own = role.filter(|role| *role.account == *self.subject.caller.account());
        for action in actions {
            let allowed = self.is_trusted(own, action, &arn, asks);
            if !allowed {
                return Err(Error::new(Code::AccessDenied, format!("Not authorized to perform {action}")));
            }
        }
        self.charge_let_in()?;
        let role = role.ok_or_else(|| Error::internal("a role that is not there was allowed"))?;
        self.hold_role(role);
        Ok(Authorized(role))
    }

    /// Whether a role's trust policy, and the caller's own policies, allow the caller an action with the role.
    fn is_trusted(
        &mut self,
        role: Option<&Identity>,
        action: &'static str,
        role_arn: &str,
        asks: IamAsks<'_>,
    ) -> bool {
        let Some((role, it)) = role.and_then(|role| role.role.as_ref().map(|it| (role, it))) else {
            let on = self.noted(role_arn);
            self.draft.decisions.refuse(action, on, "there is no such role");
            return false;
        };
        let trust = policy::ResourceSide::Guarded { policy: &it.trust.document, account: &role.account };
        let policies = policy::Policies { resource: trust, ..principal::policies(&self.subject) };
        let context = Circumstances { call: self, action, asks, resource: role_arn };
        let principal = self.principal();
        let request = policy::Request { principal, action, resource: role_arn, context: &context };
        let outcome = Outcome::of(&self.work, &request, &policies);
        let guard = Guard { name: "trust-policy", fingerprint: it.trust.fingerprint };
        self.note(action, role_arn, &outcome, Some(guard), None);
        outcome.decision.is_allow()
    }
}
