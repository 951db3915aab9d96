//! One connection, without its socket: frames in, frames out.

use std::time::Duration;

use claviger_hsm_proto::frame::{self, Frame, FrameError};
use claviger_hsm_proto::{Command, Disclosed, Refusal, Reply, blob};
use zeroize::Zeroize;

use crate::cache::Ticket;
use crate::cost::{Class, Cost, cost};
use crate::engine::Engine;

/// Buffers of one connection that commands work in. Made large enough at once, so that they never move and leave a
/// copy behind; cleared after each command.
pub(crate) struct Scratch {
    /// What is in the clear: a plaintext, a data key, a secret.
    pub(crate) clear: Vec<u8>,
    /// What is sealed: a blob, a token.
    pub(crate) sealed: Vec<u8>,
    /// What is enveloped to a recipient.
    pub(crate) enveloped: Vec<u8>,
    /// A public key: DER of a SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
    /// Associated data. Not secret.
    pub(crate) associated: Vec<u8>,
    /// When the command was read, if it is carried out later: it may not cache what was evicted since.
    pub(crate) since: Option<Ticket>,
}

impl Scratch {
    /// Empty buffers with room for the largest command.
    pub(crate) fn new() -> Self {
        let room = || Vec::with_capacity(blob::MAX_BLOB_LEN);
        Self {
            clear: room(),
            sealed: room(),
            enveloped: Vec::new(),
            public: Vec::new(),
            associated: Vec::new(),
            since: None,
        }
    }

    /// Replaces what is in the clear. More than fits is cut off one byte past the limit, where it is refused.
    pub(crate) fn show(&mut self, bytes: &[u8]) {
        self.wipe();
        let room = self.clear.capacity();
        self.clear.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// What a reply discloses: in the clear, enveloped, or nothing.
    pub(crate) fn disclosed(
        &self,
        disclose: bool,
        is_enveloped: bool,
    ) -> (Option<Disclosed<'_>>, Option<&[u8]>) {
        match (disclose, is_enveloped) {
            (false, _) => (None, None),
            (true, false) => (Some(Disclosed(&self.clear)), None),
            (true, true) => (None, Some(&self.enveloped)),
        }
    }

    /// Clears what is in the clear.
    pub(crate) fn wipe(&mut self) {
        self.clear.as_mut_slice().zeroize();
        self.clear.clear();
    }

    /// Clears everything for the next command.
    pub(crate) fn reset(&mut self) {
        self.wipe();
        self.sealed.clear();
        self.enveloped.clear();
        self.public.clear();
        self.associated.clear();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear.zeroize();
        self.sealed.zeroize();
    }
}

/// Why a connection must be closed. What was written before stands and should be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The stream cannot be read on.
    Frame(FrameError),
    /// The connection was not opened with `Hello`, or with one of another version.
    Hello,
    /// A reply did not fit a frame, which no command of this version can cause.
    Reply,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Hello => f.write_str("the connection was not opened with a hello of this version"),
            Self::Reply => f.write_str("a reply did not fit a frame"),
        }
    }
}

impl std::error::Error for Closed {}

/// What became of the first frame of a connection's input.
#[derive(Debug)]
pub enum Step {
    /// More bytes are needed.
    Partial,
    /// The reply was appended.
    Answered {
        /// Bytes of the input that are done with.
        len: usize,
    },
    /// It is too dear for the thread of a connection: [`Session::carry_out`] of a worker's session answers it.
    Deferred {
        /// Bytes of the input that the frame takes.
        len: usize,
        /// What the worker needs besides the frame.
        deferred: Deferred,
    },
}

/// A command that was read and not yet carried out.
#[derive(Debug, Clone, Copy)]
pub struct Deferred {
    cost: Cost,
    read: Ticket,
    account: u64,
    since: Duration,
}

impl Deferred {
    /// What it is expected to cost.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The number of the account whose key it is for; 0 where it is for none's.
    pub fn account(&self) -> u64 {
        self.account
    }

    /// Since when it waits, as the time since a fixed moment.
    pub fn since(&self) -> Duration {
        self.since
    }
}

/// The state of one connection: whether it said hello, and the buffers it works in.
pub struct Session<'e> {
    engine: &'e Engine,
    greeted: bool,
    scratch: Scratch,
}

