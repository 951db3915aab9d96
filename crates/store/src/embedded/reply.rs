//! A value that one thread hands to one future, with any async runtime or none.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
enum State<T> {
    Waiting(Option<Waker>),
    Sent(T),
    /// Dropped without a value, or the value was taken.
    Closed,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// The end that gives the value.
#[derive(Debug)]
pub(super) struct Sender<T>(Shared<T>);

/// Resolves to the value; to `None` when the sender is dropped without giving one.
#[derive(Debug)]
pub(super) struct Reply<T>(Shared<T>);

/// Both ends.
pub(super) fn channel<T>() -> (Sender<T>, Reply<T>) {
    let shared = Arc::new(Mutex::new(State::Waiting(None)));
    (Sender(Arc::clone(&shared)), Reply(shared))
}

impl<T> Sender<T> {
    /// Gives the value.
    pub(super) fn send(self, value: T) {
        self.settle(State::Sent(value));
    }

    /// Leaves the waiting state, once; the waker is called outside the lock.
    fn settle(&self, next: State<T>) {
        let mut state = locked(&self.0);
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = next;
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.settle(State::Closed);
    }
}

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = locked(&self.0);
        if let State::Waiting(waker) = &mut *state {
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Closed) {
            State::Sent(value) => Poll::Ready(Some(value)),
            State::Waiting(_) | State::Closed => Poll::Ready(None),
        }
    }
}

/// Every change of the state is a single assignment, so a poisoned lock still guards a whole one.
fn locked<T>(shared: &Shared<T>) -> MutexGuard<'_, State<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<T>(reply: &mut Reply<T>) -> Poll<Option<T>> {
        Pin::new(reply).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn waits_for_the_value() {
        let (sender, mut reply) = channel();
        assert_eq!(poll(&mut reply), Poll::Pending);
        sender.send(7);
        assert_eq!(poll(&mut reply), Poll::Ready(Some(7)));
    }

    #[test]
    fn learns_that_none_will_come() {
        let (sender, mut reply) = channel::<u8>();
        assert_eq!(poll(&mut reply), Poll::Pending);
        drop(sender);
        assert_eq!(poll(&mut reply), Poll::Ready(None));
    }

    #[test]
    fn wakes_who_waits() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let (sender, mut reply) = channel();
        assert_eq!(Pin::new(&mut reply).poll(&mut Context::from_waker(&waker)), Poll::Pending);
        sender.send(());
        assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}
