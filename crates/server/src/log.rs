//! The log: rare lines through `tracing`, and one wide line for each request, both JSON on standard error.
//!
//! The line of a request is written here and not through `tracing`, which would cost more than the whole decision: it
//! is serialized straight into a buffer of its thread's, and one thread writes all of them out. Lines of one thread are
//! in order; those of different threads only as far as they are [gathered](GATHER) apart. When a buffer is full, lines
//! are dropped and counted, so that a slow reader of the log cannot stop the service; for the same reason the rare lines
//! have a thread of their own. The audit ledger loses nothing.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claviger_wire::line::Line;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// Most bytes of one thread that wait to be written.
const MAX_BUFFER: usize = 4 * 1024 * 1024;
/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(20);

/// Lines of one thread.
type Buffer = Mutex<Vec<u8>>;

/// What the threads and the writer share.
#[derive(Default)]
struct Shared {
    buffers: Mutex<Vec<Arc<Buffer>>>,
    /// A buffer that was empty holds a line.
    filled: Mutex<bool>,
    bell: Condvar,
    dropped: AtomicU64,
}

/// The log that every thread has a part of.
pub struct RequestLog(Option<Arc<Shared>>);

/// One thread's part.
pub struct RequestLines(Option<(Arc<Shared>, Arc<Buffer>)>);

impl RequestLog {
    /// A log that writes to standard error from a thread of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to_stderr() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("request-log".to_owned()).spawn(move || write_out(&writer))?;
        Ok(Self(Some(shared)))
    }

    /// A log that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// The part of one more thread.
    pub fn lines(&self) -> RequestLines {
        RequestLines(self.0.as_ref().map(|shared| {
            let buffer = Arc::default();
            lock(&shared.buffers).push(Arc::clone(&buffer));
            (Arc::clone(shared), buffer)
        }))
    }
}

impl RequestLines {
    /// Adds a line, if lines are kept.
    pub fn write(&self, members: impl FnOnce(&mut Line)) {
        let Some((shared, buffer)) = &self.0 else { return };
        let mut buffer = lock(buffer);
        if buffer.len() >= MAX_BUFFER {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = buffer.is_empty();
        let mut line = Line::behind(std::mem::take(&mut *buffer));
        members(&mut line);
        *buffer = line.finish();
        buffer.push(b'\n');
        drop(buffer);
        if first {
            *lock(&shared.filled) = true;
            shared.bell.notify_one();
        }
    }
}

/// No code panics while it holds one of the locks and leaves anything half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_out(shared: &Shared) {
    let mut batch = Vec::new();
    loop {
        let filled = shared.bell.wait_while(lock(&shared.filled), |filled| !std::mem::take(filled));
        drop(filled.unwrap_or_else(PoisonError::into_inner));
        std::thread::park_timeout(GATHER);
        let buffers = lock(&shared.buffers).clone();
        for buffer in buffers {
            std::mem::swap(&mut *lock(&buffer), &mut batch);
            // Nobody may be reading; then there is nobody to tell.
            let _ = std::io::stderr().write_all(&batch);
            batch.clear();
        }
        let dropped = shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "lines of requests were dropped");
        }
    }
}

/// Most rare lines that wait to be written; further ones are dropped.
const MAX_RARE_LINES: usize = 4096;

/// Sends the rare lines to standard error as JSON. Does nothing when something was set up before. What waits to be
/// written when the program ends is written when the guard is dropped, unless nobody reads it within a second.
#[must_use = "dropping the guard ends the log"]
pub fn set_up(filter: &str) -> WorkerGuard {
    let (stderr, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_RARE_LINES)
        .thread_name("log")
        .finish(std::io::stderr());
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let lines =
        tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_env_filter(filter);
    let _ = lines.with_writer(stderr).try_init();
    guard
}
