//! HTTP on one connection: requests to [`Incoming`], replies to bytes, within limits.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use claviger_service::{BoxFuture, Handled, Outgoing, Service};
use claviger_wire::incoming::{Incoming, MAX_BODY_LEN, Origin};
use claviger_wire::line::Line;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPIRES, HeaderName, HeaderValue, PRAGMA, TRANSFER_ENCODING,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming as HyperBody};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::cross_origin;
use crate::log::RequestLines;
use crate::metrics::{self, Requests};
use crate::security_log::{Refused, SecurityLog};
use crate::shell;
use crate::stop::stopped;

/// The id of a request, in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-cache, no-store, must-revalidate, private");
const LONG_AGO: HeaderValue = HeaderValue::from_static("0");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Longest request head in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Longest time for a request head to arrive, also while a connection is idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time for a body to arrive after its head.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Most header fields of a request.
const MAX_HEADERS: usize = 100;

/// What the connections of one thread share.
pub struct Front {
    /// Carries out requests.
    pub service: Service,
    /// Lines of requests.
    pub log: RequestLines,
    /// Requests that authenticate nobody.
    pub security: Arc<SecurityLog>,
    /// Counters.
    pub requests: Requests,
}

/// Answers the requests of a connection.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        origin: &Arc<Origin>,
        request: Request<HyperBody>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// Learns of a connection that ended because what came on it is no HTTP; hyper has answered what there was to.
    fn malformed(&self, _origin: &Origin) {}

    /// Learns of a connection that was closed before anything was read as a request.
    fn turned_away(&self, _peer: IpAddr, _why: &'static str) {}
}

