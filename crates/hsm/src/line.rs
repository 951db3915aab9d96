//! A connection: the socket that its thread reads from, and the writing side, shared by all who have replies for it.
//!
//! Written are whole frames only, by one thread at a time: whoever has the *turn* writes, and whatever others have
//! meanwhile it writes too. The thread of the connection waits for its turn and for the peer, as it must. A worker waits
//! for neither: it leaves its reply to whoever has the turn, and where the peer does not take what the worker writes, a
//! thread that is started for it does the waiting. A peer that takes nothing for as long as the socket's time limit
//! loses its connection.
//!
//! A reply that is written wakes the peer, and what it wakes there takes a core from the work that still waits here. So
//! replies of workers gather while much work of their connection waits ([`Held`]). All of that ends with a reply, so
//! there is always one more to take them along.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use zeroize::Zeroizing;

use crate::pool::quota::{Charge, Quota};

/// Most replies that a worker writes for others before it goes back to its own work.
const MAX_FAVOURS: usize = 16;

/// Most replies that gather.
const MAX_GATHERED: usize = 16;
/// Replies gather for at most this part of the time that what is behind them takes.
const SHARE: u32 = 4;

/// How long replies may gather.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// The time.
    pub(crate) now: Duration,
    /// How long all workers together take for the work of the connection that waits and is not begun, as estimated.
    pub(crate) behind: Duration,
    /// How long the first of it takes, which will end with the next reply. It may have to wait for other connections'
    /// work before it is begun; that is not counted here, nor in `behind`.
    pub(crate) next: Duration,
}

/// One connection.
pub(crate) struct Line {
    stream: UnixStream,
    quota: Arc<Quota>,
    turn: Mutex<Turn>,
    ended: Condvar,
}

#[derive(Default)]
struct Turn {
    /// Somebody writes. It is theirs to see that all that waits is written.
    taken: bool,
    /// The thread of the connection waits for its turn. It will write all that waits.
    wanted: bool,
    /// What waits to be written. Not empty only while the turn is taken or wanted, or while replies gather.
    waiting: VecDeque<Part>,
    /// When the first of them began to wait, while they gather.
    since: Option<Duration>,
    /// Nothing can be written any more.
    failed: Option<io::ErrorKind>,
}

impl Turn {
    /// Whether one more reply may wait for those that follow.
    fn gathers(&mut self, held: Held) -> bool {
        let since = *self.since.get_or_insert(held.now);
        let waited = held.now.saturating_sub(since);
        waited.saturating_add(held.next) < held.behind / SHARE && self.waiting.len() + 1 < MAX_GATHERED
    }

    /// Takes all that waits, for whoever has the turn now.
    fn take(&mut self) -> VecDeque<Part> {
        self.since = None;
        std::mem::take(&mut self.waiting)
    }
}

/// Replies, or what is left of them.
struct Part {
    bytes: Zeroizing<Vec<u8>>,
    written: usize,
    charges: Vec<Charge>,
}

impl Part {
    fn of(frame: &[u8], charge: Charge) -> Self {
        Self { bytes: Zeroizing::new(frame.to_vec()), written: 0, charges: vec![charge] }
    }

    /// Several, and frames behind them, as one, which takes one write.
    fn joined(parts: VecDeque<Self>, frames: &[u8]) -> Self {
        // As long as it gets, so that nothing is left behind where it grew.
        let length = parts.iter().map(|part| part.rest().len()).sum::<usize>() + frames.len();
        let mut all =
            Self { bytes: Zeroizing::new(Vec::with_capacity(length)), written: 0, charges: Vec::new() };
        for mut part in parts {
            all.bytes.extend_from_slice(part.rest());
            all.charges.append(&mut part.charges);
        }
        all.bytes.extend_from_slice(frames);
        all
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }
}

impl Line {
    /// The line of a connection that may have this much in the pool.
    pub(crate) fn new(stream: UnixStream, quota: Arc<Quota>) -> Arc<Self> {
        Arc::new(Self { stream, quota, turn: Mutex::default(), ended: Condvar::new() })
    }

    /// The socket, for its time limits.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// How much this connection may have in the pool.
    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing can be written any more, if that is so.
    pub(crate) fn failure(&self) -> Option<io::ErrorKind> {
        self.lock().failed
    }

    /// Reads what is there, and waits for it first, for at most this long. For the thread of the connection.
    ///
    /// It waits with poll(2): a thread that waits in recv(2) is woken also whenever the peer has taken a reply, only to
    /// find nothing and wait on.
    ///
    /// # Errors
    /// The socket's; [`io::ErrorKind::TimedOut`].
    pub(crate) fn read(&self, room: &mut [u8], patience: Option<Duration>) -> io::Result<usize> {
        let patience = patience.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        loop {
            let mut polled = [PollFd::new(&self.stream, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut polled, patience.as_ref()))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match retry_on_intr(|| recv(&self.stream, &mut *room, RecvFlags::DONTWAIT)) {
                Err(Errno::AGAIN) => {}
                outcome => return Ok(outcome.map(|(read, _)| read)?),
            }
        }
    }

