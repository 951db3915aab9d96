//! The line to the HSM process: one connection for each thread, many commands in flight on it.
//!
//! Commands that become ready within a turn of the runtime leave in one write. Each carries an id that is never
//! used again in this process, so a late answer can only be dropped, never given to somebody else.
//!
//! When a connection breaks, or the HSM is silent for [`DEADLINE_TICKS`] although it was asked for something that takes
//! it no time, everything in flight fails with a retryable error and the link connects anew. (It reads no question
//! while this connection has no more room in its pool; then something that it does there must end within that time.) A
//! command that the HSM does not come to within [`LONGEST_WAIT`] fails alone, and the HSM does not begin what has waited there
//! for as long. Where more than [`MOST_LATE`] are late, some of them are unread, and the connection is given up.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claviger_hsm_proto::{Command, LONGEST_WAIT, Reply, VERSION, frame};
use claviger_service::{BoxFuture, ReplyBody, Vault, VaultError};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::MissedTickBehavior;
use zeroize::{Zeroize, Zeroizing};

/// How often the link looks for commands that wait too long.
const TICK: Duration = Duration::from_secs(1);
/// After how many ticks without any answer, while a command waits for as long, the HSM counts as silent.
pub const DEADLINE_TICKS: u64 = 5;
/// After how many ticks without any answer, while a command waits, the HSM is asked whether it is there. It answers that
/// as soon as it reads it, before all that queues.
const PROBE_TICKS: u64 = 2;
/// The question.
const PROBE: Command<'static> = Command::GenerateRandom { length: 1, recipient: None };
/// After how many ticks a command has waited too long although others are answered: the making of RSA keys queues.
const LONGEST_WAIT_TICKS: u64 = LONGEST_WAIT.as_secs() / TICK.as_secs();
/// So many commands of one connection may be too late and unanswered: as many as the HSM has room for. What is more it has
/// not read, and would begin when it has.
const MOST_LATE: usize = 1024;
/// How long a command waits for a link that is connecting, before it fails.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// Pause between attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);
/// Most commands in flight on one link.
const MAX_IN_FLIGHT: usize = 16 * 1024;
/// Length of the read buffer in bytes; grows to hold the largest frame.
const READ_BUFFER: usize = 64 * 1024;

/// What an HSM says of itself when a link connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// Names the domain.
    pub domain: [u8; 16],
}

/// A link. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    socket: PathBuf,
    state: Mutex<State>,
    /// Rung when there is something to write.
    bell: Notify,
    greeting: watch::Sender<Option<Greeting>>,
}

#[derive(Default)]
struct State {
    connected: bool,
    out: Zeroizing<Vec<u8>>,
    in_flight: HashMap<u64, Waiting>,
    next_id: u64,
    tick: u64,
    /// The tick of the last answer.
    answered_tick: u64,
    /// Commands that were too late, until the HSM answers that it has not begun them.
    late: HashSet<u64>,
}

struct Waiting {
    answer: oneshot::Sender<Result<ReplyBody, VaultError>>,
    since_tick: u64,
}

impl Link {
    /// A link to the HSM behind this socket. It connects when its task ([`Link::run`]) runs.
    pub fn new(socket: PathBuf) -> Self {
        let (greeting, _) = watch::channel(None);
        Self(Arc::new(Shared { socket, state: Mutex::default(), bell: Notify::new(), greeting }))
    }

    /// Keeps the link connected. Never returns; must run on the runtime whose tasks use the link.
    pub async fn run(self) {
        let mut told = false;
        loop {
            match connect(&self.0.socket).await {
                Ok((wire, greeting)) => {
                    told = false;
                    self.0.state().connected = true;
                    self.0.greeting.send_replace(Some(greeting));
                    let why = self.0.serve(&wire).await;
                    self.0.greeting.send_replace(None);
                    self.0.disconnect(&why);
                    tracing::warn!(cause = why, "the link to the HSM broke");
                }
                Err(cause) => {
                    if !told {
                        tracing::warn!(cause, "the HSM cannot be reached; trying on");
                    }
                    told = true;
                    tokio::time::sleep(CONNECT_PAUSE).await;
                }
            }
        }
    }

