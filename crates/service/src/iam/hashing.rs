//! Where passwords are hashed: one at a time, and not on the threads that serve requests. A hash is made to take long and
//! to need much memory; whoever asks for many must wait, and nobody else.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::iam::password::Pepper;
use crate::quota;

/// Most calls that wait for their turn or have it; one more is told to try again. A hash takes some 20 ms, so that the
/// last waits for a third of a second.
const MAX_CALLS: usize = 16;

/// Hashes passwords, for the calls that take turns.
pub(crate) struct Hashing {
    pepper: Arc<Pepper>,
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// The right to hash now. Whoever has it is alone.
pub(crate) struct Turn {
    pepper: Arc<Pepper>,
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Hashing {
    pub(crate) fn new(pepper: Pepper) -> Self {
        Self {
            pepper: Arc::new(pepper),
            places: Arc::new(Semaphore::new(MAX_CALLS)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for a turn; those who came first have it first.
    ///
    /// # Errors
    /// `Throttling` where too many wait.
    pub(crate) async fn turn(&self) -> Result<Turn> {
        let closed = |error: tokio::sync::AcquireError| Error::internal(error.to_string());
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| quota::exceeded(false).because("too many passwords to hash"))?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(closed)?;
        Ok(Turn { pepper: Arc::clone(&self.pepper), permits: (place, turn) })
    }
}

impl Turn {
    /// Does the work on a thread that may be kept busy. It ends, and the turn with it, even where the caller goes away.
    ///
    /// # Errors
    /// Where there is no such thread, or it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Pepper) -> T + Send + 'static,
    ) -> Result<T> {
        let Self { pepper, permits } = self;
        let runtime = Handle::try_current().map_err(|error| Error::internal(error.to_string()))?;
        let done = runtime.spawn_blocking(move || {
            let done = work(&pepper);
            drop(permits);
            done
        });
        done.await.map_err(|error| Error::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use claviger_wire::fault::Code;
    use zeroize::Zeroizing;

    use super::*;

    fn hashing() -> Hashing {
        Hashing::new(Pepper::new(Zeroizing::new([9; 32])))
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn passwords_are_not_hashed_where_requests_are_served() {
        let here = std::thread::current().id();
        let there = hashing().turn().await.unwrap().run(|_| std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[test]
    fn without_a_runtime_nothing_is_hashed() {
        let hashing = hashing();
        let Poll::Ready(Ok(turn)) = poll(pin!(hashing.turn())) else { panic!("the first must not wait") };
        assert!(matches!(poll(pin!(turn.run(|_| ()))), Poll::Ready(Err(_))));
        assert!(matches!(poll(pin!(hashing.turn())), Poll::Ready(Ok(_))), "the turn is over");
    }

    #[tokio::test]
    async fn one_password_is_hashed_at_a_time_and_few_wait() {
        let hashing = hashing();
        let turn = hashing.turn().await.unwrap();
        let mut waiting: Vec<_> = (1..MAX_CALLS).map(|_| Box::pin(hashing.turn())).collect();
        assert!(waiting.iter_mut().all(|call| poll(call.as_mut()).is_pending()));
        let refused = hashing.turn().await.err().unwrap();
        assert_eq!(refused.code, Code::Throttling);
        drop(turn);
        let ready = waiting.iter_mut().filter_map(|call| match poll(call.as_mut()) {
            Poll::Ready(turn) => Some(turn.unwrap()),
            Poll::Pending => None,
        });
        assert_eq!(ready.collect::<Vec<_>>().len(), 1);
        drop(waiting);
        drop(hashing.turn().await.unwrap());
    }

    /// Who hangs up does not make room for another hash beside the one that still runs.
    #[tokio::test]
    async fn a_hash_keeps_its_turn_when_its_caller_goes_away() {
        let hashing = hashing();
        let (go, wait) = mpsc::channel::<()>();
        let mut call = Box::pin(hashing.turn().await.unwrap().run(move |_| wait.recv().is_ok()));
        assert!(poll(call.as_mut()).is_pending());
        drop(call);
        let mut next = pin!(hashing.turn());
        assert!(poll(next.as_mut()).is_pending());
        go.send(()).unwrap();
        next.await.unwrap();
    }
}
