//! One connection, without its socket: frames in, frames out.

use std::time::Duration;

use claviger_hsm_proto::frame::{self, FrameError};
use claviger_hsm_proto::{Command, Disclosed, Refusal, Reply, blob};
use zeroize::Zeroize;

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

    /// Whether the connection was opened with a `Hello` of this version.
    pub fn is_open(&self) -> bool {
        self.greeted
    }

    /// Handles the first whole frame of `input` and appends the reply's frame to `out`, which it grows by at most
    /// [`frame::MAX_BODY_LEN`] and the length's four bytes. Gives how many bytes of `input` are done with: 0 where
    /// more are needed. `now` is the time since any fixed moment.
    ///
    /// # Errors
    /// [`Closed`]: the connection must be closed once `out` is sent.
    pub fn handle(&mut self, now: Duration, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Closed> {
        let Some(frame) = frame::next(input).map_err(Closed::Frame)? else { return Ok(0) };
        match frame::read::<Command<'_>>(frame.body) {
            Ok(command) => {
                let reply = self.answer(now, &command);
                frame::write(out, frame.id, &reply).map_err(|_| Closed::Reply)?;
                self.scratch.reset();
                if self.greeted { Ok(frame.len) } else { Err(Closed::Hello) }
            }
            Err(error) => {
                let refused = Reply::Refused(Refusal::Malformed);
                frame::write(out, frame.id, &refused).map_err(|_| Closed::Reply)?;
                Err(Closed::Frame(error))
            }
        }
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

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session(open: {})", self.greeted)
    }
}
