//! One call in progress: who calls, when, what was decided, and what the trail will say of it.

pub(crate) mod iam;
mod principal;

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use claviger_hsm_proto::MaterialId;
use claviger_policy as policy;
use claviger_store::{Commit, Precondition, Write};
use claviger_wire::fault::Code;
use serde::Serialize;

use crate::audit::{self, Draft, Resource, Subject};
use crate::authn::Caller;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::key::Key;
use crate::kms::shapes::{EncryptionAlgorithm, KeySpec, KeyUsage, Origin, Tag, TagKey};
use crate::moment::Moment;
use crate::outbox;

/// Proof that the caller may do what it asked with `T`. Only [`Call::authorize`] and its siblings make it.
#[derive(Debug)]
pub struct Authorized<T>(T);

impl<T> Deref for Authorized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What of the request conditions may ask for, beside what every request carries.
#[derive(Default, Clone, Copy)]
pub(crate) struct Asks<'a> {
    pub(crate) encryption_context: Option<&'a EncryptionContext>,
    pub(crate) encryption_algorithm: Option<EncryptionAlgorithm>,
    /// Alias name, `alias/` included, when the request names its key by an alias.
    pub(crate) request_alias: Option<&'a str>,
    pub(crate) bypass_lockout_check: Option<bool>,
    pub(crate) policy_name: Option<&'a str>,
    pub(crate) pending_window_days: Option<u16>,
    pub(crate) reencrypt_on_same_key: Option<bool>,
    pub(crate) tags: Option<&'a [Tag]>,
    pub(crate) tag_keys: Option<&'a [TagKey]>,
    /// Spec, usage and origin of a key that is to be made.
    pub(crate) new_key: Option<(KeySpec, KeyUsage, Origin)>,
}

