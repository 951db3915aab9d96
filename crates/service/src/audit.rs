//! The record of each call: CloudTrail's, complete and durable before the reply leaves.

use std::any::Any;
use std::sync::Arc;

use claviger_wire::incoming::Incoming;
use claviger_wire::line::Line;
use http::header::{HOST, USER_AGENT};
use serde_json::value::RawValue;

use crate::BoxFuture;
use crate::authn::{Caller, Principal};
use crate::decided::{self, Decisions};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::moment::Moment;

/// Room in the ledger for one event, taken before the call has any effect.
pub struct Reservation(pub Box<dyn Any + Send + Sync>);

/// Why an event cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerError {
    /// There is no room; there may be again later.
    Full,
    /// The ledger failed and the process must end.
    Failed,
    /// The event is larger than its reservation.
    TooLarge,
}

/// Where events are kept. An implementation orders, chains and syncs them.
pub trait Ledger: Send + Sync {
    /// Takes room for an event of at most so many bytes; may wait while room is being made.
    ///
    /// # Errors
    /// [`LedgerError::Full`], [`LedgerError::Failed`]: the call must be refused before it has any effect.
    fn reserve(&self, bytes: usize) -> BoxFuture<'_, Result<Reservation, LedgerError>>;

    /// Appends an event; resolves with its sequence number when it is durable.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn append(
        &self,
        reservation: Reservation,
        event: Vec<u8>,
    ) -> BoxFuture<'static, Result<u64, LedgerError>>;

    /// Gives back what of the room is not needed for an event of at most so many bytes.
    fn shrink(&self, reservation: &mut Reservation, bytes: usize);

    /// The sequence number that the next event gets.
    fn next_sequence(&self) -> u64;

    /// Whether one of the events from `sequence` on satisfies the test.
    ///
    /// # Errors
    /// [`LedgerError::Failed`] when the ledger cannot be read.
    fn any_since(&self, sequence: u64, test: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, LedgerError>;
}

/// Most bytes of an event that do not come from the request's body: identity, headers and message (each at most
/// 1 KiB), names and ARNs.
const EVENT_OVERHEAD: usize = 16 * 1024;
/// Request parameters beyond this many bytes are left out, as CloudTrail does.
const MAX_PARAMETERS: usize = 100 * 1024;
/// Longest header value or message kept, in bytes.
const MAX_TEXT: usize = 1024;

/// Most bytes that the record of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room(usize);

impl Room {
    /// For an event on its own, for which room is taken when it is written.
    pub(crate) const ANY: Self = Self(usize::MAX);

    /// What a request may need, as far as its length tells.
    pub(crate) fn of_request(incoming: &Incoming) -> Self {
        Self::of_parameters(incoming.body.len().max(incoming.query.len()))
    }

    /// What parameters of so many bytes may need. Members may be shown twice: as parameters, and as part of what is
    /// answered.
    pub(crate) fn of_parameters(bytes: usize) -> Self {
        Self(2 * bytes.min(MAX_PARAMETERS) + EVENT_OVERHEAD + decided::MAX_LEN)
    }

    /// In bytes.
    pub(crate) fn bytes(self) -> usize {
        self.0
    }

    fn of_event(self) -> usize {
        self.0 - decided::MAX_LEN
    }
}

/// A record of the ledger in its two parts: the event, in CloudTrail's form, and what was decided about the call
/// ([`explain`](crate::explain) reads it). Service events and records of older releases have only the first.
pub fn split(record: &[u8]) -> (&[u8], Option<&[u8]>) {
    // No line feed stands inside an event: strings escape it.
    let mut parts = record.splitn(2, |byte| *byte == b'\n');
    (parts.next().unwrap_or_default(), parts.next())
}

/// A resource that a call touched.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) account_id: Arc<str>,
    pub(crate) arn: Arc<str>,
}

impl Resource {
    fn describe(line: &mut Line, resource: &Self) {
        line.text("accountId", &resource.account_id).text("type", "AWS::KMS::Key").text("ARN", &resource.arn);
    }
}

