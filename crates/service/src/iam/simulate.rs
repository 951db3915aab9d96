//! What policies would decide: the policy simulator.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use claviger_policy::{
    Context, Decision, Document, Policies, Principal, Reason, Request, ResourceSide, Values, Work, allowing,
    decide, denying,
};
use claviger_wire::arn::Arn;
use claviger_wire::fault::Code;
use serde::Serialize;

use crate::call::Call;
use crate::decided::Source;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::document;
use crate::iam::effective::Effective;
use crate::iam::identity::{Identity, Kind};
use crate::iam::shapes::{
    ActionName, ActionNames, ContextEntry, ContextKeyType, PolicyDocument, ResourceArns,
};
use crate::query::Members;

/// How one action on one resource would be decided.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Evaluation {
    eval_action_name: String,
    eval_resource_name: String,
    eval_decision: &'static str,
    matched_statements: Members<Matched>,
    missing_context_values: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary_decision_detail: Option<BoundaryDetail>,
}

/// A statement that had a part in the decision, by the policy it stands in.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Matched {
    source_policy_id: String,
    source_policy_type: &'static str,
}

/// What AWS was seen to answer, which its own model does not list.
const SOURCE_POLICY_TYPE: &str = "IAM Policy";

/// There where a permissions boundary applies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BoundaryDetail {
    allowed_by_permissions_boundary: bool,
}

/// The condition keys of a simulation, and those that were asked for and not given.
struct Given<'a> {
    entries: &'a [ContextEntry],
    missing: RefCell<BTreeSet<String>>,
    work: Work,
}

/// Most bytes that a simulation looks at. Some tens of milliseconds; others are served in between.
const MAX_WORK: usize = 32 * 1024 * 1024;
/// What it costs to name a policy in the answer, in bytes that could be looked at instead.
const MATCH_WORK: usize = 512;
/// What it costs to look at a condition key that was given.
const ENTRY_WORK: usize = 8;

impl Context for Given<'_> {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        let named =
            |entry: &&ContextEntry| entry.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(key));
        self.spend(ENTRY_WORK * self.entries.len());
        let Some(entry) = self.entries.iter().find(named) else {
            self.missing.borrow_mut().insert(key.to_owned());
            return None;
        };
        let values = entry.values.as_ref().map_or(&[][..], |values| &values.0);
        let mut texts = values.iter().map(|value| Cow::Borrowed(&**value));
        match entry.kind {
            Some(
                ContextKeyType::StringList
                | ContextKeyType::NumericList
                | ContextKeyType::BooleanList
                | ContextKeyType::IpList
                | ContextKeyType::BinaryList
                | ContextKeyType::DateList,
            ) => Some(Values::Set(texts.collect())),
            _ => texts.next().map(Values::One),
        }
    }

    fn spend(&self, bytes: usize) {
        self.work.spend(bytes);
    }

    fn is_spent(&self) -> bool {
        self.work.is_spent()
    }
}

/// Whose policies are simulated: those that apply, and who asks.
pub(crate) struct Subject {
    policies: Effective,
    /// What each of the policies is called, in their order, and the boundary.
    names: Vec<String>,
    boundary_name: String,
    /// ARN and unique id of a user or role, and its account.
    principal: (String, String, String),
}

impl Subject {
    /// Nobody in particular of an account, without policies.
    pub(crate) fn nobody(account: &str) -> Self {
        Self {
            policies: Effective::default(),
            names: Vec::new(),
            boundary_name: String::new(),
            principal: (String::new(), String::new(), account.to_owned()),
        }
    }

    /// A user, group or role, with the policies that apply to it.
    pub(crate) async fn of(service: &Service, call: &Call<'_>, identity: &Arc<Identity>) -> Result<Self> {
        let policies = Effective::of(&service.installation.cache, identity).await?;
        let names = policies.sources.iter().map(name_of).collect();
        let boundary_name = policies.boundary_source.as_ref().map(name_of).unwrap_or_default();
        let principal = (identity.arn(call.region()), identity.id.clone(), identity.account.to_string());
        Ok(Self { policies, names, boundary_name, principal })
    }