/// Serves a connection until it ends, or until `stop` says so and the request in progress is answered.
pub async fn serve<H: Handler>(
    handler: Arc<H>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    origin: Origin,
    mut stop: watch::Receiver<bool>,
) {
    let (origin, call) = (Arc::new(origin), Call::default());
    let called = call.clone();
    let (served, from) = (Arc::clone(&handler), Arc::clone(&origin));
    let answer = service_fn(move |request| {
        let (handler, origin) = (Arc::clone(&served), Arc::clone(&from));
        called.begin(Box::pin(async move { handler.handle(&origin, request).await }))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(true);
    {
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = stopped(&mut stop) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // A client that goes away is no event; one that sends what is no request is.
        if ended.is_err_and(|error| error.is_parse()) {
            handler.malformed(&origin);
        }
    }
    if let Some(rest) = call.take() {
        drop(rest.await);
    }
}

/// The call in progress on a connection. It is kept where hyper does not drop it when the client goes away: what was
/// asked is carried out to its end, and its event is written.
#[derive(Clone, Default)]
struct Call(Arc<Mutex<Option<Answering>>>);

/// An answer in the making.
type Answering = BoxFuture<'static, Response<Full<Bytes>>>;

impl Call {
    /// Begins a call; resolves with its response. HTTP/1 has one call at a time on a connection.
    fn begin(
        &self,
        call: Answering,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + use<> {
        self.put(call);
        let held = self.clone();
        std::future::poll_fn(move |context| {
            let Some(mut call) = held.take() else { return Poll::Pending };
            match call.as_mut().poll(context) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => {
                    held.put(call);
                    Poll::Pending
                }
            }
        })
    }

    fn put(&self, call: Answering) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
    }

    fn take(&self) -> Option<Answering> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Handler for Front {
    async fn handle(&self, origin: &Arc<Origin>, request: Request<HyperBody>) -> Response<Full<Bytes>> {
        answer(self, origin, request).await
    }

    fn malformed(&self, origin: &Origin) {
        note_unreadable(self, *origin.peer, StatusCode::BAD_REQUEST, None);
    }

    fn turned_away(&self, peer: IpAddr, why: &'static str) {
        note_unreadable(self, peer, StatusCode::BAD_REQUEST, Some(why));
    }
}

/// Whether a head is one that this server reads to its end: not longer than its limit (hyper's own is approximate), and
/// with a body in no coding but chunks.
fn check_head(head: &http::request::Parts) -> Result<(), StatusCode> {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let target = head.uri.path().len() + head.uri.query().map_or(0, str::len);
    if fields + target > MAX_HEAD {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let codings = head.headers.get_all(TRANSFER_ENCODING);
    match codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        true => Ok(()),
        false => Err(StatusCode::NOT_IMPLEMENTED),
    }
}

async fn answer(front: &Front, origin: &Arc<Origin>, request: Request<HyperBody>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let read = match check_head(&head) {
        Ok(()) => read(body).await,
        Err(status) => Err(status),
    };
    let body = match read {
        Ok(body) => body,
        Err(status) => return unreadable(front, origin, status),
    };
    let started = shell::instant();
    let now = shell::now();
    let incoming = Incoming {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        origin: Arc::clone(origin),
    };
    let handled = front.service.handle(&incoming, now).await;
    let elapsed = started.elapsed();
    let (outgoing, authenticated) = (&handled.outgoing, handled.account.is_some());
    front.requests.count(&handled.operation, outgoing.status, elapsed.as_secs_f64(), authenticated);
    if let Some(bucket) = handled.throttled_by {
        metrics::throttled(bucket);
    }
    write_log(front, &incoming, &handled, now, elapsed);
    let mut response = respond(handled.outgoing);
    cross_origin::allow(&incoming, &mut response);
    response
}

fn write_log(
    front: &Front,
    incoming: &Incoming,
    handled: &Handled,
    now: claviger_service::Moment,
    elapsed: Duration,
) {
    let outgoing = &handled.outgoing;
    // What is one too many is counted only: a flood must not wash away what the log says of others.
    if handled.account.is_none() && handled.throttled_by.is_none() {
        front.security.write(&Refused {
            time: now,
            request_id: &outgoing.request_id,
            peer: *incoming.origin.peer,
            operation: &handled.operation,
            error: handled.code.unwrap_or("-"),
            status: outgoing.status,
        });
    }
    front.log.write(|line| describe(line, incoming, handled, &now.iso(), elapsed));
}

/// The wide line of a request. Nothing secret, and nothing that a caller chose beyond names.
fn describe(line: &mut Line, incoming: &Incoming, handled: &Handled, time: &str, elapsed: Duration) {
    let (outgoing, tls) = (&handled.outgoing, incoming.origin.tls.as_ref());
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    line.text("time", time)
        .text("level", if outgoing.status >= 500 { "ERROR" } else { "INFO" })
        .text("message", "request")
        .text("request_id", &outgoing.request_id)
        .text("operation", &handled.operation)
        .number("status", outgoing.status.into())
        .optional("error", handled.code)
        .optional("cause", handled.cause.as_deref())
        .optional("account", handled.account.as_deref())
        .optional("access_key_id", handled.access_key_id.as_deref());
    if let Some(sequence) = handled.event {
        line.number("event", sequence);
    }
    line.text("peer", incoming.origin.peer.as_str())
        .optional("key_exchange", tls.map(|tls| tls.key_exchange.as_str()))
        .number("bytes_in", count(incoming.body.len()))
        .number("bytes_out", count(outgoing.body.len()))
        .number("micros", u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
}

/// Reads a body within its limits. A body that is there already costs no timer.
///
/// # Errors
/// The status to answer with.
pub async fn read(body: HyperBody) -> Result<Bytes, StatusCode> {
    if body.size_hint().lower() > MAX_BODY_LEN as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut collected = pin!(collect(body));
    let at_once = std::future::poll_fn(|context| {
        Poll::Ready(match collected.as_mut().poll(context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        })
    });
    match at_once.await {
        Some(outcome) => outcome,
        None => {
            tokio::time::timeout(BODY_TIMEOUT, collected).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

async fn collect(mut body: HyperBody) -> Result<Bytes, StatusCode> {
    let mut whole = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else {
            // Trailers: nothing of AWS JSON uses them, and they are not signed.
            return Err(StatusCode::BAD_REQUEST);
        };
        if whole.len() + rest.len() + data.len() > MAX_BODY_LEN {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        if whole.is_empty() && rest.is_empty() {
            whole = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut whole));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { whole } else { rest.freeze() })
}

/// The answer to a request that could not be read to its end. The connection is closed: what follows on it is not
/// known to be a request.
fn unreadable(front: &Front, origin: &Origin, status: StatusCode) -> Response<Full<Bytes>> {
    note_unreadable(front, *origin.peer, status, None);
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn note_unreadable(front: &Front, peer: IpAddr, status: StatusCode, why: Option<&'static str>) {
    let now = shell::now();
    front.requests.count("other", status.as_u16(), 0.0, false);
    if let Some(bucket) = front.service.count_unreadable(peer) {
        return metrics::throttled(bucket);
    }
    front.security.write(&Refused {
        time: now,
        request_id: "-",
        peer,
        operation: "-",
        error: why.or_else(|| status.canonical_reason()).unwrap_or("-"),
        status: status.as_u16(),
    });
}

/// Writes a reply.
pub fn respond(outgoing: Outgoing) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(outgoing.body));
    *response.status_mut() =
        StatusCode::from_u16(outgoing.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.reserve(8);
    if let Ok(id) = HeaderValue::try_from(outgoing.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(content_type) = outgoing.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(EXPIRES, LONG_AGO);
    headers.insert(PRAGMA, NO_CACHE);
    response
}
