//! The two threads of a ledger: the writer, which owns the current segment, and the preparer, which makes the next one.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::blocks::End;
use super::disk::{Directory, Disk};
use super::format::{Chain, LedgerId, frame_len, seal};
use super::recover::{Before, prepare};
use super::shared::Shared;
use super::{Closed, Durability};

/// The end of the ledger: the current segment and the place of the next record.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) number: u64,
    pub(super) file: File,
    /// Where the next frame goes.
    pub(super) end: End,
    /// The segment's first record.
    pub(super) first_sequence: u64,
    /// The next record.
    pub(super) sequence: u64,
    /// Chain value before it.
    pub(super) chain: Chain,
    /// Digest of the segment's header.
    pub(super) digest: Chain,
}

/// Writes batch after batch, each durable before the next begins.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) durability: Durability,
    pub(super) id: LedgerId,
    pub(super) tail: Tail,
}

impl Writer {
    /// Runs until the ledger is closed, or until a write or a sync fails. Neither is ever tried again: after a failed
    /// sync nobody knows what is on the disk, and a second one may well report success.
    pub(super) fn run(mut self) {
        let guard = FailOnUnwind(self.shared.clone());
        let mut frames = Vec::new();
        while let Some(lanes) = self.shared.next_batch(&mut frames) {
            if self.commit(&mut frames).is_err() {
                return self.shared.fail();
            }
            self.shared.notify(lanes);
        }
        if !self.shared.progress().has_failed() {
            self.shared.closed();
        }
        drop(guard);
    }

    /// Makes the frames durable, as one batch for each segment they come to stand in.
    fn commit(&mut self, frames: &mut [u8]) -> io::Result<()> {
        let mut rest = frames;
        while !rest.is_empty() {
            if fitting(rest, self.tail.end.left()) == 0 {
                self.rotate()?;
            }
            let fitting = fitting(rest, self.tail.end.left());
            let (batch, after) = rest.split_at_mut_checked(fitting).ok_or_else(out_of_room)?;
            self.write(batch)?;
            rest = after;
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut [u8]) -> io::Result<()> {
        let tail = &mut self.tail;
        let (last, chain) = seal(batch, tail.chain).ok_or_else(out_of_room)?;
        tail.end.write(&*self.disk, tail.number, &tail.file, batch)?;
        if self.durability == Durability::Fsync {
            self.disk.sync(tail.number, &tail.file)?;
        }
        tail.sequence = last.saturating_add(1);
        tail.chain = chain;
        self.shared.progress().advance(last);
        Ok(())
    }

    /// Goes on in the spare segment. Reservations have made sure that there is one.
    fn rotate(&mut self) -> io::Result<()> {
        let Tail { sequence, chain, digest, .. } = self.tail;
        let spare = self.shared.take_spare(self.tail.end.left()).ok_or_else(out_of_room)?;
        let next = spare.begin(&*self.disk, self.id, &Before { sequence, chain, digest })?;
        let closed = Closed {
            segment: self.tail.number,
            first_sequence: self.tail.first_sequence,
            last_sequence: sequence.saturating_sub(1),
            bytes: self.tail.end.length,
        };
        self.shared.rotated(closed, next.number, next.end.length);
        self.tail = next;
        Ok(())
    }
}

/// Length of as many whole frames as fit into `room` bytes.
fn fitting(frames: &[u8], room: u64) -> usize {
    if frames.len() as u64 <= room {
        return frames.len();
    }
    let mut end = 0;
    while let Some(length) = frames.get(end..).and_then(frame_len) {
        if (end + length) as u64 > room {
            break;
        }
        end += length;
    }
    end
}

/// Room that was reserved is not there, or frames are not what was put in: a broken promise of this program.
fn out_of_room() -> io::Error {
    io::Error::other("the room that was reserved is not there")
}

/// Nobody may wait for a writer that has panicked.
struct FailOnUnwind(Arc<Shared>);

impl Drop for FailOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}

/// Makes spare segments, one attempt at a time, whenever one is wished for.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Arc<Directory>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segment_bytes: u64,
    /// Number of the next segment to make.
    pub(super) number: u64,
}

impl Preparer {
    /// Runs until the ledger is closed. A failure here is no failure of the ledger: it means that there is no more
    /// room, until an attempt succeeds.
    pub(super) fn run(mut self) {
        while let Some(spares) = self.shared.next_wish() {
            if !self.shared.has_fewer_than(spares) {
                continue;
            }
            let outcome = prepare(&self.directory, &*self.disk, self.number, self.segment_bytes);
            if outcome.is_ok() {
                self.number = self.number.saturating_add(1);
            }
            self.shared.prepared(outcome);
        }
    }
}
