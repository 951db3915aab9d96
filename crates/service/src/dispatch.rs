//! One request, from its bytes to its reply. The only direction in which a request moves.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use claviger_wire::fault::{self, Code};
use claviger_wire::incoming::Incoming;
use claviger_wire::xml;
use zeroize::Zeroizing;

use crate::audit::{self, Ended, Ledger, LedgerError, Subject};
use crate::authn::{self, Caller};
use crate::call::{Call, CommittedElsewhere};
use crate::error::{Error, Result};
use crate::installation::Installation;
use crate::moment::{Entropy, Moment};
use crate::outbox;
use crate::query::Api;
use crate::quota;
use crate::vault::Vault;

mod front;

use front::{Refused, Route};

/// Everything that carries out calls. Cheap to make: each thread of the shell has its own, with its own line to the
/// HSM and its own lane to the ledger, over one shared [`Installation`].
pub struct Service {
    pub(crate) installation: Arc<Installation>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// A reply, ready to be written.
#[derive(Debug)]
pub struct Outgoing {
    /// HTTP status.
    pub status: u16,
    /// Content type; `None` for an empty body.
    pub content_type: Option<&'static str>,
    /// `x-amzn-RequestId`.
    pub request_id: String,
    /// The body. Cleared when the last copy is dropped.
    pub body: Bytes,
}

/// A reply and what the log says of the request. Holds nothing secret.
#[derive(Debug)]
pub struct Handled {
    /// The reply.
    pub outgoing: Outgoing,
    /// Name of the operation, or what stood in its place, at most 128 bytes.
    pub operation: Cow<'static, str>,
    /// Name of the error, if it was one.
    pub code: Option<&'static str>,
    /// Why, for the operator.
    pub cause: Option<String>,
    /// The bucket of request quotas that had no room for it.
    pub throttled_by: Option<&'static str>,
    /// Account of the caller, once it was authenticated.
    pub account: Option<String>,
    /// Access key id of the caller, once it was authenticated.
    pub access_key_id: Option<String>,
    /// Sequence number of the event in the ledger. `None` where nobody was authenticated: such requests belong in the
    /// security log.
    pub event: Option<u64>,
}

/// Which protocol an answer is written in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Json,
    Query(&'static Api),
}

/// How often a call whose caller changes under it is authenticated before its caller is told to try again.
const MAX_ATTEMPTS: usize = 16;

const JSON: &str = "application/x-amz-json-1.1";
const XML: &str = "text/xml";

impl Service {
    /// Puts a service together.
    pub fn new(
        installation: Arc<Installation>,
        vault: Arc<dyn Vault>,
        ledger: Arc<dyn Ledger>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { installation, vault, ledger, entropy }
    }

    /// The installation that it serves.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Answers one request. The reply may leave as soon as this returns: its event is durable.
    pub async fn handle(&self, incoming: &Incoming, now: Moment) -> Handled {
        let (request_id, event_id) = match self.entropy.two_uuids() {
            Ok(ids) => ids,
            Err(error) => return failed(String::new(), Protocol::Json, "-".into(), &error.into()),
        };
        if front::is_preflight(incoming) {
            return self.preflight(incoming, request_id);
        }
        let route = front::route(incoming);
        let (protocol, name) = (route.protocol(), route.label());
        let fresh = self.installation.cache.freshen().await;
        let caller = match fresh.and_then(|()| self.installation.endpoints.of(&incoming.origin)) {
            Ok(endpoint) => self.authenticate(incoming, &route, now).await.map(|caller| (caller, endpoint)),
            Err(error) => Err(error),
        };
        match (route, caller) {
            (_, Err(error)) if !self.takes_stranger(incoming, &error) => {
                turned_away(request_id, protocol, name)
            }
            (Route::Refused(refused), Err(_)) => front_refusal(request_id, name, &refused),
            (_, Err(error)) => failed(request_id, protocol, name, &error),
            (route, Ok((caller, endpoint))) => {
                let subject = Subject {
                    caller: &caller,
                    incoming,
                    endpoint,
                    now,
                    event_source: route.event_source(),
                    event_name: &name,
                    region: route.region(caller.region(), self.installation.iam_region()),
                    request_id: &request_id,
                    event_id: &event_id,
                    read_only: route.read_only(),
                };
                self.carry_out(subject, &route, protocol).await
            }
        }
    }

    /// Every page may call, which says nothing of anything here: what is called must be signed. Counted and logged as what
    /// authenticates nobody. The headers that the browser waits for are the shell's.
    fn preflight(&self, incoming: &Incoming, request_id: String) -> Handled {
        let name = Cow::Borrowed("-");
        if !self.installation.quotas.admits_stranger(*incoming.origin.peer) {
            return turned_away(request_id, Protocol::Json, name);
        }
        let outgoing = Outgoing { status: 200, content_type: None, request_id, body: Bytes::new() };
        handled(outgoing, name, None, None)
    }

