//! `/metrics` and `/healthz`, on an address of their own.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::hsm_link::Link;
use crate::ledger::Ledger;

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 64;
/// Longest time for a request head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The recorder of the process, once it is installed.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder. Must happen before anything is counted.
///
/// # Errors
/// When one is installed already.
pub fn install_recorder() -> Result<(), String> {
    let handle = crate::metrics::install()?;
    RECORDER.set(handle).map_err(|_| "the recorder is installed twice".to_owned())
}

/// Sorts the latencies that were recorded since the last time into their buckets. The recorder keeps each of them until
/// then, and nobody may ever ask for the metrics.
pub fn sort_samples() {
    if let Some(recorder) = RECORDER.get() {
        recorder.run_upkeep();
    }
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, link: Link, ledger: Arc<Ledger>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (link, ledger) = (link.clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let response = answer(&request, &link, &ledger);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, link: &Link, ledger: &Ledger) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            crate::metrics::tell_all();
            (StatusCode::OK, RECORDER.get().map(PrometheusHandle::render).unwrap_or_default())
        }
        (&Method::GET, "/healthz") => health(link, ledger),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

/// Healthy means that a request could be carried out now.
fn health(link: &Link, ledger: &Ledger) -> (StatusCode, String) {
    let (hsm, audit) = (link.is_connected(), !ledger.has_failed());
    let status = if hsm && audit { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{{\"hsm\":{hsm},\"audit\":{audit}}}\n"))
}
