//! The ceiling: the same HTTP and TLS stack, the same bytes, and no work.
//!
//! There are two. Both have as many threads as the server. One has the server's runtime, which lets others run before it
//! waits ([`listen::runtime`]); the other has tokio's as it comes.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ::http::{Request, Response};
use bytes::Bytes;
use claviger_server::entrance::Entrance;
use claviger_server::http::{self, Handler};
use claviger_server::listen;
use claviger_server::tls::{self, PostQuantum};
use claviger_server::{certificate, serve, shell};
use claviger_service::Outgoing;
use claviger_wire::incoming::Origin;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, watch};

use crate::parts::{Parts, Shared, Which};

/// Reads the whole body, as the real server must, passes the parts that it has, and answers with as many bytes as the
/// request asks for.
struct NoWork(Parts);

/// The request header that says how long the body of the answer is.
pub(crate) const LENGTH_HEADER: &str = "x-ceiling-length";
/// Longest answer.
const MAX_ANSWER: usize = 8192;
/// What answers are cut from.
static ANSWER: [u8; MAX_ANSWER] = [b'x'; MAX_ANSWER];

impl Handler for NoWork {
    async fn handle(&self, _origin: &Arc<Origin>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let length =
            head.headers.get(LENGTH_HEADER).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let answer = ANSWER.get(..length.unwrap_or_default().min(MAX_ANSWER)).unwrap_or_default();
        let read = http::read(body).await.is_ok();
        let status = if read && self.0.pass().await { 200 } else { 400 };
        http::respond(Outgoing {
            status,
            content_type: Some("application/x-amz-json-1.1"),
            request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            body: Bytes::from_static(answer),
        })
    }
}

/// Which runtime the threads of a ceiling have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Threads {
    /// The server's.
    Same,
    /// Tokio's as it comes.
    Stock,
}

impl Threads {
    fn runtime(self) -> io::Result<Runtime> {
        match self {
            Self::Same => listen::runtime(),
            Self::Stock => runtime::Builder::new_current_thread().enable_all().build(),
        }
    }
}

/// Serves on two free ports, plain and TLS, and writes them to `ports` in the folder. Runs until it is killed.
pub(crate) async fn serve(
    dir: &Path,
    threads: Threads,
    (which, programs): (Which, &Path),
) -> Result<(), String> {
    let shared = Shared::start(which, programs, dir).await?;
    let certificates = certificate::ensure(&dir.join("tls"), shell::now())?;
    let config = tls::server_config(&certificates.certificate, &certificates.key, PostQuantum::Prefer)?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let plain = TcpListener::bind(any).await.map_err(|error| error.to_string())?;
    let secure = TcpListener::bind(any).await.map_err(|error| error.to_string())?;
    let (stop, _) = watch::channel(false);
    let mut doors = Vec::new();
    for _ in 0..serve::cores() {
        let (sender, receiver) = mpsc::unbounded_channel();
        doors.push(sender);
        let stopped = stop.subscribe();
        let (parts, drivers) = shared.parts();
        std::thread::spawn(move || {
            if let Ok(runtime) = threads.runtime() {
                runtime.block_on(async move {
                    drivers.spawn();
                    listen::serve(Arc::new(NoWork(parts)), receiver, stopped).await;
                });
            }
        });
    }
    let shares = listen::Threads::new(doors, None);
    let port =
        |listener: &TcpListener| listener.local_addr().map(|address| address.port()).unwrap_or_default();
    let ports = format!("{} {}", port(&plain), port(&secure));
    std::fs::write(dir.join("ports.new"), ports).map_err(|error| error.to_string())?;
    std::fs::rename(dir.join("ports.new"), dir.join("ports")).map_err(|error| error.to_string())?;
    let one = listen::accept(plain, Arc::default(), shares.clone(), stop.subscribe());
    let other = listen::accept(secure, Arc::new(Entrance::new(Some(config))), shares, stop.subscribe());
    tokio::join!(one, other);
    Ok(())
}