    /// What the connected HSM says of itself, once it is connected.
    pub async fn greeting(&self) -> Option<Greeting> {
        let mut greeting = self.0.greeting.subscribe();
        greeting.wait_for(Option::is_some).await.ok().and_then(|greeting| *greeting)
    }

    /// Whether the link is connected now.
    pub fn is_connected(&self) -> bool {
        self.0.state().connected
    }
}

impl Vault for Link {
    fn send(&self, command: &Command<'_>) -> BoxFuture<'static, Result<ReplyBody, VaultError>> {
        let shared = Arc::clone(&self.0);
        match shared.enqueue(command) {
            Ok(Some(answer)) => Box::pin(wait(answer)),
            Ok(None) => {
                let mut held = Zeroizing::new(Vec::new());
                // The id is written when the command is sent; the body is kept until then.
                let encoded = minicbor_body(command, &mut held);
                Box::pin(async move {
                    encoded?;
                    wait(shared.enqueue_when_connected(&held).await?).await
                })
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

async fn wait(answer: oneshot::Receiver<Result<ReplyBody, VaultError>>) -> Result<ReplyBody, VaultError> {
    answer.await.unwrap_or_else(|_| Err(VaultError("the link to the HSM ended".to_owned())))
}

/// A whole frame with the id 0, whose body is taken over later.
fn minicbor_body(command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), VaultError> {
    frame::write(out, 0, command).map_err(|error| VaultError(error.to_string()))
}

impl Shared {
    /// No code panics while it holds the lock, so a poisoned one still guards a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a command into the buffer that leaves next; `None` when the link is not connected.
    fn enqueue(
        &self,
        command: &Command<'_>,
    ) -> Result<Option<oneshot::Receiver<Result<ReplyBody, VaultError>>>, VaultError> {
        let mut state = self.state();
        if !state.connected {
            return Ok(None);
        }
        let id = state.new_id()?;
        state.write(id, command)?;
        let answer = state.expect(id);
        drop(state);
        self.bell.notify_one();
        Ok(Some(answer))
    }

    /// Waits for the link to connect, then puts an encoded command into the buffer.
    async fn enqueue_when_connected(
        &self,
        encoded: &[u8],
    ) -> Result<oneshot::Receiver<Result<ReplyBody, VaultError>>, VaultError> {
        let mut greeting = self.greeting.subscribe();
        let connected = tokio::time::timeout(CONNECT_WAIT, greeting.wait_for(Option::is_some)).await;
        if !matches!(connected, Ok(Ok(_))) {
            return Err(VaultError("the HSM is not connected".to_owned()));
        }
        drop(connected);
        let mut state = self.state();
        if !state.connected {
            return Err(VaultError("the HSM is not connected".to_owned()));
        }
        let id = state.new_id()?;
        make_room(&mut state.out);
        let at = state.out.len() + frame::PREFIX_LEN;
        state.out.extend_from_slice(encoded);
        let place =
            state.out.get_mut(at..at + 8).ok_or_else(|| VaultError("a frame is too short".to_owned()))?;
        place.copy_from_slice(&id.to_be_bytes());
        let answer = state.expect(id);
        drop(state);
        self.bell.notify_one();
        Ok(answer)
    }

    /// Asks the HSM whether it is there. Nobody waits for the answer: that it comes is what counts.
    fn probe(&self) -> Result<(), VaultError> {
        let mut state = self.state();
        state.next_id += 1;
        let id = state.next_id;
        state.write(id, &PROBE)?;
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Serves one connection until it breaks; answers why.
    async fn serve(&self, wire: &Wire) -> String {
        tokio::select! {
            why = self.read(&wire.incoming) => why,
            why = self.write(&wire.outgoing) => why,
            why = self.watch_deadline() => why,
        }
    }

    async fn write(&self, stream: &Socket) -> String {
        // Cleared also where this ends in the middle of a write.
        let mut batch = Zeroizing::new(Vec::new());
        loop {
            self.bell.notified().await;
            // Other threads may have work for this one, and tasks that become ready in the next turn of the runtime get
            // to add their commands first: one write, and one wake-up of the HSM, then serve them all. Where there is
            // nobody to wait for, neither takes any time.
            std::thread::yield_now();
            tokio::task::yield_now().await;
            std::mem::swap(&mut self.state().out, &mut batch);
            let written = write_all(stream, &batch).await;
            batch.as_mut_slice().zeroize();
            batch.clear();
            if let Err(error) = written {
                return format!("cannot write: {error}");
            }
        }
    }

    async fn read(&self, stream: &AsyncFd<Socket>) -> String {
        let mut buffer = Zeroizing::new(vec![0; READ_BUFFER + frame::MAX_BODY_LEN]);
        let mut filled = 0;
        loop {
            let Some(free) = buffer.get_mut(filled..) else { return "the buffer is full".to_owned() };
            filled += match read(stream, free).await {
                Ok(0) => return "the HSM closed the connection".to_owned(),
                Ok(count) => count,
                Err(error) => return format!("cannot read: {error}"),
            };
            let taken = match self.deliver(buffer.get(..filled).unwrap_or_default()) {
                Ok(taken) => taken,
                Err(error) => return error.to_string(),
            };
            buffer.copy_within(taken..filled, 0);
            filled -= taken;
            buffer.get_mut(filled..filled + taken).unwrap_or_default().zeroize();
        }
    }

    /// Hands out every whole frame; answers how many bytes they took.
    fn deliver(&self, buffer: &[u8]) -> Result<usize, frame::FrameError> {
        let mut taken = 0;
        while let Some(found) = frame::next(buffer.get(taken..).unwrap_or_default())? {
            taken += found.len;
            let waiting = {
                let mut state = self.state();
                state.answered_tick = state.tick;
                state.late.remove(&found.id);
                state.in_flight.remove(&found.id)
            };
            if let Some(waiting) = waiting {
                // The caller may have gone away; then the answer is dropped, and cleared.
                drop(waiting.answer.send(Ok(Zeroizing::new(found.body.to_vec()))));
            }
        }
        Ok(taken)
    }

    async fn watch_deadline(&self) -> String {
        let mut ticks = tokio::time::interval(TICK);
        // A thread that was not scheduled for long has its answers waiting: it may not count what it slept as silence.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (health, late) = self.state().tick();
            for waiting in late {
                drop(waiting.answer.send(Err(VaultError("the HSM did not come to it in time".to_owned()))));
            }
            match health {
                Health::Good => {}
                Health::Doubtful => {
                    if let Err(VaultError(error)) = self.probe() {
                        return error;
                    }
                }
                Health::Lost => return "the HSM does not answer".to_owned(),
                Health::Behind => return "the HSM has too much to do that nobody waits for".to_owned(),
            }
        }
    }

    fn disconnect(&self, why: &str) {
        let mut state = self.state();
        state.connected = false;
        state.late.clear();
        state.out.as_mut_slice().zeroize();
        state.out.clear();
        let failed: Vec<Waiting> = state.in_flight.drain().map(|(_, waiting)| waiting).collect();
        drop(state);
        for waiting in failed {
            drop(waiting.answer.send(Err(VaultError(why.to_owned()))));
        }
    }
}

impl State {
    /// Goes on by a tick. Gives how the HSM does, and takes out the commands that have waited too long.
    fn tick(&mut self) -> (Health, Vec<Waiting>) {
        self.tick += 1;
        let now = self.tick;
        let waits = |waiting: &Waiting| now.saturating_sub(waiting.since_tick);
        let late = self.in_flight.extract_if(|_, waiting| waits(waiting) > LONGEST_WAIT_TICKS);
        let late: Vec<(u64, Waiting)> = late.collect();
        self.late.extend(late.iter().map(|(id, _)| id));
        let oldest = self.in_flight.values().map(waits).max().unwrap_or_default();
        let health = match self.late.len() > MOST_LATE {
            true => Health::Behind,
            false => health(oldest, now.saturating_sub(self.answered_tick)),
        };
        (health, late.into_iter().map(|(_, waiting)| waiting).collect())
    }

    fn write(&mut self, id: u64, command: &Command<'_>) -> Result<(), VaultError> {
        make_room(&mut self.out);
        frame::write(&mut self.out, id, command).map_err(|error| VaultError(error.to_string()))
    }

    fn new_id(&mut self) -> Result<u64, VaultError> {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return Err(VaultError("too many commands wait for the HSM".to_owned()));
        }
        self.next_id += 1;
        Ok(self.next_id)
    }

    fn expect(&mut self, id: u64) -> oneshot::Receiver<Result<ReplyBody, VaultError>> {
        let (answer, receiver) = oneshot::channel();
        self.in_flight.insert(id, Waiting { answer, since_tick: self.tick });
        receiver
    }
}

/// What is known of the HSM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// It answers, or nothing waits.
    Good,
    /// It has been silent for a while; it may be at something that takes long.
    Doubtful,
    /// It is silent although it was asked.
    Lost,
    /// It does not come to reading what was sent long ago.
    Behind,
}

/// Makes room for one more frame, and leaves nothing behind where the buffer stood.
fn make_room(out: &mut Zeroizing<Vec<u8>>) {
    const FRAME: usize = frame::MAX_BODY_LEN + frame::PREFIX_LEN;
    if out.capacity() - out.len() < FRAME {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * out.capacity() + FRAME));
        larger.extend_from_slice(out);
        *out = larger;
    }
}

/// By how many ticks the oldest command waits, and since how many nothing was answered.
const fn health(waits: u64, unanswered: u64) -> Health {
    let silent = if waits < unanswered { waits } else { unanswered };
    match silent {
        0..PROBE_TICKS => Health::Good,
        PROBE_TICKS..=DEADLINE_TICKS => Health::Doubtful,
        _ => Health::Lost,
    }
}

/// A connected socket.
struct Wire {
    /// Its task is woken by what can be read, and by nothing else. That of a stream of the runtime is woken also
    /// whenever the HSM has taken what was written to it, which is of no use to anybody.
    incoming: AsyncFd<Socket>,
    /// A second descriptor of it, which is waited for only while the HSM does not take what is written.
    outgoing: Socket,
}

impl Wire {
    fn of(stream: UnixStream) -> io::Result<Self> {
        let incoming = stream.into_std()?;
        Ok(Self { outgoing: incoming.try_clone()?, incoming: registered(incoming, Interest::READABLE)? })
    }
}

/// Reads what is there, and waits for it first where nothing is.
async fn read(stream: &AsyncFd<Socket>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = stream.readable().await?;
        if let Ok(outcome) = ready.try_io(|stream| stream.get_ref().read(buffer)) {
            // Less than there was room for is all there was.
            if outcome.as_ref().is_ok_and(|read| *read < buffer.len()) {
                ready.clear_ready();
            }
            return outcome;
        }
    }
}

