//! One call in progress: who calls, when, what was decided, and what the trail will say of it.

mod charge;
mod decision;
pub(crate) mod grant;
pub(crate) mod held;
pub(crate) mod iam;
mod principal;

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use claviger_hsm_proto::MaterialId;
use claviger_policy as policy;
use claviger_store::{Commit, MAX_COMMIT_PARTS, Precondition, Write};
use claviger_wire::fault::Code;
use serde::Serialize;

use crate::attestation::Attested;
use crate::audit::{self, Draft, Reservation, Resource, Room, Subject};
use crate::authn::Caller;
use crate::decided;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::alias;
use crate::kms::context::EncryptionContext;
use crate::kms::key::Key;
use crate::kms::recipient::Shown;
use crate::kms::shapes::{
    DataKeyPairSpec, EncryptionAlgorithm, ExpirationModel, KeyAgreementAlgorithm, KeySpec, KeyUsage,
    MacAlgorithm, MessageType, MultiRegionKeyType, Origin, SigningAlgorithm, Tag, TagKey, WrappingAlgorithm,
    WrappingKeySpec,
};
use crate::moment::Moment;
use crate::turns::Turn;
use crate::{outbox, record};
use grant::GrantAsks;

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
    pub(crate) signing_algorithm: Option<SigningAlgorithm>,
    pub(crate) message_type: Option<MessageType>,
    pub(crate) mac_algorithm: Option<MacAlgorithm>,
    pub(crate) key_agreement_algorithm: Option<KeyAgreementAlgorithm>,
    pub(crate) data_key_pair_spec: Option<DataKeyPairSpec>,
    /// Who the answer is enveloped to.
    pub(crate) attested: Option<&'a Attested>,
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
    pub(crate) rotation_period_days: Option<u16>,
    pub(crate) wrapping: Option<(WrappingAlgorithm, WrappingKeySpec)>,
    pub(crate) expiration_model: Option<ExpirationModel>,
    /// When imported material is to expire.
    pub(crate) valid_to: Option<Moment>,
    /// What a key that is to be made will be to its set; `None` for a single-Region key.
    pub(crate) new_key_type: Option<MultiRegionKeyType>,
    pub(crate) replica_region: Option<&'a str>,
    pub(crate) primary_region: Option<&'a str>,
    /// Whole days for which a key that is to be switched off was not used.
    pub(crate) trailing_days: Option<i64>,
    /// The Region in which the decision is made, where it is not the call's.
    pub(crate) region: Option<&'a str>,
    /// The grant that is to be made or retired.
    pub(crate) grant: Option<GrantAsks<'a>>,
    /// Whether the operation is about no key, neither one that is there nor one to be made: such a request has neither
    /// `kms:CallerAccount` nor `kms:ViaService` (Service Authorization Reference).
    pub(crate) of_no_key: bool,
    /// Whether a service asks for a resource of its user; of operations on grants.
    pub(crate) for_aws_resource: Option<bool>,
}

/// Bytes of a body beyond which it is looked at how much of them the event needs.
const LONG_BODY: usize = 4 * 1024;

/// Most bytes that the policies of a call look at: a few milliseconds. Ten managed policies and ten groups of ten, each as
/// long as may be, look at about two megabytes where they hold texts as long as an ARN against patterns.
const MAX_WORK: usize = 8 * 1024 * 1024;

/// What it costs to look at a pair of an encryption context, in such bytes.
const PAIR_WORK: usize = 16;

/// A call that is being carried out.
pub struct Call<'a> {
    pub(crate) subject: Subject<'a>,
    pub(crate) draft: Draft,
    /// What the record may take.
    pub(crate) room: Room,
    /// The room in the ledger that was taken for it.
    pub(crate) reservation: Option<Reservation>,
    decided: bool,
    /// That what it was decided by is as it was: of calls that change something the key, user, role, group or policy
    /// that they are about, and the grant that allowed it, if one did.
    held: Vec<Precondition>,
    /// Other accounts that must be open: whose key it is about, or whose role.
    owners: Vec<Arc<str>>,
    /// Whether its answer has credentials.
    pub(crate) gives_credentials: bool,
    /// Its turn among the calls that found something changed, once it has waited for it.
    pub(crate) turn: Option<Turn>,
    /// What its decisions may still cost.
    work: policy::Work,
    /// What the call is counted as. Counted once, however often it is decided anew.
    pub(crate) charge: charge::Charge<'a>,
    elsewhere: Option<Elsewhere>,
    /// An AWS managed key that the caller may use, and that is not there yet.
    pub(crate) wanted: Option<Arc<Key>>,
    /// The event as it was committed together with the call's effect.
    pub(crate) committed: Option<Vec<u8>>,
    /// The event for another Region's trail, committed with it.
    pub(crate) committed_elsewhere: Option<CommittedElsewhere>,
}

