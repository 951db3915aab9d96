//! The socket: who may connect, and how many.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::socket_peercred;

use crate::Failure;
use crate::line::Line;
use crate::log::{Level, log};
use crate::serve::Server;

/// Most connections at a time. A host needs one for each of its cores.
const MAX_CONNECTIONS: usize = 256;

/// Which users may connect.
pub(crate) struct Peers {
    own: u32,
    others: Vec<u32>,
}

impl Peers {
    /// This program's own user and these.
    pub(crate) fn new(others: &[u32]) -> Self {
        Self { own: rustix::process::geteuid().as_raw(), others: others.to_vec() }
    }

    fn admit(&self, uid: u32) -> bool {
        uid == self.own || self.others.contains(&uid)
    }
}

/// A bound socket.
pub(crate) struct Listener {
    socket: UnixListener,
    peers: Peers,
}

impl Listener {
    /// Binds the socket. It can be reached by this user only; with other users named, by all, since the peer's user
    /// is checked on every connection.
    ///
    /// The file stays when the program ends: the confined program cannot remove it, and the next one does.
    ///
    /// # Errors
    /// Where something else than an abandoned socket stands at the path.
    pub(crate) fn bind(path: &Path, peers: Peers) -> Result<Self, Failure> {
        remove_abandoned(path)?;
        let socket = UnixListener::bind(path)?;
        let mode = if peers.others.is_empty() { 0o600 } else { 0o666 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, peers })
    }

    /// Serves until a signal arrives or the parent ends; answers which. Connections finish the commands they have
    /// read, as far as that takes no longer than a peer's patience.
    ///
    /// # Errors
    /// Where waiting fails.
    pub(crate) fn run(
        &self,
        server: &Server,
        stop: &OwnedFd,
        parent: Option<&OwnedFd>,
    ) -> io::Result<&'static str> {
        let live = Live::default();
        std::thread::scope(|scope| {
            let mut number = 0_u64;
            let ended = loop {
                match self.wait(stop, parent) {
                    Ok(None) => {}
                    Ok(Some(reason)) => break Ok(reason),
                    Err(error) => break Err(error),
                }
                let Some(stream) = self.accept(&live) else { continue };
                number += 1;
                let line = server.line(stream);
                live.add(number, &line);
                let live = &live;
                let thread = std::thread::Builder::new().name("connection".into());
                let spawned = thread.spawn_scoped(scope, move || {
                    server.serve(&line, number);
                    live.remove(number);
                });
                if let Err(error) = spawned {
                    live.remove(number);
                    log(Level::Warn, "connection refused", &[("reason", &error)]);
                }
            };
            live.end();
            ended
        })
    }

    /// Waits for a connection (`None`) or for a reason to stop.
    fn wait(&self, stop: &OwnedFd, parent: Option<&OwnedFd>) -> io::Result<Option<&'static str>> {
        let absent = self.socket.as_fd();
        let mut waited = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(parent.map_or(absent, |parent| parent.as_fd()), PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut waited, None))?;
        let [_, stopped, parented] = waited;
        Ok(if !stopped.revents().is_empty() {
            Some("signal")
        } else if parent.is_some() && !parented.revents().is_empty() {
            Some("the parent ended")
        } else {
            None
        })
    }

    /// Accepts one connection and checks its user and the number of connections.
    fn accept(&self, live: &Live) -> Option<UnixStream> {
        let stream = match self.socket.accept() {
            Ok((stream, _)) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return None;
            }
            Err(error) => {
                log(Level::Warn, "accept failed", &[("error", &error)]);
                return None;
            }
        };
        match socket_peercred(&stream) {
            Ok(peer) if self.peers.admit(peer.uid.as_raw()) => {}
            Ok(peer) => {
                log(Level::Warn, "connection refused", &[("reason", &"user"), ("uid", &peer.uid.as_raw())]);
                return None;
            }
            Err(error) => {
                log(Level::Warn, "connection refused", &[("reason", &error)]);
                return None;
            }
        }
        if live.count() >= MAX_CONNECTIONS {
            log(Level::Warn, "connection refused", &[("reason", &"too many connections")]);
            return None;
        }
        Some(stream)
    }
}

/// The connections being served, so that they can be ended.
#[derive(Default)]
struct Live(Mutex<HashMap<u64, Arc<Line>>>);

impl Live {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    fn add(&self, number: u64, line: &Arc<Line>) {
        self.lock().insert(number, Arc::clone(line));
    }

    fn remove(&self, number: u64) {
        drop(self.lock().remove(&number));
    }

    /// Ends the reading side of all: their threads answer what they have read and finish.
    fn end(&self) {
        for line in self.lock().values() {
            line.end_reading();
        }
    }
}

/// Removes a socket on which nobody listens. Anything else at the path stays and is an error.
fn remove_abandoned(path: &Path) -> Result<(), Failure> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !found.file_type().is_socket() {
        return Err("something that is not a socket stands at the socket's path".into());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("somebody listens on the socket already".into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(std::fs::remove_file(path)?),
        Err(error) => Err(error.into()),
    }
}