    /// Whether the peer is gone, not only done with writing.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut polled = [PollFd::new(&self.stream, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = retry_on_intr(|| poll(&mut polled, Some(&now)));
        polled.iter().any(|polled| polled.revents().intersects(PollFlags::HUP | PollFlags::ERR))
    }

    /// Ends the reading side, from outside: what was read is answered, what finds no room is not begun.
    pub(crate) fn end_reading(&self) {
        let _ = self.stream.shutdown(Shutdown::Read);
        self.quota.close();
    }

    /// Ends both sides. Whoever reads or writes notices.
    pub(crate) fn end(&self) {
        self.fail(io::ErrorKind::ConnectionAborted);
    }

    /// Writes whole frames, after all that waits. For the thread of the connection, which may wait for the peer. Where
    /// there are none, what has gathered gathers on.
    ///
    /// # Errors
    /// The socket's, also where another thread met them.
    pub(crate) fn send(&self, frames: &[u8]) -> io::Result<()> {
        let mut turn = self.lock();
        if frames.is_empty() {
            return turn.failed.map_or(Ok(()), |kind| Err(kind.into()));
        }
        turn.wanted = true;
        while turn.taken {
            turn = self.ended.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        turn.wanted = false;
        if let Some(kind) = turn.failed {
            return Err(kind.into());
        }
        turn.taken = true;
        // It may be the rest of a frame, so it goes first.
        let before = turn.take();
        drop(turn);
        let written = if before.is_empty() {
            self.wait_and_write(frames)
        } else {
            self.wait_and_write(Part::joined(before, frames).rest())
        };
        written.inspect_err(|error| self.fail(error.kind()))?;
        self.write_waiting(false)
    }

    /// Writes the frame of one reply, or leaves it to whoever writes, or lets it gather. For workers: waits neither for
    /// the peer nor for others. Where it cannot be written at all, the connection ends.
    ///
    /// `held` is asked while no other reply of the connection can pass: what it counts has its reply still to come.
    pub(crate) fn give(self: &Arc<Self>, frame: &[u8], charge: Charge, held: impl FnOnce() -> Held) {
        let mut turn = self.lock();
        if turn.failed.is_some() {
            return;
        }
        if turn.taken || turn.wanted || turn.gathers(held()) {
            turn.waiting.push_back(Part::of(frame, charge));
            return;
        }
        turn.taken = true;
        let before = turn.take();
        drop(turn);
        if before.is_empty() {
            self.write_own(frame, charge);
        } else {
            let mut all = Part::joined(before, frame);
            all.charges.push(charge);
            self.write_part(all);
        }
    }

    /// Writes what has gathered, as far as the peer takes it: for when no reply will come that takes it along.
    pub(crate) fn let_go(self: &Arc<Self>) {
        let mut turn = self.lock();
        if turn.taken || turn.wanted || turn.waiting.is_empty() {
            return;
        }
        turn.taken = true;
        let gathered = turn.take();
        drop(turn);
        self.write_part(Part::joined(gathered, &[]));
    }

    /// A worker's turn with one reply, which is copied only where it has to wait.
    fn write_own(self: &Arc<Self>, frame: &[u8], charge: Charge) {
        match self.write_some(frame) {
            Ok(written) if written == frame.len() => {
                drop(charge);
                self.do_favours();
            }
            Ok(written) => self.leave(Part::of(frame.get(written..).unwrap_or_default(), charge)),
            Err(error) => self.fail(error.kind()),
        }
    }

    /// A worker's turn with several.
    fn write_part(self: &Arc<Self>, mut part: Part) {
        match self.write_some(part.rest()) {
            Ok(written) if written == part.rest().len() => {
                drop(part);
                self.do_favours();
            }
            Ok(written) => {
                part.written += written;
                self.leave(part);
            }
            Err(error) => self.fail(error.kind()),
        }
    }

    /// Leaves what the peer does not take at once to a thread that may wait.
    fn leave(self: &Arc<Self>, rest: Part) {
        self.lock().waiting.push_front(rest);
        self.hand_over();
    }

    /// What a worker does before it gives its turn up: writes some of what came meanwhile.
    fn do_favours(self: &Arc<Self>) {
        for _ in 0..MAX_FAVOURS {
            let Some(mut part) = self.next_part(true) else { return };
            match self.write_some(part.rest()) {
                Ok(written) if written == part.rest().len() => {}
                Ok(written) => {
                    part.written += written;
                    return self.leave(part);
                }
                Err(error) => return self.fail(error.kind()),
            }
        }
        self.hand_over();
    }

    /// Gives the turn to a thread that may wait for the peer.
    fn hand_over(self: &Arc<Self>) {
        let line = Arc::clone(self);
        let spawned =
            std::thread::Builder::new().name("writer".into()).spawn(move || line.write_waiting(true));
        if let Err(error) = spawned {
            self.fail(error.kind());
        }
    }

    /// Writes all that waits and gives the turn up; with `yielding`, also to the thread of the connection.
    fn write_waiting(&self, yielding: bool) -> io::Result<()> {
        while let Some(part) = self.next_part(yielding) {
            self.wait_and_write(part.rest()).inspect_err(|error| self.fail(error.kind()))?;
        }
        Ok(())
    }

    /// The next part for whoever has the turn, or `None` when the turn is over.
    fn next_part(&self, yielding: bool) -> Option<Part> {
        let mut turn = self.lock();
        let part = if yielding && turn.wanted { None } else { turn.waiting.pop_front() };
        if part.is_none() {
            turn.taken = false;
            turn.since = None;
            // Nobody else waits for the turn, and to wake nobody costs a system call too.
            if turn.wanted {
                self.ended.notify_all();
            }
        }
        part
    }

    fn wait_and_write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    /// Writes what the socket takes at once.
    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match retry_on_intr(|| send(&self.stream, bytes, flags)) {
            Err(Errno::AGAIN) => Ok(0),
            written => Ok(written?),
        }
    }

    /// Nothing is written any more; the turn of whoever has it is over.
    fn fail(&self, kind: io::ErrorKind) {
        let mut turn = self.lock();
        turn.failed.get_or_insert(kind);
        turn.taken = false;
        // Dropped when the lock is free again: a charge takes another one.
        let dropped = turn.take();
        self.ended.notify_all();
        drop(turn);
        drop(dropped);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.quota.close();
    }
}

#[cfg(test)]
mod tests;