/// Writes everything, and waits only where the HSM does not take it.
async fn write_all(mut stream: &Socket, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(registered(stream.as_fd(), Interest::WRITABLE)?.writable().await?);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Connects and exchanges greetings.
async fn connect(socket: &PathBuf) -> Result<(Wire, Greeting), String> {
    let attempt = async {
        let mut stream = UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
        let mut hello = Vec::new();
        frame::write(&mut hello, 0, &Command::Hello { version: VERSION })
            .map_err(|error| error.to_string())?;
        stream.write_all(&hello).await.map_err(|error| error.to_string())?;
        let mut buffer = Vec::with_capacity(256);
        loop {
            if let Some(found) = frame::next(&buffer).map_err(|error| error.to_string())? {
                return match frame::read(found.body).map_err(|error| error.to_string())? {
                    Reply::Hello { version: VERSION, domain } => {
                        let wire = Wire::of(stream).map_err(|error| error.to_string())?;
                        Ok((wire, Greeting { domain }))
                    }
                    other => Err(format!("the HSM answered {other:?}")),
                };
            }
            if stream.read_buf(&mut buffer).await.map_err(|error| error.to_string())? == 0 {
                return Err("the HSM closed the connection".to_owned());
            }
        }
    };
    tokio::time::timeout(CONNECT_WAIT, attempt).await.unwrap_or_else(|_| Err("the HSM is silent".to_owned()))
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, because a type may lie about its descriptor; one of the standard library does not"
)]
fn registered<S: AsRawFd>(stream: S, interest: Interest) -> io::Result<AsyncFd<S>> {
    AsyncFd::with_interest(stream, interest)
}

#[cfg(test)]
mod tests;