    /// Adds the policies that a request brings along; a permissions boundary takes the place of the one there is.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`.
    pub(crate) fn with(mut self, more: &[PolicyDocument], boundaries: &[PolicyDocument]) -> Result<Self> {
        self.policies.identity.extend(compiled(more)?);
        self.names.extend((1..=more.len()).map(|number| format!("PolicyInputList.{number}")));
        if let Some(boundary) = compiled(boundaries)?.pop() {
            self.policies.boundary = Some(boundary);
            self.boundary_name = format!("PermissionsBoundaryPolicyInputList.{}", boundaries.len());
        }
        Ok(self)
    }

    /// Decides about those of the questions that have these numbers. Each resource is taken to have no policy of its own.
    /// Others are served in between: many long policies take their time.
    ///
    /// # Errors
    /// `InvalidInput` where they and the values given would take more than anybody may have.
    pub(crate) async fn evaluate(
        &self,
        questions: &Questions<'_>,
        entries: &[ContextEntry],
        numbers: Vec<usize>,
    ) -> Result<Vec<Evaluation>> {
        let context = Given { entries, missing: RefCell::default(), work: Work::new(MAX_WORK) };
        let mut evaluations = Vec::new();
        for (action, resource) in numbers.into_iter().filter_map(|number| questions.nth(number)) {
            evaluations.push(self.decide(&context, action, resource));
            if context.work.is_spent() {
                let message = "The policies and values are too many to be simulated in one request.";
                return Err(Error::new(Code::InvalidInput, message));
            }
            tokio::task::yield_now().await;
        }
        Ok(evaluations)
    }

    fn decide(&self, context: &Given<'_>, action: &str, resource: &str) -> Evaluation {
        let (arn, id, account) = &self.principal;
        let request = Request { principal: Principal::User { arn, id, account }, action, resource, context };
        let policies = Policies {
            resource: ResourceSide::Unguarded,
            grant: claviger_policy::Grant::None,
            identity: &self.policies.identity,
            boundary: self.policies.boundary.as_deref(),
            session: None,
            endpoint: None,
        };
        let decision = decide(&request, &policies);
        let missing: Vec<String> = context.missing.take().into_iter().collect();
        let (eval_decision, matched) = match decision {
            Decision::Allow(_) => {
                ("allowed", self.matched(context, |document| allowing(document, &request), None))
            }
            Decision::Deny(Reason::Explicit(_)) => {
                let boundary = self.policies.boundary.as_deref();
                ("explicitDeny", self.matched(context, |document| denying(document, &request), boundary))
            }
            Decision::Deny(Reason::Implicit(_)) => ("implicitDeny", Vec::new()),
        };
        let within =
            |boundary: &Document| allowing(boundary, &request) > 0 && denying(boundary, &request) == 0;
        let detail = self
            .policies
            .boundary
            .as_deref()
            .map(|boundary| BoundaryDetail { allowed_by_permissions_boundary: within(boundary) });
        context.missing.take();
        Evaluation {
            eval_action_name: action.to_owned(),
            eval_resource_name: resource.to_owned(),
            eval_decision,
            matched_statements: matched.into(),
            missing_context_values: missing.into(),
            permissions_boundary_decision_detail: detail,
        }
    }

    /// The policies in which statements had a part, once for each of those.
    fn matched(
        &self,
        context: &Given<'_>,
        count: impl Fn(&Document) -> usize,
        boundary: Option<&Document>,
    ) -> Vec<Matched> {
        let identity = self.policies.identity.iter().map(|document| &**document).zip(&self.names);
        let all = identity.chain(boundary.map(|document| (document, &self.boundary_name)));
        let times = |(document, name): (&Document, &String)| {
            let matched = Matched { source_policy_id: name.clone(), source_policy_type: SOURCE_POLICY_TYPE };
            let count = count(document);
            context.spend(MATCH_WORK * count);
            vec![matched; if context.is_spent() { 0 } else { count }]
        };
        all.flat_map(times).collect()
    }
}

/// As the simulator calls a policy: a managed one by its name, an inline one by its holder's as well.
fn name_of(source: &Source) -> String {
    match source {
        Source::Managed(policy) => policy.name.clone(),
        Source::Inline(holder, index) => {
            let inline = holder.inline.get(*index).map(|inline| &*inline.name).unwrap_or_default();
            format!("{}_{}_{inline}", holder.kind.word(), holder.name)
        }
        Source::Session(_) => String::new(),
    }
}