/// A call that is being carried out.
pub struct Call<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) draft: Draft,
    decided: bool,
    /// The event as it was committed together with the call's effect.
    pub(crate) committed: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(subject: Subject<'a>) -> Self {
        Self { subject, draft: Draft::default(), decided: false, committed: None }
    }

    /// Forgets what an attempt recorded, so that the next decides anew.
    pub(crate) fn start_over(&mut self) {
        let parameters = self.draft.parameters.take();
        self.draft = Draft { parameters, ..Draft::default() };
        self.decided = false;
    }

    /// Refuses to go on with a call for which no decision was asked: a fault of the program, never a success.
    pub(crate) fn must_be_decided(&self) -> Result<()> {
        if self.decided {
            Ok(())
        } else {
            Err(Error::internal("the operation made no authorization decision"))
        }
    }

    /// Who calls.
    pub fn caller(&self) -> &'a Caller {
        self.subject.caller
    }

    /// When the call came in; read once.
    pub fn now(&self) -> Moment {
        self.subject.now
    }

    /// Region the call is for.
    pub fn region(&self) -> &'a str {
        self.subject.region
    }

    /// Decides whether the caller may do `action` with a key.
    pub(crate) fn authorize(
        &mut self,
        action: &'static str,
        key: Arc<Key>,
        asks: Asks<'_>,
    ) -> Result<Authorized<Arc<Key>>> {
        let decision = self.decide(action, Some(&key), &key.arn, asks);
        // The trail of a stranger must not tell it whose key that was, nor that there is one.
        if decision.is_ok() || *key.account == *self.subject.caller.account() {
            self.touch(&key.account, &key.arn);
        }
        decision.map(|()| Authorized(key))
    }

    /// Decides whether the caller may do `action`, which concerns no key of its own.
    pub(crate) fn authorize_account(
        &mut self,
        action: &'static str,
        asks: Asks<'_>,
    ) -> Result<Authorized<()>> {
        self.decide(action, None, "*", asks)?;
        Ok(Authorized(()))
    }

    /// Decides whether the caller may do `action` with an alias of its account.
    pub(crate) fn authorize_alias(
        &mut self,
        action: &'static str,
        alias_arn: &str,
    ) -> Result<Authorized<()>> {
        self.touch(&self.subject.caller.account().into(), &alias_arn.into());
        self.decide(action, None, alias_arn, Asks::default())?;
        Ok(Authorized(()))
    }

    /// Records that this operation needs no permission (`sts:GetCallerIdentity`).
    pub(crate) fn needs_no_permission(&mut self) {
        self.decided = true;
    }

    /// Whether the caller could still put a policy on the key if it had this one (the lockout safety check).
    pub(crate) fn could_put_policy(
        &self,
        document: &policy::Document,
        key_arn: &str,
        asks: Asks<'_>,
    ) -> bool {
        let context = Circumstances { call: self, key: None, asks };
        let request = policy::Request {
            principal: self.principal(),
            action: "kms:PutKeyPolicy",
            resource: key_arn,
            context: &context,
        };
        policy::would_allow_put_key_policy(document, &request)
    }

    fn decide(
        &mut self,
        action: &'static str,
        key: Option<&Key>,
        resource: &str,
        asks: Asks<'_>,
    ) -> Result<()> {
        self.decided = true;
        let context = Circumstances { call: self, key, asks };
        let request = policy::Request { principal: self.principal(), action, resource, context: &context };
        let policies = policy::Policies {
            resource: match key {
                Some(key) => {
                    policy::ResourceSide::Guarded { policy: &key.policy.document, account: &key.account }
                }
                None => policy::ResourceSide::Unguarded,
            },
            ..principal::policies(self.subject.caller)
        };
        match policy::decide(&request, &policies) {
            policy::Decision::Allow(_) => Ok(()),
            policy::Decision::Deny(reason) => {
                let foreign = key.is_some_and(|key| *key.account != *self.subject.caller.account());
                let text = policy::denial_text(self.subject.caller.arn(), action, resource, &reason, foreign);
                Err(Error::new(Code::AccessDenied, text))
            }
        }
    }

    fn principal(&self) -> policy::Principal<'a> {
        self.subject.caller.as_policy_principal()
    }

    /// The answer of a dry run that would have succeeded.
    pub(crate) fn not_dry_run(&self, dry_run: Option<bool>) -> Result<()> {
        if dry_run == Some(true) {
            let message = "The request would have succeeded, but the DryRun option is set.";
            return Err(Error::new(Code::DryRunOperation, message));
        }
        Ok(())
    }

    /// Notes a resource that the call touches.
    pub(crate) fn touch(&mut self, account: &Arc<str>, arn: &Arc<str>) {
        if !self.draft.resources.iter().any(|resource| resource.arn == *arn) {
            self.draft.resources.push(Resource { account_id: Arc::clone(account), arn: Arc::clone(arn) });
        }
    }

    /// Notes the request as the trail shows it.
    pub(crate) fn set_parameters(&mut self, request: &impl Serialize) -> Result<()> {
        self.draft.parameters = Some(raw(request)?);
        Ok(())
    }

    /// Notes what the trail shows of the answer.
    pub(crate) fn set_response(&mut self, elements: &impl Serialize) -> Result<()> {
        self.draft.response_elements = Some(raw(elements)?);
        Ok(())
    }

    /// Notes the key's ARN as the answer: what management operations show, also those that answer nothing.
    pub(crate) fn set_response_key(&mut self, key: &Key) -> Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Elements<'a> {
            key_id: &'a str,
        }
        self.set_response(&Elements { key_id: &key.arn })
    }

    /// Notes which key material was used.
    pub(crate) fn set_material(&mut self, material: MaterialId) -> Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Additional {
            key_material_id: String,
        }
        self.draft.additional = Some(raw(&Additional { key_material_id: material.to_hex() })?);
        Ok(())
    }

    /// Notes what else the trail shows.
    pub(crate) fn set_additional(&mut self, additional: &impl Serialize) -> Result<()> {
        self.draft.additional = Some(raw(additional)?);
        Ok(())
    }

    /// Carries out the call's one commit: its effect together with its event, durable when it returns.
    pub(crate) async fn commit(
        &mut self,
        service: &Service,
        preconditions: Vec<Precondition>,
        mut writes: Vec<Write>,
    ) -> Result<()> {
        self.must_be_decided()?;
        let event = audit::event(&self.subject, &self.draft, None);
        writes.push(outbox::put(service, self.subject.event_id, &event)?);
        writes.extend(service.installation.outbox.take());
        writes.extend(service.installation.last_used.take(&writes)?);
        service.installation.store.commit(Commit { preconditions, writes }).await?;
        self.committed = Some(event);
        Ok(())
    }
}

fn raw(value: &impl Serialize) -> Result<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|error| Error::internal(error.to_string()))
}

/// The condition keys of a call, computed when a condition asks for them. All come from the verified caller, the
/// connection, the decoded request and the stored key; none can be set by a header.
struct Circumstances<'a, 'c> {
    call: &'a Call<'c>,
    key: Option<&'a Key>,
    asks: Asks<'a>,
}

impl policy::Context for Circumstances<'_, '_> {
    fn values(&self, key: &str) -> Option<policy::Values<'_>> {
        match key.split_once(':')? {
            ("kms", name) => self.kms(name),
            ("aws", name) => self.global(name),
            _ => None,
        }
    }
}

fn one<'a>(value: impl Into<Cow<'a, str>>) -> Option<policy::Values<'a>> {
    Some(policy::Values::One(value.into()))
}

fn flag<'a>(value: bool) -> Option<policy::Values<'a>> {
    one(if value { "true" } else { "false" })
}

