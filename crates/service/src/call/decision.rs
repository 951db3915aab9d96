//! How a call is decided: what is asked of the policies and grants, and what is kept of the answer.

use std::sync::Arc;

use claviger_policy as policy;
use claviger_wire::fault::Code;

use super::{Asks, Authorized, Call, Circumstances, principal};
use crate::decided::{self, Guard};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::decision as grants;
use crate::kms::key::Key;
use crate::kms::load;

/// What a decision is about.
#[derive(Clone, Copy)]
pub(super) enum On<'k> {
    Key(&'k Key),
    /// A key whose policy can only deny.
    Denying(&'k Key),
    /// The ARN of something else, or `*`.
    Other(&'k str),
    /// The ARN of a key that is to be made.
    New(&'k str),
}

impl<'k> On<'k> {
    fn key(self) -> Option<&'k Key> {
        match self {
            Self::Key(key) | Self::Denying(key) => Some(key),
            Self::Other(_) | Self::New(_) => None,
        }
    }

    fn resource(self) -> &'k str {
        match self {
            Self::Key(key) | Self::Denying(key) => &key.arn,
            Self::Other(resource) | Self::New(resource) => resource,
        }
    }

    /// As a denial names it: a key that was not made has no name for its caller.
    fn told(self) -> Option<&'k str> {
        match self {
            Self::New(_) => None,
            other => Some(other.resource()),
        }
    }
}

/// A question to the policies.
#[derive(Clone, Copy)]
pub(super) struct Question<'k> {
    pub(super) action: &'static str,
    pub(super) on: On<'k>,
    pub(super) asks: Asks<'k>,
    /// What the key's grants give the caller.
    pub(super) grant: policy::Grant,
}

/// Why something was refused that might have been allowed.
const TOO_MUCH: &str = "the policies and the values of the request take too much work";

/// What telling why something was denied may cost, in bytes: more than it can where the decision was not too much.
const TRACE_WORK: usize = 8 * super::MAX_WORK;

/// A decision; a denial comes with what each layer said.
pub(super) struct Outcome<'a> {
    pub(super) decision: policy::Decision<'a>,
    /// None where it took too much work: then nothing of it says who denied.
    pub(super) trace: Option<policy::Trace<'a>>,
    pub(super) too_much: bool,
}

impl<'a> Outcome<'a> {
    pub(super) fn of(
        work: &policy::Work,
        request: &policy::Request<'_>,
        policies: &policy::Policies<'a>,
    ) -> Self {
        let decision = policy::decide(request, policies);
        Self::told(work, decision, || policy::trace(request, policies))
    }

    /// A decision that has just been made, with its trace where it needs one.
    pub(super) fn told(
        work: &policy::Work,
        decision: policy::Decision<'a>,
        trace: impl FnOnce() -> policy::Trace<'a>,
    ) -> Self {
        if decision.is_allow() {
            return Self { decision, trace: None, too_much: false };
        }
        let too_much = work.is_spent();
        // To tell why takes several times the work of the decision.
        work.refill(TRACE_WORK);
        Self { decision, trace: (!too_much).then(trace), too_much }
    }

    /// Why it was denied. What took too much work is told as what nothing allowed.
    pub(super) fn reason(&self) -> Option<policy::Reason<'a>> {
        match self.decision {
            policy::Decision::Allow(_) => None,
            policy::Decision::Deny(_) if self.too_much => {
                Some(policy::Reason::Implicit(policy::Layer::Identity))
            }
            policy::Decision::Deny(reason) => Some(reason),
        }
    }

    /// The error of a denial: its cause is for the operator.
    pub(super) fn refusal(&self, text: String) -> Error {
        let error = Error::new(Code::AccessDenied, text);
        if self.too_much { error.because(TOO_MUCH) } else { error }
    }
}