impl<'e> Session<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self { engine, greeted: false, scratch: Scratch::new() }
    }

    /// The session of a worker, which takes what open sessions deferred.
    pub(crate) fn of_worker(engine: &'e Engine) -> Self {
        Self { greeted: true, ..Self::new(engine) }
    }

    /// Whether the connection was opened with a `Hello` of this version.
    pub fn is_open(&self) -> bool {
        self.greeted
    }

    /// Handles the first whole frame of `input`, whatever it costs, and appends the reply's frame to `out`, which it
    /// grows by at most [`frame::MAX_BODY_LEN`] and the length's four bytes. Gives how many bytes of `input` are done
    /// with: 0 where more are needed. `now` is the time since any fixed moment.
    ///
    /// # Errors
    /// [`Closed`]: the connection must be closed once `out` is sent.
    pub fn handle(&mut self, now: Duration, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Closed> {
        let Some(frame) = frame::next(input).map_err(Closed::Frame)? else { return Ok(0) };
        let command = read(&frame, out)?;
        self.reply(now, frame.id, &command, out)?;
        Ok(frame.len)
    }

    /// Handles the first whole frame of `input` as [`Session::handle`] does if that is cheap ([`Class::Inline`]), and
    /// leaves it to a worker otherwise.
    ///
    /// # Errors
    /// [`Closed`]: the connection must be closed once `out` is sent.
    pub fn step(&mut self, now: Duration, input: &[u8], out: &mut Vec<u8>) -> Result<Step, Closed> {
        let Some(frame) = frame::next(input).map_err(Closed::Frame)? else { return Ok(Step::Partial) };
        let command = read(&frame, out)?;
        let cost = cost(&command);
        if cost.class() != Class::Inline && self.greeted {
            let account = command.account().and_then(|account| account.parse().ok()).unwrap_or_default();
            let deferred = Deferred { cost, read: self.engine.evictions(), account, since: now };
            return Ok(Step::Deferred { len: frame.len, deferred });
        }
        self.reply(now, frame.id, &command, out)?;
        Ok(Step::Answered { len: frame.len })
    }

    /// Refuses a command that another session deferred, given its frame.
    ///
    /// # Errors
    /// [`Closed`]: the other session's connection must be closed.
    pub fn refuse(frame: &[u8], refusal: Refusal, out: &mut Vec<u8>) -> Result<(), Closed> {
        let Some(frame) = frame::next(frame).map_err(Closed::Frame)? else { return Ok(()) };
        frame::write(out, frame.id, &Reply::Refused(refusal)).map_err(|_| Closed::Reply)
    }

    /// Answers a command that another session deferred, given its frame.
    ///
    /// # Errors
    /// [`Closed`]: the other session's connection must be closed.
    pub fn carry_out(
        &mut self,
        now: Duration,
        deferred: &Deferred,
        frame: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Closed> {
        self.scratch.since = Some(deferred.read);
        let handled = self.handle(now, frame, out);
        self.scratch.since = None;
        handled.map(drop)
    }

    fn reply(
        &mut self,
        now: Duration,
        id: u64,
        command: &Command<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Closed> {
        let reply = self.answer(now, command);
        frame::write(out, id, &reply).map_err(|_| Closed::Reply)?;
        self.scratch.reset();
        if self.greeted { Ok(()) } else { Err(Closed::Hello) }
    }

    /// Answers one command. For hosts in the same process: tests and simulations.
    pub fn answer(&mut self, now: Duration, command: &Command<'_>) -> Reply<'_> {
        self.scratch.reset();
        if !self.greeted && !matches!(command, Command::Hello { .. }) {
            return Reply::Refused(Refusal::Malformed);
        }
        let answer = self.engine.answer(&mut self.scratch, now, command);
        if matches!(command, Command::Hello { .. }) {
            self.greeted = answer.is_ok();
        }
        answer.unwrap_or_else(Reply::Refused)
    }
}

/// The command of a frame. What is none is refused, and ends the connection.
fn read<'a>(frame: &Frame<'a>, out: &mut Vec<u8>) -> Result<Command<'a>, Closed> {
    frame::read(frame.body).or_else(|error| {
        let refused = Reply::Refused(Refusal::Malformed);
        frame::write(out, frame.id, &refused).map_err(|_| Closed::Reply)?;
        Err(Closed::Frame(error))
    })
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session(open: {})", self.greeted)
    }
}

#[cfg(test)]
mod tests;