impl Circumstances<'_, '_> {
    fn kms(&self, name: &str) -> Option<policy::Values<'_>> {
        let asks = &self.asks;
        if let Some(pair) = name.strip_prefix("encryptioncontext:") {
            return self.encryption_context(pair);
        }
        match name {
            "calleraccount" => one(self.call.subject.caller.account()),
            "keyspec" | "customermasterkeyspec" => self.kind().and_then(|(spec, _, _)| one(spec.as_str())),
            "keyusage" | "customermasterkeyusage" => {
                self.kind().and_then(|(_, usage, _)| one(usage.as_str()))
            }
            "keyorigin" => self.kind().and_then(|(_, _, origin)| one(origin.as_str())),
            "multiregion" => self.kind().and_then(|_| flag(false)),
            "encryptionalgorithm" => asks.encryption_algorithm.and_then(|algorithm| one(algorithm.as_str())),
            "encryptioncontextkeys" => asks.encryption_context.map(|context| {
                policy::Values::Set(context.pairs().map(|(key, _)| Cow::Borrowed(key)).collect())
            }),
            "requestalias" => asks.request_alias.and_then(one),
            "bypasspolicylockoutsafetycheck" => asks.bypass_lockout_check.and_then(flag),
            "policyname" => asks.policy_name.and_then(one),
            "schedulekeydeletionpendingwindowindays" => {
                asks.pending_window_days.and_then(|days| one(days.to_string()))
            }
            "reencryptonsamekey" => asks.reencrypt_on_same_key.and_then(flag),
            _ => None,
        }
    }

    /// Names compare without regard to ASCII case; pairs that differ only in case conflict.
    fn encryption_context(&self, wanted: &str) -> Option<policy::Values<'_>> {
        let pairs = self.asks.encryption_context?.pairs();
        let mut values: Vec<Cow<'_, str>> = pairs
            .filter(|(key, _)| key.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| Cow::Borrowed(value))
            .collect();
        match values.len() {
            0 => None,
            1 => values.pop().map(policy::Values::One),
            _ => Some(policy::Values::Conflicting(values)),
        }
    }

    /// Spec, usage and origin of the key that is used or to be made.
    fn kind(&self) -> Option<(KeySpec, KeyUsage, Origin)> {
        self.key.map(|key| (key.spec, key.usage, key.origin)).or(self.asks.new_key)
    }

    fn global(&self, name: &str) -> Option<policy::Values<'_>> {
        if let Some(wanted) = name.strip_prefix("requesttag/") {
            let tag = self.asks.tags?.iter().find(|tag| tag.key.eq_ignore_ascii_case(wanted))?;
            return one(&*tag.value);
        }
        if let Some(wanted) = name.strip_prefix("resourcetag/") {
            let (_, value) = self.key?.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
            return one(value.as_str());
        }
        match name {
            "resourceaccount" => self.key.and_then(|key| one(&*key.account)),
            "tagkeys" => {
                let tags = self.asks.tags.iter().copied().flatten().map(|tag| Cow::Borrowed(&*tag.key));
                let keys = self.asks.tag_keys.iter().copied().flatten().map(|key| Cow::Borrowed(&**key));
                let all: Vec<_> = tags.chain(keys).collect();
                (self.asks.tags.is_some() || self.asks.tag_keys.is_some()).then_some(policy::Values::Set(all))
            }
            _ => principal::value(self.call, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use claviger_wire::incoming::{Incoming, Origin};
    use http::{HeaderMap, Method};

    use super::*;

    /// Calls a test back with a call that has just begun.
    fn with_call(test: impl FnOnce(Call<'_>)) {
        let caller = Caller::of_root_for_tests("111122223333");
        let incoming = Incoming {
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            origin: Origin { peer: std::net::Ipv4Addr::LOCALHOST.into(), tls: None },
        };
        test(Call::new(Subject {
            caller: &caller,
            incoming: &incoming,
            now: Moment(0),
            event_source: "kms.amazonaws.com",
            event_name: "Forgetful",
            region: "us-east-1",
            request_id: "r",
            event_id: "e",
            read_only: true,
        }));
    }

    /// Invariant I3: an operation that forgot to ask is refused; so is one whose decision was undone by a new attempt.
    #[test]
    fn a_call_without_a_decision_is_refused() {
        with_call(|mut call| {
            let refused = |call: &Call<'_>| call.must_be_decided().err().map(|error| error.code);
            assert_eq!(refused(&call), Some(Code::KmsInternal));
            call.authorize_account("kms:ListKeys", Asks::default()).unwrap();
            assert_eq!(refused(&call), None);
            call.start_over();
            assert_eq!(refused(&call), Some(Code::KmsInternal));
        });
    }
}