/// A call's event in the trail of another Region, where it has an effect too.
struct Elsewhere {
    region: String,
    event_name: &'static str,
    draft: Draft,
}

/// Such an event, with room for it in the ledger.
pub(crate) struct CommittedElsewhere {
    pub(crate) event_id: String,
    pub(crate) event: Vec<u8>,
    pub(crate) reservation: Reservation,
}

impl<'a> Call<'a> {
    pub(crate) fn new(subject: Subject<'a>) -> Self {
        Self {
            room: Room::of_request(subject.incoming),
            subject,
            draft: Draft::default(),
            reservation: None,
            decided: false,
            held: Vec::new(),
            owners: Vec::new(),
            gives_credentials: false,
            turn: None,
            work: policy::Work::new(MAX_WORK),
            charge: charge::Charge::default(),
            elsewhere: None,
            wanted: None,
            committed: None,
            committed_elsewhere: None,
        }
    }

    /// Forgets what an attempt recorded, so that the next decides anew.
    pub(crate) fn start_over(&mut self) {
        let parameters = self.draft.parameters.take();
        self.draft = Draft { parameters, ..Draft::default() };
        self.decided = false;
        self.held.clear();
        self.owners.clear();
        self.gives_credentials = false;
        self.work = policy::Work::new(MAX_WORK);
        self.elsewhere = None;
        self.wanted = None;
    }

    /// The same call by its caller as it is now: counted already, with the room that was taken for it.
    pub(crate) fn of<'b>(&mut self, caller: &'b Caller) -> Call<'b>
    where
        'a: 'b,
    {
        Call {
            room: self.room,
            reservation: self.reservation.take(),
            turn: self.turn.take(),
            charge: std::mem::take(&mut self.charge),
            ..Call::new(Subject { caller, ..self.subject })
        }
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

    /// Notes the request as the trail shows it, and gives back the room that a long body took and its members do not need:
    /// the call may wait long for its turn at the HSM.
    pub(crate) fn make_room(&mut self, service: &Service, request: &impl Serialize) -> Result<()> {
        self.set_parameters(request)?;
        let needed = Room::of_parameters(self.draft.parameters.as_ref().map_or(0, |json| json.get().len()));
        if needed.bytes() < self.room.bytes()
            && let Some(reservation) = &mut self.reservation
        {
            service.ledger.shrink(reservation, needed.bytes());
            self.room = needed;
        }
        Ok(())
    }

    /// Has the trail show no request: what it says, it says otherwise.
    pub(crate) fn hide_parameters(&mut self) {
        self.draft.parameters = None;
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
        self.set_used(Some(material), None)
    }

    /// Notes which key material was used, and who the answer is enveloped to.
    pub(crate) fn set_used(
        &mut self,
        material: Option<MaterialId>,
        attested: Option<&Attested>,
    ) -> Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Additional<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            key_material_id: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            recipient: Option<Shown<'a>>,
        }
        if material.is_none() && attested.is_none() {
            return Ok(());
        }
        let key_material_id = material.map(MaterialId::to_hex);
        self.set_additional(&Additional { key_material_id, recipient: attested.map(Shown) })
    }

    /// Notes what else the trail shows.
    pub(crate) fn set_additional(&mut self, additional: &impl Serialize) -> Result<()> {
        self.draft.additional = Some(raw(additional)?);
        Ok(())
    }

    /// Notes that the call has an effect on a key in another Region, whose trail shows it under this name.
    pub(crate) fn happens_elsewhere(
        &mut self,
        event_name: &'static str,
        key: &Key,
        parameters: &impl Serialize,
        elements: &impl Serialize,
    ) -> Result<()> {
        let draft = Draft {
            parameters: Some(raw(parameters)?),
            response_elements: Some(raw(elements)?),
            additional: None,
            resources: vec![Resource { account_id: Arc::clone(&key.account), arn: Arc::clone(&key.arn) }],
            ..Draft::default()
        };
        self.elsewhere = Some(Elsewhere { region: key.region.to_string(), event_name, draft });
        Ok(())
    }

    /// Whether it came with so long a body that the room taken for its event is worth giving back.
    pub(crate) fn is_long(&self) -> bool {
        self.subject.incoming.body.len() > LONG_BODY
    }

    /// Whether it is a call of IAM, which does not repeat what it refuses.
    pub(crate) fn is_of_iam(&self) -> bool {
        self.subject.event_source == crate::iam::API.event_source
    }

    /// The event for another Region's trail, and room for it.
    async fn event_elsewhere(&self, service: &Service) -> Result<Option<CommittedElsewhere>> {
        let Some(elsewhere) = &self.elsewhere else { return Ok(None) };
        let event_id = service.entropy.uuid()?;
        let Subject { caller, incoming, endpoint, now, event_source, request_id, read_only, .. } =
            self.subject;
        let subject = Subject {
            caller,
            incoming,
            endpoint,
            now,
            event_source,
            event_name: elsewhere.event_name,
            region: &elsewhere.region,
            request_id,
            event_id: &event_id,
            read_only,
        };
        let mut event = audit::event(&subject, &elsewhere.draft, None, Room::ANY);
        decided::append_reference(&mut event, self.subject.event_id);
        let reservation = service.ledger.reserve(event.len()).await.map_err(outbox::ledger_failed)?;
        Ok(Some(CommittedElsewhere { event_id, event, reservation }))
    }

    /// Carries out the call's one commit: its effect together with its event, durable when it returns.
    pub(crate) async fn commit(
        &mut self,
        service: &Service,
        mut preconditions: Vec<Precondition>,
        mut writes: Vec<Write>,
    ) -> Result<()> {
        self.must_be_decided()?;
        preconditions.extend(self.holds(service).await?);
        preconditions.sort_unstable_by(|one, other| held::name_of(one).cmp(held::name_of(other)));
        preconditions.dedup();
        let event = audit::record(&self.subject, &self.draft, None, self.room);
        writes.push(outbox::put(service, self.subject.event_id, &event)?);
        let elsewhere = self.event_elsewhere(service).await?;
        if let Some(CommittedElsewhere { event_id, event, .. }) = &elsewhere {
            writes.push(outbox::put(service, event_id, event)?);
        }
        let wakes = writes.iter().any(is_schedule);
        let mut delivered = Vec::new();
        // What need not be written now goes along where there is room for it.
        if preconditions.len() + writes.len() + MAX_ALONG <= MAX_COMMIT_PARTS {
            delivered = service.installation.outbox.take();
            writes.extend(delivered.iter().cloned().map(Write::Delete));
            writes.extend(service.installation.last_used.take(&writes)?);
        }
        if let Err(error) = service.installation.store.commit(Commit { preconditions, writes }).await {
            service.installation.outbox.put_back(delivered);
            return Err(error.into());
        }
        (self.committed, self.committed_elsewhere) = (Some(event), elsewhere);
        if wakes {
            service.installation.schedule.notify_one();
        }
        Ok(())
    }
}

