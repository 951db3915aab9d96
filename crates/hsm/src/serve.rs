//! One connection: reads what has arrived, handles all that is cheap of it, gives the rest to the pool, and writes all
//! replies at once. The pool's replies follow when they are ready; their ids tell what they answer.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::Scope;
use std::time::{Duration, Instant};

use claviger_hsm::{Closed, Deferred, Engine, Session, Step};
use claviger_hsm_proto::frame::{MAX_BODY_LEN, PREFIX_LEN};
use claviger_hsm_proto::{LONGEST_WAIT, Refusal};
use zeroize::{Zeroize, Zeroizing};

use crate::line::{Held, Line};
use crate::log::{Level, log};
use crate::pool::quota::{ALL, CONNECTION, Charge, Full, Quota, Total};
use crate::pool::{Flow, Place, Pool, Workers};

/// How much is read at once: room for two of the largest frames.
const INPUT_LEN: usize = 2 * (MAX_BODY_LEN + PREFIX_LEN);
/// Replies are sent when they are longer than this, in bytes.
const BATCH_LEN: usize = 256 * 1024;
/// How long a connection may take for its hello, a peer to take its replies, and what is in the pool to end when
/// nothing more is read.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time since the program started.
struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the shell: the engine gets the time from here")]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What all connections share.
pub(crate) struct Server {
    engine: Engine,
    clock: Clock,
    pool: Pool<Job>,
    load: Arc<Total>,
    /// How long a connection's work may take when nothing more is read from it.
    patience: Duration,
    /// How long a command may wait.
    longest_wait: Duration,
}

/// What a worker is given.
pub(crate) struct Job {
    line: Arc<Line>,
    flow: Flow,
    charge: Charge,
    task: Task,
}

enum Task {
    /// A command to be carried out.
    Command { deferred: Deferred, frame: Zeroizing<Vec<u8>> },
    /// A reply to be written, of a worker that has stepped back.
    Reply(Zeroizing<Vec<u8>>),
}

enum End {
    Closed(Closed),
    Io(io::Error),
    /// The program stops, and there is no room in the pool for what was read.
    Stopped,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Server {
    /// Serves this engine. The clock starts.
    pub(crate) fn new(engine: Engine) -> Self {
        let load = Arc::new(Total::new(ALL));
        Self {
            engine,
            clock: Clock::start(),
            pool: Pool::new(),
            load,
            patience: PATIENCE,
            longest_wait: LONGEST_WAIT,
        }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Starts the pool's workers for this many cores.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn start_workers<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        cores: usize,
    ) -> io::Result<Workers<'env, Job>> {
        self.pool.start(scope, cores, move |place| self.executor(cores, place))
    }

