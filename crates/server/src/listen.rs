//! Accepts connections and gives them, one after the other, to the threads that serve them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use claviger_wire::incoming::Origin;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::entrance::{Entrance, Whence};
use crate::http::{self, Handler};
use crate::stop::stopped;
use crate::{metrics, tls};

/// Most connections at a time; further ones are closed at once.
const MAX_CONNECTIONS: usize = 20_000;
/// Descriptors that connections leave to the rest of the program, and more for each thread that serves: its runtime, and
/// its line to the HSM.
const OTHER_DESCRIPTORS: u64 = 256;
const DESCRIPTORS_OF_A_THREAD: u64 = 8;
/// How long a client may take nothing of what is sent to it, in milliseconds. TCP asks on its own whether there is room
/// again, and would do so for as long as the client answers.
const TAKE_TIMEOUT_MS: u32 = 60_000;
/// Longest time for a TLS handshake, and for the PROXY protocol's header before it.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest time that connections get to finish when the program stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection on its way to the thread that serves it.
pub struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    entrance: Arc<Entrance>,
    counted: Counted,
}

/// Counts a connection for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let counted = Self(Arc::clone(count));
        // Adding first and looking after keeps the bound without a lock; dropping takes the one back.
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(counted)
    }
}

/// How many connections there may be where the process may have so many descriptors: what is left of them must be enough
/// to go on with, whatever clients do.
fn most_connections(descriptors: Option<u64>, threads: usize) -> usize {
    let threads = u64::try_from(threads).unwrap_or(u64::MAX);
    let others = OTHER_DESCRIPTORS.saturating_add(threads.saturating_mul(DESCRIPTORS_OF_A_THREAD));
    let left = descriptors.map(|limit| limit.saturating_sub(others).max(limit / 2));
    left.and_then(|left| usize::try_from(left).ok()).map_or(MAX_CONNECTIONS, |left| left.min(MAX_CONNECTIONS))
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The threads that serve connections, and whose turn it is.
#[derive(Clone)]
pub struct Threads {
    doors: Arc<Vec<mpsc::UnboundedSender<Accepted>>>,
    next: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    most: usize,
}

impl Threads {
    /// Shares connections out over these threads, as many as so many descriptors of the process allow.
    pub fn new(doors: Vec<mpsc::UnboundedSender<Accepted>>, descriptors: Option<u64>) -> Self {
        let most = most_connections(descriptors, doors.len());
        Self { doors: Arc::new(doors), next: Arc::default(), connections: Arc::default(), most }
    }

    fn give(&self, stream: TcpStream, peer: SocketAddr, entrance: Arc<Entrance>) {
        let Some(counted) = Counted::new(&self.connections, self.most) else { return };
        // Replies are small and complete; waiting to fill a packet would only delay them.
        let set = stream.set_nodelay(true).and_then(|()| Ok(set_tcp_user_timeout(&stream, TAKE_TIMEOUT_MS)?));
        let Ok(stream) = set.and_then(|()| stream.into_std()) else { return };
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let door = self.doors.get(turn.checked_rem(self.doors.len()).unwrap_or_default());
        if let Some(door) = door {
            // A thread that is gone takes no more connections; the program is stopping then.
            let _ = door.send(Accepted { stream, peer, entrance, counted });
        }
    }
}

/// Accepts on one listener until `stop` says so.
pub async fn accept(
    listener: TcpListener,
    entrance: Arc<Entrance>,
    threads: Threads,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => threads.give(stream, peer, Arc::clone(&entrance)),
            Err(error) => {
                tracing::warn!(cause = error.to_string(), "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The runtime of a thread that serves connections.
///
/// Before it waits for events it lets others run who can (`sched_yield`). Where cores are scarce those are the clients,
/// the HSM and the ledger: there is more to find at once afterwards, and there are fewer threads to wake. Where a core is
/// free nobody takes this one, and asking costs a fraction of a microsecond.
///
/// # Errors
/// The system's, where it has no descriptors left.
pub fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().on_thread_park(std::thread::yield_now).build()
}

/// Serves the connections that one thread is given, until `stop` says so and they have ended.
pub async fn serve<H: Handler>(
    handler: Arc<H>,
    mut door: mpsc::UnboundedReceiver<Accepted>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let each = stop.clone();
    loop {
        tokio::select! {
            accepted = door.recv() => match accepted {
                Some(accepted) => drop(connections.spawn(connection(Arc::clone(&handler), accepted, each.clone()))),
                None => break,
            },
            // Takes ended connections out of the set as they end.
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
}

async fn connection<H: Handler>(handler: Arc<H>, accepted: Accepted, stop: watch::Receiver<bool>) {
    let Accepted { stream, peer, entrance, counted } = accepted;
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    let Whence { peer, endpoint } = match entrance.whence(&mut stream, peer.ip()).await {
        Ok(whence) => whence,
        Err(why) => return handler.turned_away(peer.ip(), why),
    };
    match &entrance.tls {
        None => {
            let origin = Origin { peer: peer.into(), tls: None, endpoint };
            http::serve(handler, stream, origin, stop).await;
        }
        Some(config) => {
            let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await else { return };
            let described = tls::describe(stream.get_ref().1);
            metrics::handshake(&described.key_exchange);
            let origin = Origin { peer: peer.into(), tls: Some(described), endpoint };
            http::serve(handler, stream, origin, stop).await;
        }
    }
    drop(counted);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_rest() {
        for (descriptors, threads, most) in [
            (None, 2, 20_000),
            (Some(u64::MAX), 2, 20_000),
            (Some(20_272), 2, 20_000),
            (Some(20_271), 2, 19_999),
            (Some(1024), 2, 752),
            (Some(4096), 128, 2816),
            (Some(512), 2, 256),
            (Some(100), 2, 50),
            (Some(0), 2, 0),
            (Some(1024), usize::MAX, 512),
        ] {
            assert_eq!(most_connections(descriptors, threads), most, "{descriptors:?} {threads}");
        }
    }
}