/// Room in a commit for what goes along with it: names of the outbox that are cleared, and last uses.
const MAX_ALONG: usize = 64;

/// Whether something is due that was not before: the scheduler may have to wake earlier than it meant to.
fn is_schedule(write: &Write) -> bool {
    matches!(write, Write::Put { name, .. } if record::kind(name) == record::Kind::Due)
}

fn raw(value: &impl Serialize) -> Result<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|error| Error::internal(error.to_string()))
}

/// The condition keys of a call, computed when a condition asks for them. All come from the verified caller, the
/// connection, the decoded request and the stored key; none can be set by a header.
struct Circumstances<'a, 'c> {
    call: &'a Call<'c>,
    key: Option<&'a Key>,
    /// ARN of the resource, or `*`.
    resource: &'a str,
    asks: Asks<'a>,
}

impl policy::Context for Circumstances<'_, '_> {
    fn values(&self, key: &str) -> Option<policy::Values<'_>> {
        match key.split_once(':')? {
            ("kms", name) => self.kms(name),
            ("aws", name) => self.global(name),
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

fn one<'a>(value: impl Into<Cow<'a, str>>) -> Option<policy::Values<'a>> {
    Some(policy::Values::One(value.into()))
}

fn flag<'a>(value: bool) -> Option<policy::Values<'a>> {
    one(if value { "true" } else { "false" })
}

/// The value of a name among pairs. Condition keys compare without regard to ASCII case, the names of tags and of an
/// encryption context with it: pairs that differ only in case conflict.
fn named<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, wanted: &str) -> Option<policy::Values<'a>> {
    let values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let mut values: Vec<Cow<'a, str>> = values.map(|(_, value)| Cow::Borrowed(value)).collect();
    match values.len() {
        0 | 1 => values.pop().map(policy::Values::One),
        _ => Some(policy::Values::Conflicting(values)),
    }
}

