//! Counters and histograms, in Prometheus' text form on an address of their own, and the health of the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use claviger_service::kms;
use metrics::{Counter, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of the latency buckets in seconds.
const BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Installs the recorder of the process.
///
/// # Errors
/// When one is installed already.
pub fn install() -> Result<PrometheusHandle, String> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("claviger_request_seconds".to_owned()), &BUCKETS)
        .map_err(|error| error.to_string())?;
    builder.install_recorder().map_err(|error| error.to_string())
}

/// Most requests of one operation that a thread counts for itself.
const GATHERED: usize = 128;

/// What a thread has counted of one operation and the recorder does not know yet.
#[derive(Default)]
struct Counted {
    answered: u64,
    refused: u64,
    failed: u64,
    /// How long each took.
    seconds: Vec<f64>,
}

/// One operation: what was counted, and the handles that it goes to.
struct Operation {
    counted: Mutex<Counted>,
    answered: Counter,
    refused: Counter,
    failed: Counter,
    seconds: Histogram,
}

impl Operation {
    fn named(name: &'static str) -> Self {
        let count = |outcome: &'static str| counter!("claviger_requests_total", "operation" => name, "outcome" => outcome);
        Self {
            counted: Mutex::default(),
            answered: count("answered"),
            refused: count("refused"),
            failed: count("failed"),
            seconds: histogram!("claviger_request_seconds", "operation" => name),
        }
    }

    fn count(&self, status: u16, seconds: f64) {
        let mut counted = lock(&self.counted);
        match status {
            200..300 => counted.answered += 1,
            500.. => counted.failed += 1,
            _ => counted.refused += 1,
        }
        counted.seconds.push(seconds);
        if counted.seconds.len() >= GATHERED {
            self.tell(&mut counted);
        }
    }

    fn tell(&self, counted: &mut Counted) {
        let Counted { answered, refused, failed, seconds } = counted;
        for (handle, count) in [(&self.answered, answered), (&self.refused, refused), (&self.failed, failed)]
        {
            if *count > 0 {
                handle.increment(std::mem::take(count));
            }
        }
        seconds.drain(..).for_each(|seconds| self.seconds.record(seconds));
    }
}

/// What a thread counts. It gathers some before it tells the recorder, which all threads share: to have the recorder's
/// memory come over from another core for each request costs more than to count.
pub struct Requests(Arc<Table>);

struct Table {
    operations: HashMap<&'static str, Operation>,
    other: Operation,
    unauthenticated: Counter,
}

/// What all threads count.
static COUNTED: Mutex<Vec<Weak<Table>>> = Mutex::new(Vec::new());

impl Requests {
    /// Nothing counted yet. Handles are made once: finding them by their labels costs more than counting.
    pub fn new() -> Self {
        let names = kms::ops::ALL.iter().map(|entry| entry.name).chain(["GetCallerIdentity"]);
        let table = Arc::new(Table {
            operations: names.map(|name| (name, Operation::named(name))).collect(),
            // Names that a caller made up share one label, so that they cannot grow the list.
            other: Operation::named("other"),
            unauthenticated: counter!("claviger_unauthenticated_total"),
        });
        lock(&COUNTED).push(Arc::downgrade(&table));
        Self(table)
    }

    /// Counts a request.
    pub fn count(&self, operation: &str, status: u16, seconds: f64, authenticated: bool) {
        let table = &self.0;
        table.operations.get(operation).unwrap_or(&table.other).count(status, seconds);
        if !authenticated {
            table.unauthenticated.increment(1);
        }
    }
}

/// Tells the recorder what every thread has counted.
pub fn tell_all() {
    let tables: Vec<_> = lock(&COUNTED).iter().filter_map(Weak::upgrade).collect();
    for table in tables {
        for operation in table.operations.values().chain([&table.other]) {
            operation.tell(&mut lock(&operation.counted));
        }
    }
}

/// No code panics while it holds one of the locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Requests {
    fn default() -> Self {
        Self::new()
    }
}

/// Notes the state of the ledger.
pub fn ledger(durable_sequence: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge; exact to 2^53 events")]
    gauge!("claviger_ledger_sequence").set(durable_sequence as f64);
}

/// Notes the number of the HSM's newest domain key; 0 until it is known.
pub fn domain_key(generation: u32) {
    gauge!("claviger_domain_key_generation").set(f64::from(generation));
}

/// Counts a request that was one too many for a bucket of request quotas.
pub fn throttled(bucket: &'static str) {
    counter!("claviger_throttled_total", "bucket" => bucket).increment(1);
}

/// Counts a TLS handshake by its key exchange.
pub fn handshake(key_exchange: &str) {
    counter!("claviger_tls_handshakes_total", "key_exchange" => key_exchange.to_owned()).increment(1);
}