/// Version of the record's form.
const EVENT_VERSION: &str = "1.11";

/// What an operation adds to the record of its call while it runs.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) parameters: Option<Box<RawValue>>,
    pub(crate) response_elements: Option<Box<RawValue>>,
    pub(crate) additional: Option<Box<RawValue>>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) decisions: Decisions,
}

/// How a call ended, as the trail says it.
pub(crate) struct Ended<'a> {
    pub(crate) code: &'static str,
    pub(crate) message: Option<&'a str>,
    pub(crate) denied: bool,
}

/// What is known of a call before its operation runs.
pub(crate) struct Subject<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) incoming: &'a Incoming,
    /// The VPC endpoint that it came through.
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) now: Moment,
    pub(crate) event_source: &'static str,
    pub(crate) event_name: &'a str,
    pub(crate) region: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) read_only: bool,
}

/// Room for the event of an ordinary request in bytes.
const USUAL_LEN: usize = 2048;

/// The record of a call: its event, in the order of members that CloudTrail has, and what was decided.
pub(crate) fn record(subject: &Subject<'_>, draft: &Draft, ended: Option<&Ended<'_>>, room: Room) -> Vec<u8> {
    let mut record = event(subject, draft, ended, room);
    draft.decisions.append_to(&mut record);
    record
}

/// The event alone. It always fits the room that was taken for it: where what was asked and answered would not, it goes
/// without.
pub(crate) fn event(subject: &Subject<'_>, draft: &Draft, ended: Option<&Ended<'_>>, room: Room) -> Vec<u8> {
    let denied = ended.is_some_and(|ended| ended.denied);
    let parameters = draft.parameters.as_deref().map(RawValue::get);
    let parameters = parameters.filter(|json| !denied && json.len() <= MAX_PARAMETERS);
    let response = draft.response_elements.as_deref().map(RawValue::get).filter(|_| ended.is_none());
    let event = written(subject, draft, ended, parameters, response);
    if event.len() <= room.of_event() {
        return event;
    }
    written(subject, draft, ended, None, None)
}

/// The event with these parameters and elements of the response.
fn written(
    subject: &Subject<'_>,
    draft: &Draft,
    ended: Option<&Ended<'_>>,
    parameters: Option<&str>,
    response: Option<&str>,
) -> Vec<u8> {
    let (caller, incoming) = (subject.caller, subject.incoming);
    // A service stands for where a call comes from, and for what made it.
    let agent = caller.invoked_by().or_else(|| incoming.header(&USER_AGENT)).unwrap_or("-");
    let mut line = Line::with_capacity(USUAL_LEN);
    line.text("eventVersion", EVENT_VERSION)
        .json("userIdentity", caller.identity())
        .text("eventTime", &subject.now.iso())
        .text("eventSource", subject.event_source)
        .text("eventName", clip(subject.event_name))
        .text("awsRegion", subject.region)
        .text("sourceIPAddress", caller.invoked_by().unwrap_or(incoming.origin.peer.as_str()))
        .text("userAgent", clip(agent))
        .optional("errorCode", ended.map(|ended| ended.code))
        .optional("errorMessage", ended.and_then(|ended| ended.message).map(clip))
        .json("requestParameters", parameters.unwrap_or("null"))
        .json("responseElements", response.unwrap_or("null"));
    if let Some(additional) = &draft.additional {
        line.json("additionalEventData", additional.get());
    }
    line.text("requestID", subject.request_id)
        .text("eventID", subject.event_id)
        .flag("readOnly", subject.read_only)
        .objects("resources", &draft.resources, Resource::describe)
        .text("eventType", "AwsApiCall")
        .flag("managementEvent", true)
        .text("recipientAccountId", recipient(caller, draft))
        .optional("vpcEndpointId", subject.endpoint.map(|endpoint| &**endpoint.id()))
        .optional("vpcEndpointAccountId", subject.endpoint.map(Endpoint::account))
        .text("eventCategory", "Management");
    if let Some(tls) = &incoming.origin.tls {
        line.object("tlsDetails", |line| {
            line.text("tlsVersion", tls.version)
                .text("cipherSuite", &tls.cipher_suite)
                .text("clientProvidedHostHeader", clip(incoming.header(&HOST).unwrap_or("-")))
                .text("keyExchange", &tls.key_exchange);
        });
    }
    line.finish()
}

