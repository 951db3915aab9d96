//! How a durable batch reaches the tasks that wait for it.
//!
//! Waking a task of another thread costs a system call when that thread sleeps, and a batch has many waiters. So each
//! runtime has a *lane*: the writer wakes the lane's one [`Delivery`] task, and that wakes its neighbours from inside
//! their own runtime, where it costs none. Where no delivery task lives, the writer wakes each waiter itself: slower,
//! and as correct.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use super::LedgerError;
use super::mutex::Mutex;
use super::room::Reservation;
use super::shared::Shared;

/// How far the writer has come.
#[derive(Debug)]
pub(super) struct Progress {
    durable: AtomicU64,
    failed: AtomicBool,
    closed: AtomicBool,
}

impl Progress {
    /// Everything up to record `durable` is durable.
    pub(super) fn new(durable: u64) -> Self {
        Self {
            durable: AtomicU64::new(durable),
            failed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn advance(&self, durable: u64) {
        self.durable.store(durable, Ordering::Release);
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Why no further record can be taken, if none can.
    pub(super) fn over(&self) -> Option<LedgerError> {
        if self.has_failed() {
            return Some(LedgerError::Failed);
        }
        self.closed.load(Ordering::Acquire).then_some(LedgerError::Closed)
    }

    /// The outcome for a record, once there is one. What was durable before a failure stays durable.
    fn outcome(&self, sequence: u64) -> Option<Result<u64, LedgerError>> {
        if self.durable() >= sequence {
            Some(Ok(sequence))
        } else if self.has_failed() {
            Some(Err(LedgerError::Failed))
        } else {
            None
        }
    }
}

/// The tasks of one runtime that wait for their records.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// The delivery task, while there is one.
    delivery: Mutex<Option<Waker>>,
    /// In the order of their sequence numbers.
    waiting: Mutex<VecDeque<(u64, Waker)>>,
}

impl Waiters {
    /// Called by the writer after it has made progress.
    pub(super) fn notify(&self, progress: &Progress) {
        // Outside the lock, as below: a waker may run its task at once.
        let delivery = self.delivery.lock().clone();
        match delivery {
            Some(task) => task.wake(),
            None => self.wake_all(progress, &mut Vec::new()),
        }
    }

    /// Wakes everyone whose outcome is known.
    fn wake_all(&self, progress: &Progress, ready: &mut Vec<Waker>) {
        {
            let mut waiting = self.waiting.lock();
            let over = waiting.partition_point(|(sequence, _)| progress.outcome(*sequence).is_some());
            ready.extend(waiting.drain(..over).map(|(_, waker)| waker));
        }
        ready.drain(..).for_each(Waker::wake);
    }

    /// Puts a waker in line for the outcome of a record, if there is none yet.
    fn wait(&self, progress: &Progress, sequence: u64, waker: &Waker) -> Poll<Result<u64, LedgerError>> {
        self.register(sequence, waker);
        // Only now: progress made before we stood in line has woken nobody for us.
        progress.outcome(sequence).map_or(Poll::Pending, Poll::Ready)
    }

    fn register(&self, sequence: u64, waker: &Waker) {
        let mut waiting = self.waiting.lock();
        match waiting.binary_search_by_key(&sequence, |(sequence, _)| *sequence) {
            Err(at) => waiting.insert(at, (sequence, waker.clone())),
            Ok(at) => {
                if let Some((_, old)) = waiting.get_mut(at) {
                    old.clone_from(waker);
                }
            }
        }
    }
}

/// The way to the ledger for the tasks of one runtime.
#[derive(Debug, Clone)]
pub struct Lane {
    ledger: Arc<Shared>,
    waiters: Arc<Waiters>,
    /// This lane's bit in the set that each batch carries.
    bit: u64,
}

impl Lane {
    pub(super) fn new(ledger: Arc<Shared>, waiters: Arc<Waiters>, bit: u64) -> (Self, Delivery) {
        let delivery = Delivery { ledger: ledger.clone(), waiters: waiters.clone(), ready: Vec::new() };
        (Self { ledger, waiters, bit }, delivery)
    }

    /// Takes room for a payload of up to `bytes` bytes, ahead of any effect that must be recorded. Dropping the
    /// reservation gives the room back.
    ///
    /// Fails with [`LedgerError::Full`] where there is no room, [`LedgerError::TooLarge`] for more than
    /// [`MAX_PAYLOAD_LEN`](super::MAX_PAYLOAD_LEN) bytes, [`LedgerError::Failed`] or [`LedgerError::Closed`]. A refusal
    /// for want of room starts an attempt to make some, if none is under way.
    pub fn try_reserve(&self, bytes: usize) -> Result<Reservation, LedgerError> {
        Shared::reserve(&self.ledger, bytes).inspect_err(|error| {
            if *error == LedgerError::Full {
                self.ledger.make_room();
            }
        })
    }

    /// [`try_reserve`](Self::try_reserve), but where there is no room it waits for another segment to be prepared. So a
    /// slow disk slows callers down, and those who reserve much do not shut out others: only a full disk refuses them, or
    /// the bound on how many segments are prepared.
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, LedgerError> {
        let take = || Shared::reserve(&self.ledger, bytes);
        match take() {
            Err(LedgerError::Full) => {}
            outcome => return outcome,
        }
        let mut preparation = self.ledger.watch_preparation();
        loop {
            preparation.mark_unchanged();
            match take() {
                // Asked after the mark, so that what is made from here on is not missed.
                Err(LedgerError::Full) if self.ledger.make_room() => {}
                // A spare may have come in between.
                Err(LedgerError::Full) => return take(),
                outcome => return outcome,
            }
            if preparation.changed().await.is_err() {
                return Err(LedgerError::Closed);
            }
            if preparation.borrow().failure.is_some() {
                return take();
            }
        }
    }

    /// Appends one record. The future resolves to its sequence number when the record is durable.
    ///
    /// The record is handed over by the call itself: dropping the future does not take it back. A payload that is
    /// larger than its reservation is refused with [`LedgerError::TooLarge`], and nothing is written.
    pub fn append(&self, reservation: Reservation, payload: &[u8]) -> Append {
        match Shared::enqueue(&self.ledger, reservation, payload, self.bit) {
            Ok(sequence) => Append(State::Waiting { lane: self.clone(), sequence }),
            Err(error) => Append(State::Refused(error)),
        }
    }
}

/// Waits until one record is durable.
#[derive(Debug)]
#[must_use = "a reply may leave only when its record is durable"]
pub struct Append(State);

#[derive(Debug)]
enum State {
    Refused(LedgerError),
    Waiting { lane: Lane, sequence: u64 },
}

impl Future for Append {
    type Output = Result<u64, LedgerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (lane, sequence) = match &self.get_mut().0 {
            State::Refused(error) => return Poll::Ready(Err(*error)),
            State::Waiting { lane, sequence } => (lane, *sequence),
        };
        let progress = lane.ledger.progress();
        match progress.outcome(sequence) {
            Some(outcome) => Poll::Ready(outcome),
            None => lane.waiters.wait(progress, sequence, cx.waker()),
        }
    }
}

/// The task of a lane: to be spawned on the runtime whose tasks use the lane. It ends with the ledger.
#[derive(Debug)]
#[must_use = "spawn it on the lane's runtime"]
pub struct Delivery {
    ledger: Arc<Shared>,
    waiters: Arc<Waiters>,
    /// Kept, so that a batch costs no allocation.
    ready: Vec<Waker>,
}

impl Future for Delivery {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { ledger, waiters, ready } = self.get_mut();
        {
            // Registered before progress is looked at, so that what comes later wakes us again.
            let mut delivery = waiters.delivery.lock();
            match &mut *delivery {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        let over = ledger.progress().over().is_some();
        waiters.wake_all(ledger.progress(), ready);
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        *self.waiters.delivery.lock() = None;
        self.waiters.wake_all(self.ledger.progress(), &mut self.ready);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A waker, and how often it was called.
    fn counted() -> (Waker, Arc<Count>) {
        let count = Arc::new(Count::default());
        (count.clone().into(), count)
    }

    #[test]
    fn only_those_with_an_outcome_are_woken_and_each_once() {
        let (progress, waiters) = (Progress::new(4), Waiters::default());
        let wakers: Vec<_> = (0..4).map(|_| counted()).collect();
        for (sequence, (waker, _)) in [7, 5, 8, 6].into_iter().zip(&wakers) {
            assert_eq!(waiters.wait(&progress, sequence, waker), Poll::Pending);
        }
        let woken = || wakers.iter().map(|(_, count)| count.0.load(Ordering::SeqCst)).collect::<Vec<_>>();
        progress.advance(6);
        waiters.notify(&progress);
        waiters.notify(&progress);
        assert_eq!(woken(), [0, 1, 0, 1]);
        progress.fail();
        waiters.notify(&progress);
        assert_eq!(woken(), [1, 1, 1, 1]);
        let outcomes = [6, 7].map(|sequence| waiters.wait(&progress, sequence, Waker::noop()));
        assert_eq!(outcomes, [Poll::Ready(Ok(6)), Poll::Ready(Err(LedgerError::Failed))]);
    }

    #[test]
    fn a_task_that_moves_takes_its_place_along() {
        let (progress, waiters) = (Progress::new(0), Waiters::default());
        let ((old, forgotten), (new, counted)) = (counted(), counted());
        for waker in [old, new] {
            assert_eq!(waiters.wait(&progress, 1, &waker), Poll::Pending);
        }
        progress.advance(1);
        waiters.notify(&progress);
        assert_eq!((forgotten.0.load(Ordering::SeqCst), counted.0.load(Ordering::SeqCst)), (0, 1));
    }

    /// The writer was done after the task had looked, and before it stood in line.
    #[test]
    fn progress_made_just_before_is_seen() {
        let (progress, waiters) = (Progress::new(1), Waiters::default());
        assert_eq!(waiters.wait(&progress, 1, Waker::noop()), Poll::Ready(Ok(1)));
    }
}
