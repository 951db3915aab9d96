//! What the callers, the writer and the preparer share.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;

use super::expected::{Epoch, Expected};
use super::format::{MAX_PAYLOAD_LEN, push_frame};
use super::lane::{Progress, Waiters};
use super::mutex::{Mutex, wait, wait_while};
use super::recover::{Found, Spare};
use super::room::{Reservation, Room};
use super::{Closed, LedgerError, Preparation};

/// How many spare segments are kept ready.
const SPARES: usize = 1;
/// How many there may be, while more room is asked for than those have.
const MOST_SPARES: usize = 8;
/// How long a batch waits for the next record that is [expected](Expected) to come. One sync for all of them costs less
/// than one for each few, and a lone record waits for nobody.
const LINGER: Duration = Duration::from_micros(250);
/// How often a batch waits for so long, where at least one record has come each time.
const LINGERS: usize = 4;
/// A batch of this many bytes waits no longer.
const BATCH_ENOUGH: usize = 256 << 10;
/// A buffer that has grown beyond this many bytes is given back after its batch.
const BUFFER_KEPT: usize = 4 << 20;

/// The state of an open ledger.
#[derive(Debug)]
pub(super) struct Shared {
    progress: Progress,
    room: Room,
    expected: Expected,
    gather: Mutex<Gather>,
    gathered: Condvar,
    /// Nobody is expected any more.
    complete: Condvar,
    lanes: Mutex<Vec<Arc<Waiters>>>,
    spares: Mutex<VecDeque<Spare>>,
    wishes: Mutex<Wish>,
    wished: Condvar,
    held: Mutex<Held>,
    preparation: watch::Sender<Preparation>,
    failed: watch::Sender<bool>,
    current: watch::Sender<u64>,
}

/// Frames that wait for the writer.
#[derive(Debug, Default)]
struct Gather {
    frames: Vec<u8>,
    next_sequence: u64,
    /// The lanes that have a record here, one bit each; lanes beyond 64 share bits.
    lanes: u64,
    /// The writer waits to be woken.
    idle: bool,
    /// The writer waits for those who are expected.
    lingers: bool,
    over: Option<LedgerError>,
}

#[derive(Debug, Default)]
struct Wish {
    /// How many spares there should be; 0 where none is wished for.
    spares: usize,
    /// One is being made.
    busy: bool,
    over: bool,
}

/// The segments that hold records.
#[derive(Debug)]
pub(super) struct Held {
    /// All but the current one, oldest first.
    pub(super) closed: VecDeque<Closed>,
    /// Length of the current one's file in bytes.
    pub(super) current_bytes: u64,
}

impl Shared {
    pub(super) fn new(found: &mut Found) -> Self {
        let tail = &found.tail;
        let room = Room::new(tail.end.left());
        let spares = std::mem::take(&mut found.spares);
        spares.iter().for_each(|spare| room.add_spare(spare.length));
        Self {
            progress: Progress::new(tail.sequence.saturating_sub(1)),
            room,
            gather: Mutex::new(Gather { next_sequence: tail.sequence, ..Gather::default() }),
            gathered: Condvar::new(),
            expected: Expected::default(),
            complete: Condvar::new(),
            lanes: Mutex::default(),
            wishes: Mutex::new(Wish { spares: SPARES, ..Wish::default() }),
            spares: Mutex::new(spares),
            wished: Condvar::new(),
            held: Mutex::new(Held {
                closed: std::mem::take(&mut found.closed),
                current_bytes: tail.end.length,
            }),
            preparation: watch::Sender::new(Preparation::default()),
            failed: watch::Sender::new(false),
            current: watch::Sender::new(tail.number),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn held(&self) -> &Mutex<Held> {
        &self.held
    }

    pub(super) fn watch_preparation(&self) -> watch::Receiver<Preparation> {
        self.preparation.subscribe()
    }

    pub(super) fn watch_failed(&self) -> watch::Receiver<bool> {
        self.failed.subscribe()
    }

    pub(super) fn watch_current(&self) -> watch::Receiver<u64> {
        self.current.subscribe()
    }

    /// Registers a lane; gives its waiters and its bit.
    pub(super) fn add_lane(&self) -> (Arc<Waiters>, u64) {
        let mut lanes = self.lanes.lock();
        let waiters = Arc::new(Waiters::default());
        let bit = lane_bit(lanes.len());
        lanes.push(waiters.clone());
        (waiters, bit)
    }

    /// A reservation has been made: a record is about to come.
    pub(super) fn reserved(&self) -> Epoch {
        self.expected.reserved()
    }

    /// A reservation of this epoch has been used or given back.
    pub(super) fn settled(&self, epoch: Epoch) {
        self.expected.settled(epoch);
        if !self.expected.any() && self.gather.lock().lingers {
            self.complete.notify_one();
        }
    }

    pub(super) fn reserve(this: &Arc<Self>, bytes: usize) -> Result<Reservation, LedgerError> {
        match this.progress.over() {
            Some(over) => Err(over),
            None => Reservation::take(this, bytes),
        }
    }

    /// Puts a record in line and gives its sequence number.
    pub(super) fn enqueue(
        this: &Arc<Self>,
        reservation: Reservation,
        payload: &[u8],
        lane: u64,
    ) -> Result<u64, LedgerError> {
        let length = u32::try_from(payload.len()).map_err(|_| LedgerError::TooLarge)?;
        if payload.len() > MAX_PAYLOAD_LEN || !reservation.covers(this, payload.len()) {
            return Err(LedgerError::TooLarge);
        }
        let mut gather = this.gather.lock();
        if let Some(over) = gather.over {
            return Err(over);
        }
        let sequence = gather.next_sequence;
        gather.next_sequence = sequence.checked_add(1).ok_or(LedgerError::Failed)?;
        push_frame(&mut gather.frames, length, sequence, payload);
        gather.lanes |= lane;
        let wake = std::mem::take(&mut gather.idle);
        drop(gather);
        if wake {
            this.gathered.notify_one();
        }
        reservation.spend(payload.len());
        Ok(sequence)
    }

    /// Waits for frames, swaps them with the empty buffer `frames` and gives the lanes they came from. `None` once the
    /// ledger is closed and nothing waits.
    pub(super) fn next_batch(&self, frames: &mut Vec<u8>) -> Option<u64> {
        frames.clear();
        frames.shrink_to(BUFFER_KEPT);
        let mut gather = self.gather.lock();
        while gather.frames.is_empty() {
            if gather.over.is_some() {
                return None;
            }
            gather.idle = true;
            gather = wait(&self.gathered, gather);
        }
        gather.idle = false;
        gather = self.linger(gather);
        std::mem::swap(&mut gather.frames, frames);
        self.expected.batch();
        Some(std::mem::take(&mut gather.lanes))
    }

    /// Waits for records to join the batch for as long as they keep coming.
    fn linger<'a>(&self, mut gather: MutexGuard<'a, Gather>) -> MutexGuard<'a, Gather> {
        let is_incomplete = |gather: &mut Gather| {
            self.expected.any() && gather.frames.len() < BATCH_ENOUGH && gather.over.is_none()
        };
        gather.lingers = true;
        for _ in 0..LINGERS {
            let before = gather.next_sequence;
            gather = wait_while(&self.complete, gather, LINGER, is_incomplete);
            if gather.next_sequence == before || !is_incomplete(&mut gather) {
                break;
            }
        }
        gather.lingers = false;
        gather
    }

