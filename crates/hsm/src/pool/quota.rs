//! How much a connection may have in the pool, and all of them together.
//!
//! A connection that has no room left is not read from until it has: nothing is dropped, the peer's socket fills up.
//! Since a connection that has nothing in the pool may always put one command there, none is kept out by the others,
//! and one that waits has a command of its own whose end wakes it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most commands and bytes at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) commands: usize,
    pub(crate) bytes: usize,
}

/// What one connection may have in the pool.
pub(crate) const CONNECTION: Limits = Limits { commands: 1024, bytes: 16 << 20 };
/// What all connections may have in the pool, besides one command each.
pub(crate) const ALL: Limits = Limits { commands: 8192, bytes: 128 << 20 };
/// Room for the reply of a command. The largest that a worker makes, an RSA-4096 key pair, takes less.
const REPLY_LEN: usize = 8 << 10;

/// Commands and bytes in the pool.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Load {
    commands: usize,
    bytes: usize,
}

impl Load {
    fn has_room(self, limits: Limits, bytes: usize) -> bool {
        self.commands < limits.commands && self.bytes.saturating_add(bytes) <= limits.bytes
    }

    fn add(&mut self, bytes: usize) {
        self.commands = self.commands.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn remove(&mut self, bytes: usize) {
        self.commands = self.commands.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The load of all connections.
pub(crate) struct Total {
    limits: Limits,
    load: Mutex<Load>,
}

impl Total {
    /// No load yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, load: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The load of one connection.
pub(crate) struct Quota {
    limits: Limits,
    total: Arc<Total>,
    state: Mutex<State>,
    fell: Condvar,
}

#[derive(Default)]
struct State {
    load: Load,
    closed: bool,
}

/// There is no room, and it will not be waited for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A command's part of the load, from when it was read until its reply was written. Given back when dropped.
pub(crate) struct Charge {
    quota: Arc<Quota>,
    bytes: usize,
}

impl Quota {
    /// No load yet.
    pub(crate) fn new(limits: Limits, total: &Arc<Total>) -> Arc<Self> {
        let (total, state, fell) = (Arc::clone(total), Mutex::default(), Condvar::new());
        Arc::new(Self { limits, total, state, fell })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a command of this length if there is some.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn try_charge(self: &Arc<Self>, len: usize) -> Result<Charge, Full> {
        self.admit(&mut self.lock(), len)
    }

    /// Waits for room for a command of this length. Only one thread may wait, that which reads.
    ///
    /// # Errors
    /// [`Full`] when there is no room and [`Quota::close`] was called.
    pub(crate) fn charge(self: &Arc<Self>, len: usize) -> Result<Charge, Full> {
        let mut state = self.lock();
        loop {
            match self.admit(&mut state, len) {
                Err(Full) if !state.closed => {}
                done => return done,
            }
            state = self.fell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn admit(self: &Arc<Self>, state: &mut State, len: usize) -> Result<Charge, Full> {
        let bytes = len.saturating_add(REPLY_LEN);
        let mut total = self.total.lock();
        let room = state.load.has_room(self.limits, bytes) && total.has_room(self.total.limits, bytes);
        if state.load.commands > 0 && !room {
            return Err(Full);
        }
        total.add(bytes);
        state.load.add(bytes);
        Ok(Charge { quota: Arc::clone(self), bytes })
    }

    /// Lets nobody wait for room any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.fell.notify_all();
    }

    /// Waits until nothing of this connection is in the pool, but no longer than `patience`. Whether that is so.
    pub(crate) fn wait_until_empty(&self, patience: Duration) -> bool {
        let busy = |state: &mut State| state.load.commands > 0;
        let waited = self.fell.wait_timeout_while(self.lock(), patience, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.load.commands == 0
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota.total.lock().remove(self.bytes);
        self.quota.lock().load.remove(self.bytes);
        self.quota.fell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: Limits = Limits { commands: 1000, bytes: 1 << 30 };

    /// How many commands of a length find room on two connections, taken in turns.
    fn check(connection: Limits, all: Limits, len: usize, expected: [usize; 2]) {
        let total = Arc::new(Total::new(all));
        let quotas = [Quota::new(connection, &total), Quota::new(connection, &total)];
        let mut charges = [Vec::new(), Vec::new()];
        for _ in 0..100 {
            for (quota, charges) in quotas.iter().zip(&mut charges) {
                charges.extend(quota.try_charge(len));
            }
        }
        assert_eq!(charges.each_ref().map(Vec::len), expected);
        drop(charges);
        assert_eq!(*total.lock(), Load::default());
        for quota in quotas {
            assert_eq!(quota.lock().load, Load::default());
        }
    }

    #[test]
    fn commands_and_bytes_are_bounded_for_one_and_for_all() {
        let kib = |count: usize| count << 10;
        check(Limits { commands: 3, ..MANY }, MANY, 100, [3, 3]);
        check(Limits { bytes: kib(20), ..MANY }, MANY, kib(2), [2, 2]);
        check(Limits { bytes: kib(20), ..MANY }, MANY, kib(2) + 1, [1, 1]);
        check(MANY, Limits { commands: 7, ..MANY }, 100, [4, 3]);
        check(MANY, Limits { bytes: kib(50), ..MANY }, kib(2), [3, 2]);
        // One command each, whatever the others have and however long it is.
        check(Limits { bytes: 0, ..MANY }, MANY, kib(64), [1, 1]);
        check(MANY, Limits { commands: 0, bytes: 0 }, kib(64), [1, 1]);
    }

    #[test]
    fn who_waits_is_woken_by_the_end_of_one_of_its_own_or_by_closing() {
        let quota = Quota::new(Limits { commands: 1, ..MANY }, &Arc::new(Total::new(MANY)));
        std::thread::scope(|scope| {
            let first = quota.try_charge(1).unwrap();
            let waiting = scope.spawn(|| quota.charge(1));
            drop(first);
            let second = waiting.join().unwrap().unwrap();
            let waiting = scope.spawn(|| quota.charge(1).err());
            quota.close();
            assert_eq!(waiting.join().unwrap(), Some(Full));
            // What has room still gets in: a closed quota only waits no more.
            assert!(!quota.wait_until_empty(Duration::ZERO));
            drop(second);
            assert!(quota.wait_until_empty(Duration::MAX));
            assert!(quota.charge(1).is_ok());
        });
    }
}