impl<'a> Call<'a> {
    /// Decides whether the caller may do `action` with a key. Where the policies neither allow nor deny it, a grant may
    /// allow it: only then are grants looked up.
    pub(crate) async fn authorize(
        &mut self,
        service: &Service,
        action: &'static str,
        key: Arc<Key>,
        asks: Asks<'_>,
    ) -> Result<Authorized<Arc<Key>>> {
        let mut question = Question { action, on: On::Key(&key), asks, grant: policy::Grant::None };
        let mut decision = self.ask(&question, policy::decide);
        let mut grant_id = None;
        if let policy::Decision::Deny(policy::Reason::Implicit(_)) = decision
            && let Some(operation) = grants::operation_of(action)
            && let Some(held) = grants::held(service, self, operation, &key, &asks).await?
        {
            question.grant = held.right;
            decision = self.ask(&question, policy::decide);
            if decision.is_allow() {
                self.hold(|| held.unchanged);
                grant_id = Some(held.id);
            }
        }
        self.conclude(&question, decision, grant_id.as_deref())?;
        self.charge_key(&key, &asks)?;
        match key.is_wanted() {
            true => self.wanted = Some(Arc::clone(&key)),
            false => self.hold(|| load::unchanged(&key)),
        }
        self.hold_owner(&key);
        Ok(Authorized(key))
    }

    /// Decides whether the caller, who has this right to it, may retire a grant on a key. The key policy can only deny
    /// that.
    ///
    /// # Errors
    /// `AccessDeniedException`.
    pub(crate) fn authorize_retirement(
        &mut self,
        key: Arc<Key>,
        right: policy::Grant,
        asks: Asks<'_>,
    ) -> Result<Authorized<Arc<Key>>> {
        let question = Question { action: "kms:RetireGrant", on: On::Denying(&key), asks, grant: right };
        let decision = self.ask(&question, policy::decide);
        self.conclude(&question, decision, None)?;
        self.hold(|| load::unchanged(&key));
        self.hold_owner(&key);
        Ok(Authorized(key))
    }

    /// Decides whether the caller may do `action`, which concerns no key of its own.
    pub(crate) fn authorize_account(
        &mut self,
        action: &'static str,
        asks: Asks<'_>,
    ) -> Result<Authorized<()>> {
        self.authorize_other(action, On::Other("*"), asks)
    }

    /// Decides whether the caller may give tags to the key that it makes, which will have this ARN. It has no policy yet
    /// that could allow it.
    ///
    /// # Errors
    /// `AccessDeniedException`.
    pub(crate) fn authorize_tags_of_new(&mut self, arn: &str, asks: Asks<'_>) -> Result<()> {
        self.authorize_other("kms:TagResource", On::New(arn), asks).map(drop)
    }

    /// Decides whether the caller may do `action` with an alias of its account.
    pub(crate) fn authorize_alias(
        &mut self,
        action: &'static str,
        alias_arn: &str,
    ) -> Result<Authorized<()>> {
        self.touch(&self.subject.caller.account().into(), &alias_arn.into());
        self.authorize_other(action, On::Other(alias_arn), Asks::default())
    }

    /// Decides whether the caller may list what a principal may retire.
    ///
    /// # Errors
    /// `AccessDeniedException`.
    pub(crate) fn authorize_principal(&mut self, action: &'static str, arn: &str) -> Result<Authorized<()>> {
        self.authorize_other(action, On::Other(arn), Asks { of_no_key: true, ..Asks::default() })
    }

    fn authorize_other(
        &mut self,
        action: &'static str,
        on: On<'_>,
        asks: Asks<'_>,
    ) -> Result<Authorized<()>> {
        let question = Question { action, on, asks, grant: policy::Grant::None };
        let decision = self.ask(&question, policy::decide);
        self.conclude(&question, decision, None).map(Authorized)
    }

