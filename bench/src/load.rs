//! The load: closed loops over kept-alive connections.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use claviger_server::shell;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where to send.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// A TLS client that trusts one authority and offers the hybrid group first, as AWS's newer SDKs do.
pub(crate) fn client_config(ca: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(ca).map_err(|error| error.to_string())?;
    roots.add(certificate).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One kept-alive connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

/// Largest response that is read, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

impl Connection {
    pub(crate) async fn open(target: &Target) -> Result<Self, String> {
        let stream = TcpStream::connect(target.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
                let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                Box::new(connected.map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its response; answers status and body.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<(u16, &[u8]), String> {
        self.buffer.clear();
        self.stream.write_all(request).await.map_err(|error| error.to_string())?;
        loop {
            if let Some((status, head, length)) = parse_head(&self.buffer)? {
                let whole = head + length;
                while self.buffer.len() < whole {
                    self.read_more().await?;
                }
                return Ok((status, self.buffer.get(head..whole).unwrap_or_default()));
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), String> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) if self.buffer.len() > MAX_RESPONSE => Err("a response is too large".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Status, length of the head and length of the body, once the head is whole.
fn parse_head(buffer: &[u8]) -> Result<Option<(u16, usize, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(buffer).map_err(|error| error.to_string())?;
    let httparse::Status::Complete(head) = parsed else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    Ok(Some((response.code.unwrap_or_default(), head, length.unwrap_or_default())))
}

/// What a load saw.
pub(crate) struct Seen {
    /// Requests that were answered within the window.
    pub(crate) requests: u64,
    /// Those, and the last of each connection, which was on its way when the window closed.
    pub(crate) carried_out: u64,
    pub(crate) elapsed: Duration,
    /// Sorted, in microseconds.
    latencies: Vec<u32>,
}

impl Seen {
    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let requests = self.requests as f64;
        requests / self.elapsed.as_secs_f64()
    }

    /// A percentile of the latency in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> u32 {
        let place = self.latencies.len() * percent / 100;
        self.latencies.get(place.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Runs closed loops for a while; each connection goes round its own part of the requests. Runs on a thread of its own,
/// so that the caller can watch the processes meanwhile.
pub(crate) fn run(
    target: &Target,
    requests: &[Bytes],
    connections: usize,
    window: Duration,
) -> Result<Seen, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let mut loops = Vec::new();
        for number in 0..connections {
            let connection = Connection::open(target).await?;
            let own: Vec<Bytes> = requests.iter().skip(number).step_by(connections).cloned().collect();
            let own = if own.is_empty() { requests.to_vec() } else { own };
            loops.push(tokio::spawn(one(connection, own, Arc::clone(&stop))));
        }
        let started = shell::instant();
        tokio::time::sleep(window).await;
        stop.store(true, Ordering::Relaxed);
        let elapsed = started.elapsed();
        let mut latencies = Vec::new();
        for finished in loops {
            latencies.extend(finished.await.map_err(|error| error.to_string())??);
        }
        latencies.sort_unstable();
        let count = |count: usize| u64::try_from(count).unwrap_or_default();
        let requests = count(latencies.len());
        Ok(Seen { requests, carried_out: requests + count(connections), elapsed, latencies })
    })
}

async fn one(
    mut connection: Connection,
    requests: Vec<Bytes>,
    stop: Arc<AtomicBool>,
) -> Result<Vec<u32>, String> {
    let mut latencies = Vec::with_capacity(64 * 1024);
    for request in requests.iter().cycle() {
        let started = shell::instant();
        let (status, body) = connection.call(request).await?;
        if status != 200 {
            return Err(format!("status {status}: {}", String::from_utf8_lossy(body)));
        }
        // What ends after the window is no part of it.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        latencies.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}
