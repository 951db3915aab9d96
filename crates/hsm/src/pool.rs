//! Worker threads for commands that are too dear for the thread of a connection.
//!
//! There are two lanes, by the class of a command's estimated cost ([`Class`]), each with a queue that is fair between
//! connections ([`fair`] states its bounds) and with workers of its own:
//!
//! - the *short* lane (signatures, decryptions, key agreement) has one worker for each core;
//! - the *long* lane (making RSA keys) has one less, but one at least, and its workers step back by [`STEP_BACK`] in
//!   the operating system's scheduling: wherever a connection, a short command or the host has something to do, long
//!   work gets about a seventieth of a core, which keeps it going; otherwise it has the cores.
//!
//! So long work never stands before short work, however much of it waits: what it can cost others is that little. And
//! within a lane no connection stands before another by more than a command's worth of work.
//!
//! What a worker that has stepped back holds, others wait for. So it keeps locks for no longer than it takes to push or
//! pop, and writes no reply: it leaves that to a worker of the short lane.
//!
//! A worker cannot change lanes: a thread that has stepped back may not step forward again without a privilege.

mod fair;
pub(crate) mod quota;

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

use claviger_hsm::{Class, Cost};

use self::fair::FairQueue;

/// How far long work steps back, in the steps of nice(2). A step is a factor of about 1.25 in the share of a core.
const STEP_BACK: i32 = 19;

/// Jobs that wait for a worker.
pub(crate) struct Pool<J> {
    short: Lane<J>,
    long: Lane<J>,
}

struct Lane<J> {
    waiting: Mutex<Waiting<J>>,
    arrived: Condvar,
}

struct Waiting<J> {
    queue: FairQueue<J>,
    closed: bool,
}

/// The workers of a pool. They end when this is dropped and nothing waits any more.
pub(crate) struct Workers<'p, J>(&'p Pool<J>);

impl<J> Drop for Workers<'_, J> {
    fn drop(&mut self) {
        self.0.short.close();
        self.0.long.close();
    }
}

impl<J: Send> Pool<J> {
    /// A pool without workers.
    pub(crate) fn new() -> Self {
        Self { short: Lane::new(), long: Lane::new() }
    }

    /// Starts workers for this many cores. Each of them makes what carries out its jobs with `executor`. When it
    /// returns, all of them have the priority that they keep.
    ///
    /// # Errors
    /// The operating system's. Those that were started end.
    pub(crate) fn start<'scope, 'env, E, R>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        cores: usize,
        executor: E,
    ) -> io::Result<Workers<'env, J>>
    where
        E: Fn() -> R + Copy + Send + 'scope,
        R: FnMut(J),
    {
        let workers = Workers(self);
        let (ready, readiness) = channel();
        let spawn = |name: String, lane: &'env Lane<J>, step: i32, ready: Sender<io::Result<()>>| {
            Builder::new().name(name).spawn_scoped(scope, move || {
                let placed = if step == 0 { Ok(()) } else { rustix::process::nice(step).map(drop) };
                let failed = placed.is_err();
                let told = ready.send(placed.map_err(io::Error::from)).is_ok();
                drop(ready);
                if told && !failed {
                    lane.work(executor());
                }
            })
        };
        for number in 0..cores.max(1) {
            spawn(format!("short {number}"), &self.short, 0, ready.clone())?;
        }
        for number in 0..cores.saturating_sub(1).max(1) {
            spawn(format!("long {number}"), &self.long, STEP_BACK, ready.clone())?;
        }
        drop(ready);
        readiness.iter().collect::<io::Result<()>>()?;
        Ok(workers)
    }

    /// Lets a job wait for a worker, in the flow of its connection.
    pub(crate) fn submit(&self, flow: u64, cost: Cost, job: J) {
        let lane = match cost.class() {
            Class::Long => &self.long,
            Class::Short | Class::Inline => &self.short,
        };
        lane.submit(flow, cost.micros(), job);
    }

    /// What the short work of a connection that waits costs, and the first of it.
    pub(crate) fn waiting(&self, flow: u64) -> (Duration, Duration) {
        let (all, first) = self.short.lock().queue.waiting(flow);
        (Duration::from_micros(all), Duration::from_micros(first))
    }

    /// Lets what takes no time wait for a worker of the short lane.
    pub(crate) fn submit_brief(&self, flow: u64, job: J) {
        self.short.submit(flow, 0, job);
    }

    /// Forgets a connection, for good. What waited in its flows is dropped; what has begun goes on.
    pub(crate) fn forget(&self, flow: u64) {
        self.short.forget(flow);
        self.long.forget(flow);
    }
}

impl<J> Lane<J> {
    fn new() -> Self {
        let waiting = Waiting { queue: FairQueue::new(), closed: false };
        Self { waiting: Mutex::new(waiting), arrived: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, flow: u64, micros: u32, job: J) {
        self.lock().queue.push(flow, micros, job);
        self.arrived.notify_one();
    }

    fn forget(&self, flow: u64) {
        // Dropped when the lock is free again: jobs may do something when they are dropped.
        let dropped = self.lock().queue.remove(flow);
        drop(dropped);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    fn work(&self, mut carry_out: impl FnMut(J)) {
        while let Some(job) = self.next() {
            carry_out(job);
        }
    }

    fn next(&self) -> Option<J> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.queue.pop() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests;
