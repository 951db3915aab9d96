//! The record of each call: CloudTrail's, complete and durable before the reply leaves.

use std::any::Any;

use claviger_wire::incoming::{Incoming, Origin};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::BoxFuture;
use crate::authn::Caller;
use crate::moment::Moment;

/// Room in the ledger for one event, taken before the call has any effect.
pub struct Reservation(pub Box<dyn Any + Send>);

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
    fn append(&self, reservation: Reservation, event: Vec<u8>) -> BoxFuture<'static, Result<u64, LedgerError>>;

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

/// Most bytes that the event of a request with such a body takes. Members may be shown twice: as parameters, and as part
/// of what is answered.
pub(crate) fn event_size(body: usize) -> usize {
    2 * body.min(MAX_PARAMETERS) + EVENT_OVERHEAD
}

/// A resource that a call touched.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Resource {
    #[serde(rename = "accountId")]
    pub(crate) account_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    #[serde(rename = "ARN")]
    pub(crate) arn: String,
}

/// What an operation adds to the record of its call while it runs.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) parameters: Option<Box<RawValue>>,
    pub(crate) response_elements: Option<Box<RawValue>>,
    pub(crate) additional: Option<Box<RawValue>>,
    pub(crate) resources: Vec<Resource>,
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
    pub(crate) now: Moment,
    pub(crate) event_source: &'static str,
    pub(crate) event_name: &'a str,
    pub(crate) region: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) read_only: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    user_identity: Identity<'a>,
    event_time: String,
    event_source: &'static str,
    event_name: &'a str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    request_parameters: Option<&'a RawValue>,
    response_elements: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<&'a RawValue>,
    #[serde(rename = "requestID")]
    request_id: &'a str,
    #[serde(rename = "eventID")]
    event_id: &'a str,
    read_only: bool,
    resources: &'a [Resource],
    event_type: &'static str,
    management_event: bool,
    recipient_account_id: &'a str,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_details: Option<TlsDetails<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    account_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_by: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TlsDetails<'a> {
    tls_version: &'a str,
    cipher_suite: &'a str,
    client_provided_host_header: &'a str,
    key_exchange: &'a str,
}

/// The record of a call.
pub(crate) fn event(subject: &Subject<'_>, draft: &Draft, ended: Option<&Ended<'_>>) -> Vec<u8> {
    let denied = ended.is_some_and(|ended| ended.denied);
    let parameters = draft.parameters.as_deref().filter(|raw| !denied && raw.get().len() <= MAX_PARAMETERS);
    let caller = subject.caller;
    let record = Record {
        event_version: "1.11",
        user_identity: Identity {
            kind: Some(caller.kind()),
            principal_id: Some(caller.principal_id()),
            arn: Some(caller.arn()),
            account_id: caller.account(),
            access_key_id: Some(caller.access_key_id()),
            invoked_by: None,
        },
        event_time: subject.now.iso(),
        event_source: subject.event_source,
        event_name: clip(subject.event_name),
        aws_region: subject.region,
        source_ip_address: subject.incoming.origin.peer.to_string(),
        user_agent: clip(subject.incoming.header("user-agent").unwrap_or("-")),
        error_code: ended.map(|ended| ended.code),
        error_message: ended.and_then(|ended| ended.message).map(clip),
        request_parameters: parameters,
        response_elements: draft.response_elements.as_deref().filter(|_| ended.is_none()),
        additional_event_data: draft.additional.as_deref(),
        request_id: subject.request_id,
        event_id: subject.event_id,
        read_only: subject.read_only,
        resources: &draft.resources,
        event_type: "AwsApiCall",
        management_event: true,
        recipient_account_id: caller.account(),
        event_category: "Management",
        tls_details: tls_details(&subject.incoming.origin, subject.incoming.header("host")),
    };
    // Every part is a string, a number or already JSON, so this does not fail; an empty event would be refused.
    serde_json::to_vec(&record).unwrap_or_default()
}

/// The record of something the service did by itself (CloudTrail's service events).
pub(crate) fn service_event(
    name: &str,
    account: &str,
    region: &str,
    event_id: &str,
    resources: &[Resource],
    now: Moment,
) -> Vec<u8> {
    let record = Record {
        event_version: "1.11",
        user_identity: Identity {
            kind: None,
            principal_id: None,
            arn: None,
            account_id: account,
            access_key_id: None,
            invoked_by: Some("AWS Internal"),
        },
        event_time: now.iso(),
        event_source: "kms.amazonaws.com",
        event_name: name,
        aws_region: region,
        source_ip_address: "AWS Internal".to_owned(),
        user_agent: "AWS Internal",
        error_code: None,
        error_message: None,
        request_parameters: None,
        response_elements: None,
        additional_event_data: None,
        request_id: event_id,
        event_id,
        read_only: false,
        resources,
        event_type: "AwsServiceEvent",
        management_event: true,
        recipient_account_id: account,
        event_category: "Management",
        tls_details: None,
    };
    serde_json::to_vec(&record).unwrap_or_default()
}

fn tls_details<'a>(origin: &'a Origin, host: Option<&'a str>) -> Option<TlsDetails<'a>> {
    origin.tls.as_ref().map(|tls| TlsDetails {
        tls_version: tls.version,
        cipher_suite: &tls.cipher_suite,
        client_provided_host_header: clip(host.unwrap_or("-")),
        key_exchange: &tls.key_exchange,
    })
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}