impl Circumstances<'_, '_> {
    fn kms(&self, name: &str) -> Option<policy::Values<'_>> {
        let asks = &self.asks;
        if let Some(pair) = name.strip_prefix("encryptioncontext:") {
            self.call
                .work
                .spend(asks.encryption_context.map_or(0, |context| PAIR_WORK * context.pairs().count()));
            return self.encryption_context(pair);
        }
        if name.starts_with("recipientattestation:") {
            return asks.attested.and_then(|attested| attested.condition(name)).and_then(one);
        }
        match name {
            "calleraccount" if !asks.of_no_key => principal::caller_account(self.call.subject.caller),
            "viaservice" if !asks.of_no_key => principal::via_service(&self.call.subject),
            "keyspec" | "customermasterkeyspec" => self.kind().and_then(|(spec, _, _)| one(spec.as_str())),
            "keyusage" | "customermasterkeyusage" => {
                self.kind().and_then(|(_, usage, _)| one(usage.as_str()))
            }
            "keyorigin" => self.kind().and_then(|(_, _, origin)| one(origin.as_str())),
            "multiregion" => self.kind().and_then(|_| flag(self.multi_region_type().is_some())),
            "multiregionkeytype" => self.multi_region_type().and_then(|kind| one(kind.as_str())),
            "replicaregion" => asks.replica_region.and_then(one),
            "primaryregion" => asks.primary_region.and_then(one),
            "encryptionalgorithm" => asks.encryption_algorithm.and_then(|algorithm| one(algorithm.as_str())),
            "signingalgorithm" => asks.signing_algorithm.and_then(|algorithm| one(algorithm.as_str())),
            "messagetype" => asks.message_type.and_then(|kind| one(kind.as_str())),
            "macalgorithm" => asks.mac_algorithm.and_then(|algorithm| one(algorithm.as_str())),
            "keyagreementalgorithm" => {
                asks.key_agreement_algorithm.and_then(|algorithm| one(algorithm.as_str()))
            }
            "datakeypairspec" => asks.data_key_pair_spec.and_then(|spec| one(spec.as_str())),
            "encryptioncontextkeys" => asks.encryption_context.map(|context| {
                policy::Values::Set(context.pairs().map(|(key, _)| Cow::Borrowed(key)).collect())
            }),
            "requestalias" => asks.request_alias.and_then(one),
            "resourcealiases" => self.key.map(alias::of_key),
            "bypasspolicylockoutsafetycheck" => asks.bypass_lockout_check.and_then(flag),
            "policyname" => asks.policy_name.and_then(one),
            "schedulekeydeletionpendingwindowindays" => {
                asks.pending_window_days.and_then(|days| one(days.to_string()))
            }
            "rotationperiodindays" => asks.rotation_period_days.and_then(|days| one(days.to_string())),
            "wrappingalgorithm" => asks.wrapping.and_then(|(algorithm, _)| one(algorithm.as_str())),
            "wrappingkeyspec" => asks.wrapping.and_then(|(_, spec)| one(spec.as_str())),
            "expirationmodel" => asks.expiration_model.and_then(|model| one(model.as_str())),
            "validto" => asks.valid_to.and_then(|moment| one(moment.seconds().to_string())),
            "trailingdayswithoutkeyusage" => asks.trailing_days.and_then(|days| one(days.to_string())),
            "reencryptonsamekey" => asks.reencrypt_on_same_key.and_then(flag),
            "grantisforawsresource" => asks.for_aws_resource.and_then(flag),
            _ => asks.grant.and_then(|grant| grant.value(name)),
        }
    }

    fn encryption_context(&self, wanted: &str) -> Option<policy::Values<'_>> {
        named(self.asks.encryption_context?.pairs(), wanted)
    }

    /// Spec, usage and origin of the key that is used or to be made.
    fn kind(&self) -> Option<(KeySpec, KeyUsage, Origin)> {
        self.key.map(|key| (key.spec, key.usage, key.origin)).or(self.asks.new_key)
    }

    /// What the key that is used or to be made is to its set.
    fn multi_region_type(&self) -> Option<MultiRegionKeyType> {
        match self.key {
            Some(key) => key.multi_region_type(),
            None => self.asks.new_key_type,
        }
    }

    fn global(&self, name: &str) -> Option<policy::Values<'_>> {
        if let Some(wanted) = name.strip_prefix("requesttag/") {
            return named(self.asks.tags?.iter().map(|tag| (&*tag.key, &*tag.value)), wanted);
        }
        if let Some(wanted) = name.strip_prefix("resourcetag/") {
            return named(self.key?.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())), wanted);
        }
        match name {
            "requestedregion" => one(self.asks.region.unwrap_or(self.call.subject.region)),
            "resourceaccount" => principal::resource_account(self.call, self.resource),
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
mod tests;
