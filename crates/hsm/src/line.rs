//! The writing side of a connection, shared by all who have replies for it.
//!
//! Whole frames only, one thread at a time: whoever has the *turn* writes, and whatever others have meanwhile it
//! writes too. The thread of the connection waits for its turn and for the peer, as it must. A worker waits for
//! neither: it leaves its reply to whoever has the turn, and where the peer does not take what the worker writes, a
//! thread that is started for it does the waiting. A peer that takes nothing for as long as the socket's time limit
//! loses its connection.

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
    /// What waits to be written. Not empty only while the turn is taken or wanted.
    waiting: VecDeque<Part>,
    /// Nothing can be written any more.
    failed: Option<io::ErrorKind>,
}

/// A reply, or what is left of one.
struct Part {
    bytes: Zeroizing<Vec<u8>>,
    written: usize,
    _charge: Charge,
}

impl Part {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }
}

impl Line {
    /// The line of a connection that may have this much in the pool.
    pub(crate) fn new(stream: UnixStream, quota: Arc<Quota>) -> Arc<Self> {
        Arc::new(Self { stream, quota, turn: Mutex::default(), ended: Condvar::new() })
    }

    /// The socket, for reading.
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

    /// Reads what is there, and waits for it first where nothing is, for at most this long. For the thread of the
    /// connection.
    ///
    /// It waits with poll(2): a thread that waits in recv(2) is woken also whenever the peer has taken a reply, only to
    /// find nothing and wait on.
    ///
    /// # Errors
    /// The socket's; [`io::ErrorKind::TimedOut`].
    pub(crate) fn read(&self, room: &mut [u8], patience: Option<Duration>) -> io::Result<usize> {
        let patience = patience.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        loop {
            match retry_on_intr(|| recv(&self.stream, &mut *room, RecvFlags::DONTWAIT)) {
                Err(Errno::AGAIN) => {}
                outcome => return Ok(outcome.map(|(read, _)| read)?),
            }
            let mut polled = [PollFd::new(&self.stream, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut polled, patience.as_ref()))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
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

    /// Writes whole frames, after all that waits. For the thread of the connection, which may wait for the peer.
    ///
    /// # Errors
    /// The socket's, also where another thread met them.
    pub(crate) fn send(&self, frames: &[u8]) -> io::Result<()> {
        let mut turn = self.lock();
        turn.wanted = true;
        while turn.taken {
            turn = self.ended.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        turn.wanted = false;
        if let Some(kind) = turn.failed {
            return Err(kind.into());
        }
        turn.taken = true;
        // Seldom anything. It may be the rest of a frame, so it goes first.
        let before = std::mem::take(&mut turn.waiting);
        drop(turn);
        let written = before.iter().try_for_each(|part| self.wait_and_write(part.rest()));
        drop(before);
        written.and_then(|()| self.wait_and_write(frames)).inspect_err(|error| self.fail(error.kind()))?;
        self.write_waiting(false)
    }

    /// Writes the frame of one reply, or leaves it to whoever writes. For workers: waits neither for the peer nor for
    /// others. Where it cannot be written at all, the connection ends.
    pub(crate) fn give(self: &Arc<Self>, frame: &[u8], charge: Charge) {
        let mut turn = self.lock();
        if turn.failed.is_some() {
            return;
        }
        if turn.taken || turn.wanted {
            let bytes = Zeroizing::new(frame.to_vec());
            turn.waiting.push_back(Part { bytes, written: 0, _charge: charge });
            return;
        }
        turn.taken = true;
        drop(turn);
        match self.write_some(frame) {
            Ok(written) if written == frame.len() => {
                drop(charge);
                self.do_favours();
            }
            Ok(written) => {
                let bytes = Zeroizing::new(frame.get(written..).unwrap_or_default().to_vec());
                self.lock().waiting.push_front(Part { bytes, written: 0, _charge: charge });
                self.hand_over();
            }
            Err(error) => self.fail(error.kind()),
        }
    }

    /// What a worker does before it gives its turn up: writes some of what came meanwhile.
    fn do_favours(self: &Arc<Self>) {
        for _ in 0..MAX_FAVOURS {
            let Some(mut part) = self.next_part(true) else { return };
            match self.write_some(part.rest()) {
                Ok(written) if written == part.rest().len() => {}
                Ok(written) => {
                    part.written += written;
                    self.lock().waiting.push_front(part);
                    break;
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
        let dropped = std::mem::take(&mut turn.waiting);
        self.ended.notify_all();
        drop(turn);
        drop(dropped);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.quota.close();
    }
}

#[cfg(test)]
mod tests;
