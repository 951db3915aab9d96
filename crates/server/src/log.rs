//! The log: rare lines through `tracing`, and one wide line for each request, both JSON on standard error.
//!
//! The line of a request is written here and not through `tracing`, which would cost more than the whole decision: it
//! is serialized straight into a buffer that a thread of its own writes out. When the buffer is full, lines are
//! dropped and counted, so that a slow reader of the log cannot stop the service. The audit ledger loses nothing.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// Most bytes that wait to be written.
const MAX_BUFFER: usize = 4 * 1024 * 1024;
/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(20);

/// What the log says of a request. Nothing secret, nothing that a caller chose beyond names.
#[derive(Debug, Serialize)]
pub struct RequestLine<'a> {
    /// When it came in, ISO 8601.
    pub time: String,
    /// Always `INFO`, or `ERROR` for faults of the server.
    pub level: &'static str,
    /// Always `request`.
    pub message: &'static str,
    /// `x-amzn-RequestId`.
    pub request_id: &'a str,
    /// Operation.
    pub operation: &'a str,
    /// HTTP status.
    pub status: u16,
    /// Error, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// Why, for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'a str>,
    /// Account of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    /// Access key id of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<&'a str>,
    /// Sequence number of its event in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// Address of the peer.
    pub peer: std::net::IpAddr,
    /// Key exchange of the connection, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<&'a str>,
    /// Length of the request's body in bytes.
    pub bytes_in: usize,
    /// Length of the reply's body in bytes.
    pub bytes_out: usize,
    /// From the whole request read to the reply ready, in microseconds.
    pub micros: u64,
}

struct Shared {
    buffer: Mutex<Vec<u8>>,
    filled: Condvar,
    dropped: AtomicU64,
}

/// Where the lines of requests go. Cheap to clone.
#[derive(Clone)]
pub struct RequestLog(Option<Arc<Shared>>);

impl RequestLog {
    /// A log that writes to standard error from a thread of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to_stderr() -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { buffer: Mutex::default(), filled: Condvar::new(), dropped: AtomicU64::new(0) });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("request-log".to_owned()).spawn(move || write_out(&writer))?;
        Ok(Self(Some(shared)))
    }

    /// A log that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Adds a line.
    pub fn write(&self, line: &RequestLine<'_>) {
        let Some(shared) = &self.0 else { return };
        let mut buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let first = buffer.is_empty();
        if buffer.len() >= MAX_BUFFER || serde_json::to_writer(&mut *buffer, line).is_err() {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        buffer.push(b'\n');
        drop(buffer);
        if first {
            shared.filled.notify_one();
        }
    }
}

fn write_out(shared: &Shared) {
    let mut batch = Vec::new();
    loop {
        let buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = shared.filled.wait_while(buffer, |buffer| buffer.is_empty());
        drop(buffer.unwrap_or_else(PoisonError::into_inner));
        std::thread::park_timeout(GATHER);
        std::mem::swap(&mut *shared.buffer.lock().unwrap_or_else(PoisonError::into_inner), &mut batch);
        let dropped = shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "lines of requests were dropped");
        }
        // Nobody may be reading; then there is nobody to tell.
        let _ = std::io::stderr().write_all(&batch);
        batch.clear();
    }
}

/// Sends the rare lines to standard error as JSON. Does nothing when something was set up before.
pub fn set_up(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_env_filter(filter);
    let _ = lines.with_writer(std::io::stderr).try_init();
}