/// What is simulated: each action on each resource, in their order; on `*` where there is none.
pub(crate) struct Questions<'a> {
    actions: &'a [ActionName],
    resources: Vec<Cow<'a, str>>,
}

impl<'a> Questions<'a> {
    pub(crate) fn of(actions: &'a ActionNames, resources: Option<&'a ResourceArns>) -> Self {
        let named = resources.map_or(&[][..], |resources| &resources.0);
        let mut resources: Vec<Cow<'a, str>> = named.iter().map(|name| Cow::Borrowed(&**name)).collect();
        if resources.is_empty() {
            resources.push(Cow::Borrowed("*"));
        }
        Self { actions: &actions.0, resources }
    }

    pub(crate) fn count(&self) -> usize {
        self.actions.len().saturating_mul(self.resources.len())
    }

    fn nth(&self, number: usize) -> Option<(&str, &str)> {
        let count = self.resources.len();
        let action = self.actions.get(number.checked_div(count)?)?;
        Some((action, self.resources.get(number.checked_rem(count)?)?))
    }
}

/// Kind and name of the identity of an ARN, of the caller's account.
///
/// # Errors
/// `InvalidInput`.
pub(crate) fn source(call: &Call<'_>, text: &str) -> Result<(Kind, String)> {
    let invalid = || {
        Error::new(
            Code::InvalidInput,
            format!("Invalid Entity Arn: {text} does not clearly define entity type and name."),
        )
    };
    let arn = Arn::parse(text).filter(|arn| arn.service == "iam" && arn.account == call.caller().account());
    let (word, rest) = arn.and_then(|arn| arn.resource.split_once('/')).ok_or_else(invalid)?;
    let kind = Kind::of_word(word).ok_or_else(invalid)?;
    Ok((kind, rest.rsplit('/').next().unwrap_or_default().to_owned()))
}

/// Refuses what the simulator does not take into account: leaving it out would give a wrong answer.
pub(crate) fn only_identities(members: &[(&str, bool)]) -> Result<()> {
    match members.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Error::new(
            Code::UnsupportedOperation,
            format!("{name} is not served by this version of Claviger."),
        )),
        None => Ok(()),
    }
}

fn compiled(documents: &[PolicyDocument]) -> Result<Vec<Arc<Document>>> {
    documents.iter().map(|text| document::parse_identity(text).map(Arc::new)).collect()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context as Waiting, Poll, Waker};

    use claviger_wire::codec::{self, Member};
    use claviger_wire::json::Value;

    use super::*;

    /// 256 texts that begin with `word`, as a member of a request.
    fn names<T: Member>(word: &str) -> T {
        let texts = (0..256).map(|number| Value::String(format!("{word}{number}").into()));
        codec::decode(&Value::Array(texts.collect())).unwrap()
    }

    /// The largest request: a page is all that is decided, and others are served between any two decisions.
    #[test]
    fn a_simulation_decides_a_page_and_lets_others_in_between() {
        let (actions, resources) = (names("kms:"), names("arn:aws:kms:::key/"));
        let questions = Questions::of(&actions, Some(&resources));
        assert_eq!(questions.count(), 65_536);
        let subject = Subject::nobody("111122223333");
        let check = |numbers: Vec<usize>, expected: &[(&str, &str)]| {
            let mut work = pin!(subject.evaluate(&questions, &[], numbers));
            let mut pauses = 0;
            let evaluations = loop {
                match work.as_mut().poll(&mut Waiting::from_waker(Waker::noop())) {
                    Poll::Ready(evaluations) => break evaluations.unwrap(),
                    Poll::Pending => pauses += 1,
                }
            };
            let of = |it: &Evaluation| (it.eval_action_name.clone(), it.eval_resource_name.clone());
            let expected: Vec<_> = expected
                .iter()
                .map(|(a, r)| (format!("kms:{a}"), format!("arn:aws:kms:::key/{r}")))
                .collect();
            assert_eq!(evaluations.iter().map(of).collect::<Vec<_>>(), expected);
            assert_eq!(pauses, expected.len());
        };
        check(vec![255, 256, 257], &[("0", "255"), ("1", "0"), ("1", "1")]);
        check(vec![65_535, 65_536], &[("255", "255")]);
        check(vec![], &[]);
    }
}
