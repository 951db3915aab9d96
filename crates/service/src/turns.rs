//! Turns that calls of one account wait for among themselves, so that those who race for the same records do not beat each
//! other time and again. However many of one account wait, they keep no other account waiting.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many there are. Accounts that share one are few among few.
const COUNT: usize = 256;

/// A turn, until it is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// The turns of all accounts.
pub(crate) struct Turns(Vec<Arc<Mutex<()>>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..COUNT).map(|_| Arc::default()).collect())
    }

    /// Waits for a turn among the calls of an account, in the order of asking.
    pub(crate) async fn of(&self, account: &str) -> Turn {
        let place = account.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        match self.0.get(place % COUNT) {
            Some(turn) => Arc::clone(turn).lock_owned().await,
            // There are as many as are counted; one who waits for nobody would be safe as well.
            None => Arc::new(Mutex::new(())).lock_owned().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::Turns;

    #[test]
    fn an_account_waits_for_itself_and_for_no_other() {
        let turns = Turns::new();
        let now = |account: &str| match pin!(turns.of(account)).poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        };
        let held = now("111122223333");
        assert!(held.is_some() && now("111122223333").is_none());
        assert!(now("444455556666").is_some());
        drop(held);
        assert!(now("111122223333").is_some());
    }
}