    /// Tells the lanes of the set that the writer has made progress.
    pub(super) fn notify(&self, set: u64) {
        for (index, waiters) in self.lanes.lock().iter().enumerate() {
            if set & lane_bit(index) != 0 {
                waiters.notify(&self.progress);
            }
        }
    }

    /// The ledger takes nothing more; what it has taken is still written.
    pub(super) fn close(&self) {
        self.gather.lock().over.get_or_insert(LedgerError::Closed);
        self.gathered.notify_one();
        self.wishes.lock().over = true;
        self.wished.notify_one();
    }

    /// The writer has ended.
    pub(super) fn closed(&self) {
        self.progress.close();
        self.notify(u64::MAX);
        self.preparation.send_modify(|_| {});
    }

    /// Nothing can be trusted to become durable any more.
    pub(super) fn fail(&self) {
        self.progress.fail();
        self.gather.lock().over = Some(LedgerError::Failed);
        self.wishes.lock().over = true;
        self.wished.notify_one();
        self.notify(u64::MAX);
        self.failed.send_replace(true);
        self.preparation.send_modify(|_| {});
    }

    /// Takes the spare that becomes the current segment.
    pub(super) fn take_spare(&self, left: u64) -> Option<Spare> {
        let spare = self.spares.lock().pop_front()?;
        self.room.rotate(left);
        Some(spare)
    }

    /// Segment `current` has followed `closed`.
    pub(super) fn rotated(&self, closed: Closed, current: u64, current_bytes: u64) {
        {
            let mut held = self.held.lock();
            held.closed.push_back(closed);
            held.current_bytes = current_bytes;
        }
        self.wish(SPARES);
        self.current.send_replace(current);
    }

    /// Has another spare made where there may be more, if none is being made. Where this is so, the preparation changes
    /// once more.
    pub(super) fn make_room(&self) -> bool {
        self.wish(MOST_SPARES)
    }

    pub(super) fn has_fewer_than(&self, spares: usize) -> bool {
        self.spares.lock().len() < spares
    }

    /// Has a spare made where fewer than so many are ready; whether that is so.
    fn wish(&self, spares: usize) -> bool {
        let fewer = self.has_fewer_than(spares);
        let mut wish = self.wishes.lock();
        if fewer && !wish.busy {
            wish.spares = wish.spares.max(spares);
            self.wished.notify_one();
        }
        fewer
    }

    /// Waits until a spare segment should be made where there are fewer than so many; `None` once the ledger is closed.
    pub(super) fn next_wish(&self) -> Option<usize> {
        let mut wish = self.wishes.lock();
        while !wish.over && wish.spares == 0 {
            wish = wait(&self.wished, wish);
        }
        let spares = std::mem::take(&mut wish.spares);
        wish.busy = self.has_fewer_than(spares);
        (!wish.over).then_some(spares)
    }

    /// An attempt to make a spare segment has ended.
    pub(super) fn prepared(&self, outcome: io::Result<Spare>) {
        let failure = outcome.map(|spare| {
            // Counted under the lock, so that who sees the spare sees its room.
            let mut spares = self.spares.lock();
            self.room.add_spare(spare.length);
            spares.push_back(spare);
        });
        let failure = failure.err().map(|error| error.kind());
        self.wishes.lock().busy = false;
        self.preparation.send_modify(|preparation| {
            preparation.attempts += 1;
            preparation.failure = failure;
        });
    }
}

fn lane_bit(index: usize) -> u64 {
    1 << (index % 64)
}