    /// Whether the caller could still put a policy on the key if it had this one (the lockout safety check). A key that is
    /// to be made is described by what is asked for it.
    pub(crate) fn could_put_policy(
        &self,
        document: &policy::Document,
        (key_arn, key): (&str, Option<&Key>),
        asks: Asks<'_>,
    ) -> bool {
        let context = Circumstances { call: self, key, resource: key_arn, asks };
        let request = policy::Request {
            principal: self.principal(),
            action: "kms:PutKeyPolicy",
            resource: key_arn,
            context: &context,
        };
        policy::would_allow_put_key_policy(document, &request)
    }

    /// Puts a question to the policies that apply.
    fn ask<'k, T>(
        &self,
        question: &Question<'k>,
        answer: impl FnOnce(&policy::Request<'_>, &policy::Policies<'k>) -> T,
    ) -> T
    where
        'a: 'k,
    {
        let &Question { action, on, asks, grant } = question;
        let context = Circumstances { call: self, key: on.key(), resource: on.resource(), asks };
        let principal = self.principal();
        let request = policy::Request { principal, action, resource: on.resource(), context: &context };
        let resource = match on {
            On::Key(key) => {
                policy::ResourceSide::Guarded { policy: &key.policy.document, account: &key.account }
            }
            On::Denying(key) => policy::ResourceSide::Denying { policy: &key.policy.document },
            On::Other(_) | On::New(_) => policy::ResourceSide::Unguarded,
        };
        let policies = policy::Policies { resource, grant, ..principal::policies(&self.subject) };
        answer(&request, &policies)
    }

    /// Records the decision, and gives it in the words of an answer.
    fn conclude<'k>(
        &mut self,
        question: &Question<'k>,
        decision: policy::Decision<'k>,
        grant: Option<&str>,
    ) -> Result<()>
    where
        'a: 'k,
    {
        self.decided = true;
        let caller = self.subject.caller;
        let outcome = Outcome::told(&self.work, decision, || self.ask(question, policy::trace));
        let key = question.on.key();
        let foreign = key.is_some_and(|key| *key.account != *caller.account());
        // The trail of a stranger must not tell it whose key that was, nor that there is one.
        if let Some(key) = key.filter(|_| outcome.decision.is_allow() || !foreign) {
            self.touch(&key.account, &key.arn);
        }
        let (action, resource) = (question.action, question.on.resource());
        let guard = key.map(|key| Guard { name: "key-policy", fingerprint: key.policy.fingerprint });
        self.note(action, resource, &outcome, guard, grant);
        let Some(reason) = outcome.reason() else { return Ok(()) };
        let text = policy::denial_text(caller.arn(), action, question.on.told(), &reason, foreign);
        Err(outcome.refusal(text))
    }

    /// Keeps what was decided, for an explanation; of a grant that allowed it, its id.
    pub(super) fn note(
        &mut self,
        action: &str,
        resource: &str,
        outcome: &Outcome<'_>,
        guard: Option<Guard>,
        grant: Option<&str>,
    ) {
        let standing = self.subject.caller.standing();
        let origins = decided::Origins {
            guard,
            grant,
            effective: &standing.effective,
            session: &standing.session_sources,
            endpoint: self.subject.endpoint,
            region: self.subject.region,
        };
        let on = self.noted(resource);
        match (&outcome.decision, &outcome.trace) {
            (policy::Decision::Allow(grantor), _) => {
                self.draft.decisions.allow(action, on, grantor, &origins);
            }
            (policy::Decision::Deny(_), Some(trace)) => {
                self.draft.decisions.deny(action, on, trace, &origins);
            }
            (policy::Decision::Deny(_), None) => self.draft.decisions.refuse(action, on, TOO_MUCH),
        }
    }

    /// A resource as a decision names it.
    pub(super) fn noted<'r>(&self, resource: &'r str) -> decided::On<'r> {
        let listed = self.draft.resources.iter().position(|listed| *listed.arn == *resource);
        listed.map_or(decided::On::Named(resource), decided::On::Listed)
    }
}
