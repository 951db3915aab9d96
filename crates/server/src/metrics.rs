//! Counters and histograms, in Prometheus' text form on an address of their own, and the health of the process.

use std::collections::HashMap;

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

/// Handles of one operation.
struct Operation {
    answered: Counter,
    refused: Counter,
    failed: Counter,
    seconds: Histogram,
}

impl Operation {
    fn named(name: &'static str) -> Self {
        let count = |outcome: &'static str| counter!("claviger_requests_total", "operation" => name, "outcome" => outcome);
        Self {
            answered: count("answered"),
            refused: count("refused"),
            failed: count("failed"),
            seconds: histogram!("claviger_request_seconds", "operation" => name),
        }
    }
}

/// What a thread counts. Handles are made once: finding them by their labels costs more than counting.
pub struct Requests {
    operations: HashMap<&'static str, Operation>,
    other: Operation,
    unauthenticated: Counter,
}

impl Requests {
    /// The handles.
    pub fn new() -> Self {
        let names = kms::ops::ALL.iter().map(|entry| entry.name).chain(["GetCallerIdentity"]);
        Self {
            operations: names.map(|name| (name, Operation::named(name))).collect(),
            // Names that a caller made up share one label, so that they cannot grow the list.
            other: Operation::named("other"),
            unauthenticated: counter!("claviger_unauthenticated_total"),
        }
    }

    /// Counts a request.
    pub fn count(&self, operation: &str, status: u16, seconds: f64, authenticated: bool) {
        let handles = self.operations.get(operation).unwrap_or(&self.other);
        match status {
            200..300 => handles.answered.increment(1),
            500.. => handles.failed.increment(1),
            _ => handles.refused.increment(1),
        }
        handles.seconds.record(seconds);
        if !authenticated {
            self.unauthenticated.increment(1);
        }
    }
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
