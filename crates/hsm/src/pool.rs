//! Worker threads for commands that are too dear for the thread of a connection.
//!
//! There are two lanes, by the class of a command's estimated cost ([`Class`]), each with a queue that is fair between
//! the connections, and in them between accounts ([`fair`] states its bounds), and with workers of its own:
//!
//! - the *short* lane (signatures, decryptions, key agreement, [`short`]) has two sets of workers, one for each core. The
//!   workers of one set stand in front, and those of the other aside: they step back by [`STEP_ASIDE`] in the operating
//!   system's scheduling. Who works depends on whether connections carry out commands themselves meanwhile: beside those,
//!   which take microseconds, signatures are made aside; where there are none, in front;
//! - the *long* lane (making and importing RSA keys) has one worker less than there are cores, but one at least, and they step back by
//!   [`STEP_BACK`]: wherever a connection, a short command or the host has something to do, long work gets about a
//!   seventieth of a core, which keeps it going; otherwise it has the cores.
//!
//! So dear work never stands before cheap work, however much of it waits: what it can cost others is that little. And
//! within a lane no account of a connection stands before another by more than a command's worth of work.
//!
//! What a worker that has stepped back holds, others wait for. So it keeps locks for no longer than it takes to push or
//! pop, and writes no reply: it leaves that to a worker in front.
//!
//! A worker cannot change its place: a thread that has stepped back may not step forward again without a privilege.

mod fair;
pub(crate) mod quota;
mod short;

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

use claviger_hsm::{Class, Cost};

use self::fair::FairQueue;
use self::short::ShortLane;

/// How far long work steps back, in the steps of nice(2). A step is a factor of about 1.25 in the share of a core.
const STEP_BACK: i32 = 19;
/// How far short work steps back where it is done aside: it gets about a thirtieth of a core that is wanted for cheaper
/// work, and twice as much as long work.
const STEP_ASIDE: i32 = 15;

/// Most commands of a flow that wait, in each lane: in both, half of what a connection may have in the pool, so that one
/// account does not take all of it.
pub(crate) const MAX_WAITING: usize = 256;

/// Whose commands follow each other: those of an account that came over the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    /// The connection.
    pub(crate) connection: u64,
    /// The account.
    pub(crate) account: u64,
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the threads of the connections stand.
    Front,
    /// Behind them, for short work beside cheap work.
    Aside,
    /// Behind all others, for long work.
    Back,
}

impl Place {
    /// What its workers are called, and how far they step back.
    const fn name_and_step(self) -> (&'static str, i32) {
        match self {
            Self::Front => ("short", 0),
            Self::Aside => ("aside", STEP_ASIDE),
            Self::Back => ("long", STEP_BACK),
        }
    }
}

/// Jobs that wait for a worker.
pub(crate) struct Pool<J> {
    short: ShortLane<J>,
    long: Lane<J>,
}

struct Lane<J> {
    waiting: Mutex<Waiting<J>>,
    arrived: Condvar,
}

struct Waiting<J> {
    queue: FairQueue<Flow, J>,
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
        Self { short: ShortLane::new(), long: Lane::new() }
    }

    /// Starts workers for this many cores. Each of them makes what carries out its jobs with `executor`, which is told
    /// where it stands. When it returns, all of them have the priority that they keep.
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
        E: Fn(Place) -> R + Copy + Send + 'scope,
        R: FnMut(J),
    {
        let workers = Workers(self);
        let (ready, readiness) = channel();
        let spawn = |place: Place, number: usize, ready: Sender<io::Result<()>>| {
            let (name, step) = place.name_and_step();
            Builder::new().name(format!("{name} {number}")).spawn_scoped(scope, move || {
                let placed = if step == 0 { Ok(()) } else { rustix::process::nice(step).map(drop) };
                let failed = placed.is_err();
                let told = ready.send(placed.map_err(io::Error::from)).is_ok();
                drop(ready);
                if told && !failed {
                    self.work(place, executor(place));
                }
            })
        };
        let least = |count: usize| 0..count.max(1);
        for (place, numbers) in [
            (Place::Front, least(cores)),
            (Place::Aside, least(cores)),
            (Place::Back, least(cores.saturating_sub(1))),
        ] {
            for number in numbers {
                spawn(place, number, ready.clone())?;
            }
        }
        drop(ready);
        readiness.iter().collect::<io::Result<()>>()?;
        Ok(workers)
    }

    fn work(&self, place: Place, mut carry_out: impl FnMut(J)) {
        let next = || match place {
            Place::Back => self.long.next(),
            Place::Front | Place::Aside => self.short.next(place),
        };
        while let Some(job) = next() {
            carry_out(job);
        }
    }

    /// Notes that a connection carries out a command itself: what is short steps aside for such.
    pub(crate) fn step_aside(&self) {
        self.short.step_aside();
    }

    /// Lets a job wait for a worker, in its flow.
    ///
    /// # Errors
    /// The job, where [`MAX_WAITING`] of the flow wait.
    pub(crate) fn submit(&self, flow: Flow, cost: Cost, job: J) -> Result<(), J> {
        match cost.class() {
            Class::Long => self.long.submit(flow, cost.micros(), job),
            Class::Short | Class::Inline => self.short.submit(flow, cost.micros(), job),
        }
    }

    /// What the short work of a flow that waits costs, and the first of it.
    pub(crate) fn waiting(&self, flow: Flow) -> (Duration, Duration) {
        let (all, first) = self.short.waiting(flow);
        (Duration::from_micros(all), Duration::from_micros(first))
    }

    /// Lets what takes no time wait for a worker in front.
    pub(crate) fn submit_brief(&self, flow: Flow, job: J) {
        self.short.submit_brief(flow, job);
    }

    /// Forgets a connection, for good. What waited in its flows is dropped; what has begun goes on.
    pub(crate) fn forget(&self, connection: u64) {
        self.short.forget(connection);
        self.long.forget(connection);
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

    fn submit(&self, flow: Flow, micros: u32, job: J) -> Result<(), J> {
        let mut waiting = self.lock();
        if waiting.queue.len(flow) >= MAX_WAITING {
            return Err(job);
        }
        waiting.queue.push(flow, micros, job);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    fn forget(&self, connection: u64) {
        // Dropped when the lock is free again: jobs may do something when they are dropped.
        let dropped = self.lock().queue.remove(|flow| flow.connection == connection);
        drop(dropped);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
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