    async fn authenticate(&self, incoming: &Incoming, route: &Route<'_>, now: Moment) -> Result<Arc<Caller>> {
        match route.web_identity() {
            Some(body) => authn::web_identity::authenticate(self, body, now).await,
            None => authn::authenticate(self, incoming, route.service(), now).await,
        }
    }

    /// Whether one more request is taken from where this one comes from, which was not authenticated. Faults of the
    /// installation are nobody's.
    fn takes_stranger(&self, incoming: &Incoming, error: &Error) -> bool {
        error.code.json_status() >= 500 || self.installation.quotas.admits_stranger(*incoming.origin.peer)
    }

    /// Counts what came from an address and was no request. Where it is one too many, the bucket that says so.
    pub fn count_unreadable(&self, peer: IpAddr) -> Option<&'static str> {
        (!self.installation.quotas.admits_stranger(peer)).then(|| quota::bucket::strangers().name())
    }

    /// Carries out an authenticated call and makes its event durable, whatever its outcome.
    async fn carry_out(&self, subject: Subject<'_>, route: &Route<'_>, protocol: Protocol) -> Handled {
        let (request_id, name) = (subject.request_id.to_owned(), route.label());
        // Room for the event is taken first: where there is none, nothing may happen.
        let mut call = Call::new(subject);
        call.reservation = match self.ledger.reserve(call.room.bytes()).await {
            Ok(reservation) => Some(reservation),
            Err(error) => return failed(request_id, protocol, name, &outbox::ledger_failed(error)),
        };
        match call.charge_by(&self.installation.quotas, route.rule()) {
            Ok(()) => self.complete(call, route, protocol, 1).await,
            Err(throttled) => self.conclude(call, route, protocol, Err(throttled)).await,
        }
    }

    /// Carries out a call that is counted. Where its caller changes meanwhile, it is authenticated anew: it may be nobody's
    /// any more.
    async fn complete(
        &self,
        mut call: Call<'_>,
        route: &Route<'_>,
        protocol: Protocol,
        attempt: usize,
    ) -> Handled {
        let outcome = self.outcome(&mut call, route).await;
        if !matches!(&outcome, Err(error) if error.caller_changed && attempt < MAX_ATTEMPTS) {
            return self.conclude(call, route, protocol, outcome).await;
        }
        match self.authenticate(call.subject.incoming, route, call.subject.now).await {
            Ok(caller) => Box::pin(self.complete(call.of(&caller), route, protocol, attempt + 1)).await,
            // It was somebody's when it came, so it has its event.
            Err(error) => self.conclude(call, route, protocol, Err(error)).await,
        }
    }

    /// Makes the event of a call durable.
    async fn conclude(
        &self,
        mut call: Call<'_>,
        route: &Route<'_>,
        protocol: Protocol,
        outcome: Result<Vec<u8>>,
    ) -> Handled {
        let (request_id, name) = (call.subject.request_id.to_owned(), route.label());
        let caller = call.subject.caller;
        call.turn = None;
        let outcome = match call.charged(outcome) {
            Err(error) if call.is_turned_away() => {
                let throttled_by = call.charge.refused_by;
                return Handled { throttled_by, ..failed(request_id, protocol, name, &error) };
            }
            outcome => outcome,
        };
        let event = match (&call.committed, &outcome) {
            // The effect is in the store, so this is its event whatever happened afterwards.
            (Some(event), _) => event.clone(),
            (None, outcome) => {
                let ended = outcome.as_ref().err().map(|error| Ended {
                    code: error.code.audit_name(),
                    message: error.message.as_deref(),
                    denied: error.code == Code::AccessDenied,
                });
                audit::record(&call.subject, &call.draft, ended.as_ref(), call.room)
            }
        };
        let mut appended = match call.reservation.take() {
            Some(reservation) => self.ledger.append(reservation, event).await,
            None => Err(LedgerError::TooLarge),
        };
        if call.committed.is_some() && appended.is_ok() {
            self.installation.outbox.add(call.subject.event_id);
        }
        if let Some(CommittedElsewhere { event_id, event, reservation }) = call.committed_elsewhere.take() {
            match self.ledger.append(reservation, event).await {
                Ok(_) => self.installation.outbox.add(&event_id),
                Err(error) => appended = Err(error),
            }
        }
        if appended.is_ok() && outcome.is_ok() {
            self.installation.noted.note(&call);
        }
        let mut handled = match (appended, outcome) {
            (Err(error), _) => failed(request_id, protocol, name, &outbox::ledger_failed(error)),
            (Ok(_), Ok(body)) => succeeded(request_id, protocol, name, body),
            (Ok(_), Err(error)) => match route {
                Route::Refused(refused) if call.charge.refused_by.is_none() => {
                    front_refusal(request_id, name, refused)
                }
                _ => failed(request_id, protocol, name, &error),
            },
        };
        handled.event = appended.ok();
        handled.throttled_by = call.charge.refused_by;
        handled.account = Some(caller.account().to_owned());
        handled.access_key_id = Some(caller.access_key_id().to_owned()).filter(|id| !id.is_empty());
        handled
    }

