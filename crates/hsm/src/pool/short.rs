//! The lane of short work: one queue, and workers in two places.
//!
//! In front, a worker competes with the threads of the connections as an equal: the scheduler lets it go on for some
//! milliseconds while they wait, which is a thousand times what their commands take. Aside, it yields to them at once,
//! but is also interrupted for every reply that it makes. So the work is done aside while there are such commands, and in
//! front when none has come while [`CALM`] of it was begun.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::fair::FairQueue;
use super::{Flow, MAX_WAITING, Place};

/// How much work is begun aside, without a command that a connection carries out itself, before it is done in front: in
/// microseconds of estimated cost. A dozen signatures of RSA-4096, or a few hundred of P-256.
const CALM: u64 = 20_000;

/// Jobs that wait for a worker in front or aside.
pub(super) struct ShortLane<J> {
    waiting: Mutex<Waiting<J>>,
    /// For workers in front.
    front: Condvar,
    /// For workers aside.
    aside: Condvar,
    /// A connection has carried out a command itself since a worker last looked.
    disturbed: AtomicBool,
}

struct Waiting<J> {
    /// Jobs with their estimated cost.
    jobs: FairQueue<Flow, (u32, J)>,
    /// What takes no time.
    brief: FairQueue<Flow, J>,
    /// Estimated cost of what was begun since a connection last carried out a command itself.
    calm: u64,
    closed: bool,
}

impl<J> Waiting<J> {
    /// Where jobs are carried out now.
    fn place(&mut self, disturbed: &AtomicBool) -> Place {
        // Looked at first: to write what others write as well costs both.
        if disturbed.load(Ordering::Relaxed) && disturbed.swap(false, Ordering::Relaxed) {
            self.calm = 0;
        }
        if self.calm < CALM { Place::Aside } else { Place::Front }
    }
}

impl<J> ShortLane<J> {
    pub(super) fn new() -> Self {
        let (jobs, brief) = (FairQueue::new(), FairQueue::new());
        Self {
            waiting: Mutex::new(Waiting { jobs, brief, calm: 0, closed: false }),
            front: Condvar::new(),
            aside: Condvar::new(),
            disturbed: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self, place: Place) -> &Condvar {
        if place == Place::Front { &self.front } else { &self.aside }
    }

    pub(super) fn step_aside(&self) {
        if !self.disturbed.load(Ordering::Relaxed) {
            self.disturbed.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn submit(&self, flow: Flow, micros: u32, job: J) -> Result<(), J> {
        let place = {
            let mut waiting = self.lock();
            if waiting.jobs.len(flow) >= MAX_WAITING {
                return Err(job);
            }
            waiting.jobs.push(flow, micros, (micros, job));
            waiting.place(&self.disturbed)
        };
        self.workers(place).notify_one();
        Ok(())
    }

    pub(super) fn submit_brief(&self, flow: Flow, job: J) {
        self.lock().brief.push(flow, 0, job);
        self.front.notify_one();
    }

    /// What waits in a flow costs, and the first of it, in microseconds.
    pub(super) fn waiting(&self, flow: Flow) -> (u64, u64) {
        self.lock().jobs.waiting(flow)
    }

    pub(super) fn forget(&self, connection: u64) {
        let mut waiting = self.lock();
        let is_gone = |flow: Flow| flow.connection == connection;
        let dropped = (waiting.jobs.remove(is_gone), waiting.brief.remove(is_gone));
        // Dropped when the lock is free again: jobs may do something when they are dropped.
        drop(waiting);
        drop(dropped);
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.front.notify_all();
        self.aside.notify_all();
    }

    /// The next job for a worker that stands here; `None` when there will be none.
    pub(super) fn next(&self, own: Place) -> Option<J> {
        let mut waiting = self.lock();
        loop {
            if own == Place::Front
                && let Some(job) = waiting.brief.pop()
            {
                return Some(job);
            }
            let place = waiting.place(&self.disturbed);
            if place == own || waiting.closed {
                if let Some((micros, job)) = waiting.jobs.pop() {
                    waiting.calm = waiting.calm.saturating_add(u64::from(micros));
                    return Some(job);
                }
                if waiting.closed {
                    return None;
                }
            } else if !waiting.jobs.is_empty() {
                // They are for others, who may not have heard of it.
                self.workers(place).notify_one();
            }
            waiting = self.workers(own).wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.jobs.is_empty() && waiting.brief.is_empty()
    }
}
