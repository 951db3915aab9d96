//! Where the program touches the machine's clock, environment, processes and randomness. Nothing else may.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use claviger_service::{BoxFuture, Clock, Entropy, Moment, NoEntropy, Stopwatch};
use zeroize::Zeroizing;

/// The machine's wall clock.
pub struct SystemClock;

/// When something began, on the monotonic clock.
pub struct Started(Instant);

impl Started {
    /// It begins now.
    pub fn now() -> Self {
        Self(instant())
    }
}

/// Longest single wait, so that a clock that is set forward is noticed soon.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What the wall clock says. A clock before 1970 counts as 1970: no signature is then in time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A point on the monotonic clock, for durations in the log.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// Raises how many descriptors the process may have to what the system lets it: each connection takes one, and most
/// systems begin with a thousand.
pub fn raise_descriptors() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        tracing::warn!(cause = error.to_string(), "the limit of descriptors stays as it is");
    }
}

/// How many descriptors the process may have; `None` where there is no limit.
pub fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Says something to whoever started the program. Nobody may be listening any more; that must not stop the service.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// An environment variable that holds a secret, or nothing. An empty one counts as absent.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new)
}

impl Stopwatch for Started {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        now()
    }

    fn at(&self, moment: Moment) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut last = now();
            loop {
                let now = now();
                let left = moment.0.saturating_sub(now.0);
                let Ok(left @ 1..) = u64::try_from(left) else { return };
                if now < last {
                    return;
                }
                last = now;
                tokio::time::sleep(Duration::from_millis(left).min(MAX_WAIT)).await;
            }
        })
    }
}

/// The operating system's generator, through AWS-LC. For ids only, which are not secret: random bytes are fetched for
/// some requests at once, as a call for a few costs as much as one for many.
#[derive(Default)]
pub struct SystemEntropy {
    random: SystemRandom,
    ahead: Mutex<Ahead>,
}

/// Random bytes that no id has been made of yet.
struct Ahead {
    bytes: [u8; AHEAD],
    left: usize,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { bytes: [0; AHEAD], left: 0 }
    }
}

/// How many random bytes are fetched at once.
const AHEAD: usize = 512;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() > AHEAD {
            return self.random.fill(bytes).map_err(|_| NoEntropy);
        }
        if ahead.left < bytes.len() {
            ahead.left = 0;
            self.random.fill(&mut ahead.bytes).map_err(|_| NoEntropy)?;
            ahead.left = AHEAD;
        }
        let Ahead { bytes: fetched, left } = &mut *ahead;
        let taken = fetched.get(*left - bytes.len()..*left).ok_or(NoEntropy)?;
        bytes.copy_from_slice(taken);
        *left -= bytes.len();
        Ok(())
    }
}