    async fn outcome(&self, call: &mut Call<'_>, route: &Route<'_>) -> Result<Vec<u8>> {
        call.caller().may_call(route.kms_operation(), route.name())?;
        match route {
            Route::Refused(refused) => Err(refused.error()),
            Route::NotServed(name, _) => Err(not_served(name)),
            Route::Json(entry, body) => {
                let outcome = (entry.run)(self, call, body).await;
                fail_closed(call, outcome)
            }
            Route::Query(api, entry, body) => {
                let outcome = match may_call(call.caller(), api, entry.name) {
                    true => (entry.run)(self, call, body).await,
                    false => Err(authn::unrecognized()),
                };
                let result = Zeroizing::new(fail_closed(call, outcome)?);
                let result =
                    std::str::from_utf8(&result).map_err(|error| Error::internal(error.to_string()))?;
                let body = xml::response(entry.name, api.namespace, call.subject.request_id, result);
                body.map(String::into_bytes).map_err(|error| Error::internal(error.to_string()))
            }
        }
    }
}

/// Whether the kind of the caller's credentials may be used with an action. Sessions of users and of the root user are
/// for other services: without multi-factor authentication they reach nothing of IAM, and always little of STS (IAM User Guide, "Comparing AWS STS credentials").
fn may_call(caller: &Caller, api: &Api, action: &str) -> bool {
    match &caller.standing().session {
        Some(session) if session.federated_user.is_some() => action == "GetCallerIdentity",
        Some(session) if session.name.is_none() => match api.service {
            "sts" => matches!(action, "AssumeRole" | "GetCallerIdentity"),
            _ => session.mfa.is_some(),
        },
        _ => true,
    }
}

/// An operation that answers without having asked for a decision does not get to answer.
fn fail_closed(call: &Call<'_>, outcome: Result<Vec<u8>>) -> Result<Vec<u8>> {
    let body = outcome?;
    call.must_be_decided().map(|()| body)
}

fn not_served(name: &str) -> Error {
    Error::new(Code::UnsupportedOperation, format!("{name} is not served by this version of Claviger."))
}

fn handled(
    outgoing: Outgoing,
    operation: Cow<'static, str>,
    code: Option<&'static str>,
    cause: Option<String>,
) -> Handled {
    Handled {
        outgoing,
        operation,
        code,
        cause,
        throttled_by: None,
        account: None,
        access_key_id: None,
        event: None,
    }
}

fn succeeded(request_id: String, protocol: Protocol, operation: Cow<'static, str>, body: Vec<u8>) -> Handled {
    let content_type = match protocol {
        Protocol::Json => JSON,
        Protocol::Query(_) => XML,
    };
    // The body may hold a plaintext: it is cleared once it has been written.
    let body = Bytes::from_owner(Zeroizing::new(body));
    handled(
        Outgoing { status: 200, content_type: Some(content_type), request_id, body },
        operation,
        None,
        None,
    )
}

/// The answer to one request too many of those that authenticate nobody.
fn turned_away(request_id: String, protocol: Protocol, operation: Cow<'static, str>) -> Handled {
    let error = quota::exceeded(matches!(protocol, Protocol::Json));
    let throttled_by = Some(quota::bucket::strangers().name());
    Handled { throttled_by, ..failed(request_id, protocol, operation, &error) }
}

fn failed(request_id: String, protocol: Protocol, operation: Cow<'static, str>, error: &Error) -> Handled {
    let (code, message) = (error.code, error.message.as_deref());
    let (status, content_type, name, body) = match protocol {
        Protocol::Json => (code.json_status(), JSON, code.json_name(), fault::json_body(code, message)),
        Protocol::Query(api) => {
            let (name, status) = code.query_name();
            let body = xml::error(api.namespace, &request_id, name, status, message.unwrap_or_default());
            (status, XML, name, body.unwrap_or_default().into_bytes())
        }
    };
    let outgoing = Outgoing { status, content_type: Some(content_type), request_id, body: body.into() };
    handled(outgoing, operation, Some(name), error.cause.clone())
}

fn front_refusal(request_id: String, operation: Cow<'static, str>, refused: &Refused) -> Handled {
    if refused.message.is_some() {
        return failed(request_id, refused.protocol, operation, &refused.error());
    }
    let outgoing = Outgoing {
        status: refused.status,
        content_type: (!refused.body.is_empty()).then_some(refused.content_type),
        request_id,
        body: refused.body.clone().into(),
    };
    handled(outgoing, operation, Some(refused.code.json_name()), refused.cause.clone())
}
