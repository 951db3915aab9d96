//! Commits on their way to the writer thread: bounded, in order of arrival, taken out all at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::reply::{self, Reply, Sender};
use crate::{Commit, Error, Revision, limits};

/// Most commits that wait.
const MAX_WAITING: usize = 4096;
/// Most bytes of names and values that wait; a single commit is far smaller ([`crate::MAX_COMMIT_LEN`]).
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// What the caller of a commit waits for.
pub(super) type Outcome = Result<Revision, Error>;

/// A commit that somebody waits for.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) done: Sender<Outcome>,
}

/// The queue. While the writer makes one batch durable, the next one gathers here.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closing: bool,
}

impl Queue {
    /// Adds a commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the queue is full or closed.
    pub(super) fn push(&self, commit: Commit) -> Result<Reply<Outcome>, Error> {
        let mut waiting = self.waiting();
        let bytes = waiting.bytes.saturating_add(limits::len(&commit));
        if waiting.closing {
            return Err(Error::Unavailable("the store is closing".into()));
        }
        if waiting.jobs.len() >= MAX_WAITING || bytes > MAX_WAITING_BYTES {
            return Err(Error::Unavailable("too many commits are waiting".into()));
        }
        let (done, reply) = reply::channel();
        waiting.bytes = bytes;
        waiting.jobs.push_back(Job { commit, done });
        drop(waiting);
        self.arrived.notify_one();
        Ok(reply)
    }

    /// Waits for commits and takes all of them; `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<Job>> {
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closing;
        let woken = self.arrived.wait_while(self.waiting(), idle);
        let mut waiting = woken.unwrap_or_else(PoisonError::into_inner);
        waiting.bytes = 0;
        let jobs = Vec::from(std::mem::take(&mut waiting.jobs));
        (!jobs.is_empty()).then_some(jobs)
    }

    /// Takes no more commits; those that wait are still carried out.
    pub(super) fn close(&self) {
        self.waiting().closing = true;
        self.arrived.notify_one();
    }

    /// Nothing panics while the queue is half changed, so a poisoned lock still guards a whole one.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Write;

    fn commit(value_len: usize) -> Commit {
        let put = Write::Put { name: b"n".to_vec(), value: vec![0; value_len] };
        Commit { preconditions: vec![], writes: vec![put] }
    }

    fn check_full(queue: &Queue, value_len: usize, room: usize) {
        let replies: Vec<_> = (0..room).map(|_| queue.push(commit(value_len)).unwrap()).collect();
        assert!(matches!(queue.push(commit(value_len)), Err(Error::Unavailable(_))));
        assert_eq!(queue.take().unwrap().len(), replies.len());
        queue.push(commit(value_len)).unwrap();
        queue.take().unwrap();
    }

    #[test]
    fn is_bounded_in_commits_and_in_bytes() {
        let queue = Queue::default();
        check_full(&queue, 0, MAX_WAITING);
        check_full(&queue, 1024 * 1024, MAX_WAITING_BYTES / (1024 * 1024 + 1));
    }

    #[test]
    fn closed_it_takes_no_more_and_gives_the_rest() {
        let queue = Queue::default();
        let _reply = queue.push(commit(0)).unwrap();
        queue.close();
        assert!(matches!(queue.push(commit(0)), Err(Error::Unavailable(_))));
        assert_eq!(queue.take().unwrap().len(), 1);
        assert!(queue.take().is_none());
    }
}