    /// What carries out the jobs of one worker of so many. Its buffer holds plaintexts and is cleared after each job.
    fn executor(&self, workers: usize, place: Place) -> impl FnMut(Job) + use<'_> {
        let mut session = self.engine.worker();
        let mut reply = Zeroizing::new(Vec::with_capacity(MAX_BODY_LEN + PREFIX_LEN));
        move |job| {
            let Job { line, flow, charge, task } = job;
            if line.failure().is_some() {
                return;
            }
            let (deferred, frame) = match task {
                Task::Command { deferred, frame } => (deferred, frame),
                Task::Reply(frame) => return self.give(&line, flow, &frame, charge, workers),
            };
            let now = self.clock.now();
            let answered = if now.saturating_sub(deferred.since()) > self.longest_wait {
                // Nobody waits for it any more; the reply says that it waits no longer.
                Session::refuse(&frame, Refusal::Busy, &mut reply)
            } else {
                session.carry_out(now, &deferred, &frame, &mut reply)
            };
            match answered {
                Ok(()) if place != Place::Front => {
                    let task = Task::Reply(Zeroizing::new(reply.to_vec()));
                    self.pool.submit_brief(flow, Job { line, flow, charge, task });
                }
                Ok(()) => self.give(&line, flow, &reply, charge, workers),
                Err(reason) => {
                    log_closed(flow.connection, reason);
                    line.let_go();
                    line.end();
                }
            }
            reply.as_mut_slice().zeroize();
            reply.clear();
        }
    }

    fn give(&self, line: &Arc<Line>, flow: Flow, reply: &[u8], charge: Charge, workers: usize) {
        line.give(reply, charge, || {
            let (waiting, next) = self.pool.waiting(flow);
            let behind = waiting / u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
            Held { now: self.clock.now(), behind, next }
        });
    }

    /// The line of a new connection.
    pub(crate) fn line(&self, stream: UnixStream) -> Arc<Line> {
        Line::new(stream, Quota::new(CONNECTION, &self.load))
    }

    /// Serves one connection to its end, and to the end of all that it has in the pool.
    pub(crate) fn serve(&self, line: &Arc<Line>, number: u64) {
        match self.exchange(line, number) {
            Ok(()) | Err(End::Stopped) => self.finish(line, number),
            Err(End::Closed(reason)) => {
                log_closed(number, reason);
                self.finish(line, number);
            }
            Err(End::Io(error)) => {
                log(Level::Info, "connection lost", &[("connection", &number), ("error", &error)]);
                self.abandon(line, number);
            }
        }
    }

    /// Lets the pool end what it has of a connection that is no longer read, where there is still a peer to answer.
    fn finish(&self, line: &Arc<Line>, number: u64) {
        if !line.is_hung_up() && !line.quota().wait_until_empty(self.patience) {
            line.let_go();
        }
        self.abandon(line, number);
    }

    /// Ends a connection. What it has in the pool is dropped, but for what has begun, and that is waited for.
    fn abandon(&self, line: &Line, number: u64) {
        line.end();
        self.pool.forget(number);
        line.quota().wait_until_empty(Duration::MAX);
        // What had begun may have left a reply behind.
        self.pool.forget(number);
    }

    /// Reads and handles commands until the peer has no more. Buffers hold plaintexts and are cleared after each
    /// batch; they are made large enough at once, so they never move.
    fn exchange(&self, line: &Arc<Line>, number: u64) -> Result<(), End> {
        let mut session = self.engine.session();
        let mut input = Zeroizing::new(vec![0; INPUT_LEN]);
        let mut out = Zeroizing::new(Vec::with_capacity(BATCH_LEN + MAX_BODY_LEN + PREFIX_LEN));
        let mut filled = 0;
        line.stream().set_write_timeout(Some(PATIENCE))?;
        loop {
            // Never empty: a frame that does not fit half the buffer was refused for its length.
            let room = input.get_mut(filled..).unwrap_or_default();
            // Who has said hello may be silent for as long as it likes.
            let patience = if session.is_open() { None } else { Some(PATIENCE) };
            match line.read(room, patience)? {
                0 => return line.failure().map_or(Ok(()), |kind| Err(End::Io(kind.into()))),
                read => filled += read,
            }
            let batch = input.get(..filled).unwrap_or_default();
            let (done, ended) = self.handle(line, number, &mut session, batch, &mut out)?;
            send(line, &mut out)?;
            ended.map_err(End::Closed)?;
            input.copy_within(done..filled, 0);
            let left = filled - done;
            input.get_mut(left..filled).unwrap_or_default().zeroize();
            filled = left;
        }
    }

    /// Handles the whole frames of a batch. Gives how many bytes they take, and why the connection must be closed if
    /// it must.
    fn handle(
        &self,
        line: &Arc<Line>,
        number: u64,
        session: &mut Session<'_>,
        batch: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Result<(), Closed>), End> {
        let (mut done, mut now) = (0, self.clock.now());
        loop {
            let input = batch.get(done..).unwrap_or_default();
            match session.step(now, input, out) {
                Ok(Step::Partial) => return Ok((done, Ok(()))),
                Ok(Step::Answered { len }) => {
                    self.pool.step_aside();
                    done += len;
                }
                Ok(Step::Deferred { len, deferred }) => {
                    let frame = input.get(..len).unwrap_or_default();
                    if let Err(closed) = self.submit(line, number, deferred, frame, out)? {
                        return Ok((done, Err(closed)));
                    }
                    done += len;
                    // It may have waited for room.
                    now = self.clock.now();
                }
                Err(closed) => return Ok((done, Err(closed))),
            }
            if out.len() > BATCH_LEN {
                send(line, out)?;
            }
        }
    }

    /// Gives a command to the pool, or refuses it where too much of its flow waits there. Where the connection has no room,
    /// this waits for some, and with it all that comes after.
    fn submit(
        &self,
        line: &Arc<Line>,
        connection: u64,
        deferred: Deferred,
        frame: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Result<(), Closed>, End> {
        let charge = match line.quota().try_charge(frame.len()) {
            Ok(charge) => charge,
            Err(Full) => {
                send(line, out)?;
                let Ok(charge) = line.quota().charge(frame.len()) else {
                    return Err(line.failure().map_or(End::Stopped, |kind| End::Io(kind.into())));
                };
                charge
            }
        };
        let flow = Flow { connection, account: deferred.account() };
        let task = Task::Command { deferred, frame: Zeroizing::new(frame.to_vec()) };
        let submitted =
            self.pool.submit(flow, deferred.cost(), Job { line: Arc::clone(line), flow, charge, task });
        Ok(submitted.or_else(|_| Session::refuse(frame, Refusal::Busy, out)))
    }
}

fn log_closed(connection: u64, reason: Closed) {
    log(Level::Warn, "connection closed", &[("connection", &connection), ("reason", &reason)]);
}

fn send(line: &Line, out: &mut Vec<u8>) -> io::Result<()> {
    let sent = line.send(out);
    out.as_mut_slice().zeroize();
    out.clear();
    sent
}

#[cfg(test)]
mod tests;
