//! Turns that calls wait for which race for an account's records, so that they do not beat each other time and again.
//! However many there are, those who want other accounts' records do not wait for them.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many there are. Accounts that share one are few among few.
const COUNT: usize = 256;

/// A turn, until it is dropped.
pub(crate) struct Turn {
    _held: OwnedMutexGuard<()>,
    account: Box<str>,
}

impl Turn {
    /// Whether it is one at an account's records.
    pub(crate) fn is_at(&self, account: &str) -> bool {
        *self.account == *account
    }
}

/// The turns of all accounts.
pub(crate) struct Turns(Vec<Arc<Mutex<()>>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..COUNT).map(|_| Arc::default()).collect())
    }

    /// Waits for a turn at an account's records, in the order of asking.
    pub(crate) async fn at(&self, account: &str) -> Turn {
        let place = account.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        // There are as many as are counted; one who waits for nobody would be safe as well.
        let turn = self.0.get(place % COUNT).map_or_else(Arc::default, Arc::clone);
        Turn { _held: turn.lock_owned().await, account: account.into() }
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
        let now = |account: &str| match pin!(turns.at(account)).poll(&mut Context::from_waker(Waker::noop()))
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