/// The account whose trail the event is in: the caller's. A service has none; its calls are told to the key's owner.
fn recipient<'a>(caller: &'a Caller, draft: &'a Draft) -> &'a str {
    match (caller.principal(), draft.resources.first()) {
        (Principal::Service, Some(resource)) => &resource.account_id,
        _ => caller.account(),
    }
}

/// Something the service did by itself.
pub(crate) struct Happened<'a> {
    pub(crate) name: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) now: Moment,
}

/// The record of it (CloudTrail's service events). `details` is JSON.
pub(crate) fn service_event(
    happened: &Happened<'_>,
    event_id: &str,
    touched: &[Resource],
    details: Option<&str>,
) -> Vec<u8> {
    let Happened { name, account, region, now } = *happened;
    const INTERNAL: &str = "AWS Internal";
    let mut line = Line::with_capacity(USUAL_LEN);
    line.text("eventVersion", EVENT_VERSION)
        .object("userIdentity", |who| {
            who.text("accountId", account).text("invokedBy", INTERNAL);
        })
        .text("eventTime", &now.iso())
        .text("eventSource", "kms.amazonaws.com")
        .text("eventName", name)
        .text("awsRegion", region)
        .text("sourceIPAddress", INTERNAL)
        .text("userAgent", INTERNAL)
        .json("requestParameters", "null")
        .json("responseElements", "null")
        .text("requestID", event_id)
        .text("eventID", event_id)
        .flag("readOnly", false)
        .objects("resources", touched, Resource::describe)
        .text("eventType", "AwsServiceEvent")
        .flag("managementEvent", true)
        .text("recipientAccountId", account)
        .text("eventCategory", "Management");
    if let Some(details) = details {
        line.json("serviceEventDetails", details);
    }
    line.finish()
}

/// What an operator did, outside the API.
#[derive(Clone, Copy)]
pub(crate) struct Deed<'a> {
    /// User id of the operator's process.
    pub(crate) uid: u32,
    pub(crate) source: &'static str,
    pub(crate) name: &'static str,
    pub(crate) account: &'a str,
    pub(crate) now: Moment,
    pub(crate) parameters: &'a serde_json::Value,
}

/// Most bytes of the event of a deed.
pub(crate) const MAX_DEED: usize = 8 * 1024;

/// The event of it. CloudTrail has none for an operator of the machine: the identity is of a type of our own, the event
/// one of those that are no API calls.
pub(crate) fn deed(deed: &Deed<'_>, event_id: &str, refused: Option<&Error>) -> Vec<u8> {
    const OPERATOR: &str = "claviger account";
    let mut line = Line::with_capacity(USUAL_LEN);
    line.text("eventVersion", EVENT_VERSION)
        .object("userIdentity", |who| {
            who.text("type", "Operator")
                .text("principalId", &format!("uid:{}", deed.uid))
                .text("accountId", deed.account)
                .text("invokedBy", OPERATOR);
        })
        .text("eventTime", &deed.now.iso())
        .text("eventSource", deed.source)
        .text("eventName", deed.name)
        .text("awsRegion", crate::authn::GLOBAL_REGION)
        .text("sourceIPAddress", "localhost")
        .text("userAgent", OPERATOR)
        .optional("errorCode", refused.map(|error| error.code.audit_name()))
        .optional("errorMessage", refused.and_then(|error| error.message.as_deref()).map(clip))
        .json("requestParameters", &deed.parameters.to_string())
        .json("responseElements", "null")
        .text("requestID", event_id)
        .text("eventID", event_id)
        .flag("readOnly", false)
        .json("resources", "[]")
        .text("eventType", "AwsConsoleAction")
        .flag("managementEvent", true)
        .text("recipientAccountId", deed.account)
        .text("eventCategory", "Management");
    line.finish()
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}
