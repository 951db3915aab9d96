//! The log: rare lines through `tracing`, and one wide line for each request, both JSON on standard error.
//!
//! The line of a request is written here and not through `tracing`, which would cost more than the whole decision: it
//! is serialized straight into a buffer that a thread of its own writes out. When the buffer is full, lines are
//! dropped and counted, so that a slow reader of the log cannot stop the service. The audit ledger loses nothing.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Most bytes that wait to be written.
const MAX_BUFFER: usize = 4 * 1024 * 1024;
/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(20);

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

    /// Whether lines are kept.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a line: one JSON object.
    pub fn write(&self, line: &[u8]) {
        let Some(shared) = &self.0 else { return };
        let mut buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let first = buffer.is_empty();
        if buffer.len() >= MAX_BUFFER {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        buffer.extend_from_slice(line);
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
    let lines =
        tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_env_filter(filter);
    let _ = lines.with_writer(std::io::stderr).try_init();
}
