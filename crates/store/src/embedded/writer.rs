//! The one thread that writes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::fault::{Failure, Trouble, Verdict};
use super::queue::{Job, Outcome};
use super::reply::Sender;
use super::tables::{self, Batch};
use crate::{Commit, Error};

/// Carries out commits until the queue is closed and empty. All that gathered while one batch was made durable is the
/// next batch, so the cost of a flush is shared by as many commits as arrive in the time of one.
pub(super) fn run(shared: &Arc<Shared>) {
    while let Some(jobs) = shared.queue.take() {
        let (commits, waiting): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|Job { commit, done }| (commit, done)).unzip();
        match carry_out(shared, &commits.iter().collect::<Vec<_>>()) {
            Ok(batch) => acknowledge(shared, batch, waiting),
            Err(error) => waiting.into_iter().for_each(|done| done.send(Err(error()))),
        }
    }
}

/// Makes the answer of every commit of a batch that came to nothing.
type Refusal<'s> = Box<dyn Fn() -> Error + 's>;

fn carry_out<'s>(shared: &'s Shared, commits: &[&Commit]) -> Result<Batch, Refusal<'s>> {
    if let Some(failure) = shared.failure.get() {
        return Err(Box::new(|| failure.error()));
    }
    if shared.closed_for_space() {
        reopen(shared)?;
    }
    write(shared, commits).map_err(|trouble| -> Refusal<'s> {
        shared.feed().unstage();
        let panicked = matches!(trouble, Trouble::Panic(_));
        match shared.faults.explain(trouble) {
            Verdict::Full => match reopen(shared) {
                Ok(()) => Box::new(|| Error::Full),
                Err(refusal) => refusal,
            },
            // Troubles of single commits are in the batch; one of ours here concerns the whole.
            Verdict::Answer(error) => shared.fail(Failure::Broken(error.to_string())),
            // Halfway through a change a panic says nothing about what was stored before.
            Verdict::Fatal(Failure::Damaged(why)) if panicked => shared.fail(Failure::Broken(why)),
            Verdict::Fatal(failure) => shared.fail(failure),
        }
    })
}

fn write(shared: &Shared, commits: &[&Commit]) -> Result<Batch, Trouble> {
    let slot = shared.engine.read().unwrap_or_else(PoisonError::into_inner);
    let engine = slot.as_ref().ok_or(Trouble::Engine(redb::Error::DatabaseClosed))?;
    let from = shared.durable.load(Ordering::Acquire);
    engine.commit(&shared.sealer, from, commits, |newest| shared.feed().stage(newest))
}

/// Publishes, then answers: who was told of a commit and asks for a barrier must find its revision there, and its names
/// in the feed.
fn acknowledge(shared: &Shared, batch: Batch, waiting: Vec<Sender<Outcome>>) {
    let mut feed = shared.feed();
    for (revision, names) in batch.written {
        feed.publish(revision, names);
    }
    shared.durable.store(feed.newest(), Ordering::Release);
    drop(feed);
    for (done, verdict) in waiting.into_iter().zip(batch.verdicts) {
        done.send(verdict);
    }
}

/// Opens the engine anew, checking everything, after the disk was full; then nothing of the refused batch may be there.
/// Readers wait meanwhile.
fn reopen(shared: &Shared) -> Result<(), Refusal<'_>> {
    let mut slot = shared.engine.write().unwrap_or_else(PoisonError::into_inner);
    drop(slot.take());
    shared.faults.clear();
    let durable = shared.durable.load(Ordering::Acquire);
    match shared.disk.open().and_then(|disk| tables::open(disk, &shared.sealer, &shared.faults)) {
        Ok((engine, revision)) if revision == durable => {
            *slot = Some(engine);
            Ok(())
        }
        Ok((_, revision)) => {
            let why = format!("after the disk was full, revision {revision} is there and not {durable}");
            Err(shared.fail(Failure::Broken(why)))
        }
        Err(Error::Full) => Err(Box::new(|| Error::Full)),
        Err(Error::Corrupt { what }) => Err(shared.fail(Failure::Damaged(what))),
        Err(error) => Err(shared.fail(Failure::Broken(error.to_string()))),
    }
}

impl Shared {
    /// Stops the store for good; gives the answer of all who wait. Reads stop too: a store that cannot be written must
    /// be left to a process that begins anew.
    fn fail(&self, failure: Failure) -> Refusal<'_> {
        let failure = self.stop(failure);
        Box::new(|| failure.error())
    }
}
