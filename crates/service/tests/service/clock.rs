//! A clock for tests.

use std::time::Duration;

use claviger_service::{Clock, Moment, Stopwatch};

use crate::world::START;

/// A clock that is moved by hand.
pub(crate) struct ManualClock(tokio::sync::watch::Sender<Moment>);

impl ManualClock {
    /// That shows this moment.
    pub(crate) fn starting_at(moment: Moment) -> Self {
        Self(tokio::sync::watch::Sender::new(moment))
    }

    /// Sets the clock, forward or back.
    pub(crate) fn set(&self, moment: Moment) {
        self.0.send_replace(moment);
    }

    /// Moves the clock by so many milliseconds.
    pub(crate) fn advance(&self, ms: i64) {
        self.0.send_modify(|now| now.0 += ms);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.0.borrow()
    }

    fn at(&self, moment: Moment) -> claviger_service::BoxFuture<'_, ()> {
        let mut changes = self.0.subscribe();
        Box::pin(async move {
            let mut latest = *changes.borrow();
            let is_over = |now: &Moment| {
                let set_back = *now < latest;
                latest = latest.max(*now);
                *now >= moment || set_back
            };
            changes.wait_for(is_over).await.unwrap();
        })
    }
}

impl Stopwatch for ManualClock {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now().0 - START.0).unwrap_or_default())
    }
}
