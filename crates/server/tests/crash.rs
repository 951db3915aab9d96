//! Host and HSM are killed under load, over and over; what was acknowledged must be there, and its events.
//!
//! Workers use the service, each with keys of its own, and note what they ask and what they are told. At a random
//! moment the host, the HSM or both are killed with SIGKILL. Then what is there is compared with the notes: nothing
//! acknowledged is lost, what was in doubt was done as a whole or not at all, every ciphertext opens, and the ledger
//! tells the same story: one event for each answer, and a state that follows from the events alone.
//!
//! The seed is printed and may be given; the moments still depend on the machine, so a seed repeats the load and the
//! kind of each crash, not each interleaving.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends at the first surprise"
)]

#[path = "crash/check.rs"]
mod check;
#[path = "crash/record.rs"]
mod record;
#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;
#[path = "crash/worker.rs"]
mod worker;

use std::time::Duration;

use check::Extent;
use claviger_server::ledger;
use record::{Journal, Replay};
use rustix::process::Signal;
use support::dice::Dice;
use support::events;
use support::server::{Home, Server};
use tokio::sync::watch;
use tokio::task::JoinSet;
use worker::{Stopped, Worker};

const CYCLES: u64 = 210;
const WORKERS: u64 = 6;
/// How often everything is compared, not only what changed.
const ALL_EVERY: u64 = 105;
/// How long the load runs before something is killed.
const LOAD: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(120));
/// How long a frozen HSM lets requests pile up before it is killed.
const FREEZE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(40));
/// When a start is interrupted: from its first instruction to beyond its being ready.
const START: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(150));
/// How often, of a hundred crashes, the start that follows is killed too.
const KILLED_STARTS: u64 = 25;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Host,
    Both,
    Hsm,
    /// The HSM, after it was stopped for a while, so that commands are certainly in flight.
    FrozenHsm,
}

impl Victim {
    const ALL: [Self; 6] = [Self::Host, Self::Hsm, Self::Both, Self::Host, Self::FrozenHsm, Self::Both];

    fn of(cycle: u64) -> Self {
        Self::ALL[usize::try_from(cycle).unwrap() % Self::ALL.len()]
    }

    fn includes_the_host(self) -> bool {
        matches!(self, Self::Host | Self::Both)
    }
}

struct Experiment {
    home: Home,
    dice: Dice,
    journal: Journal,
    workers: Vec<Worker>,
    replay: Replay,
    next_event: u64,
    compared: u64,
    killed_starts: u64,
}

#[test]
fn nothing_acknowledged_is_lost() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Experiment::new().run());
}

impl Experiment {
    fn new() -> Self {
        let (mut dice, journal) = (Dice::of_this_run(), Journal::default());
        let worker = |number| Worker::new(format!("w{number}"), dice.split(), journal.clone());
        let workers = (0..WORKERS).map(worker).collect();
        Self {
            home: Home::new(false),
            dice,
            journal,
            workers,
            replay: Replay::default(),
            next_event: 1,
            compared: 0,
            killed_starts: 0,
        }
    }

    async fn run(mut self) {
        let mut server = self.home.start().await;
        for cycle in 0..CYCLES {
            server = self.cycle(server, Victim::of(cycle)).await;
            let extent = if (cycle + 1).is_multiple_of(ALL_EVERY) { Extent::All } else { Extent::Changed };
            self.check(&server, extent).await;
        }
        for worker in &mut self.workers {
            worker.enable_all(&mut server.connect().await).await;
        }
        server.stop().await;
        let server = self.home.start().await;
        self.check(&server, Extent::All).await;
        server.stop().await;
        self.report();
    }

    /// Runs the load, kills, and starts again.
    async fn cycle(&mut self, server: Server, victim: Victim) -> Server {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for worker in self.workers.drain(..) {
            running.spawn(worker.run(server.connect().await, stopped.clone()));
        }
        tokio::time::sleep(self.dice.between(LOAD.0, LOAD.1)).await;
        let survivor = match victim {
            Victim::Host => {
                server.kill_host().await;
                None
            }
            Victim::Both => {
                server.kill_both().await;
                None
            }
            Victim::Hsm | Victim::FrozenHsm => {
                self.kill_hsm(&server, victim).await;
                Some(server)
            }
        };
        stop.send_replace(true);
        let ended = running.join_all().await;
        let broken = ended.iter().filter(|(_, stopped)| *stopped == Some(Stopped::Broken)).count();
        assert!(victim.includes_the_host() || broken == 0, "the host broke {broken} connections");
        self.workers = ended.into_iter().map(|(worker, _)| worker).collect();
        self.workers.sort_by(|one, other| one.name.cmp(&other.name));
        match survivor {
            Some(mut host) => {
                assert!(host.is_alive(), "the host died with its HSM");
                host
            }
            None => self.start_again().await,
        }
    }

    async fn kill_hsm(&mut self, server: &Server, victim: Victim) {
        let hsm = server.next_hsm(None).await;
        if victim == Victim::FrozenHsm {
            hsm.signal(Signal::STOP);
            tokio::time::sleep(self.dice.between(FREEZE.0, FREEZE.1)).await;
        }
        assert!(hsm.signal(Signal::KILL), "the HSM ended by itself");
        hsm.ended().await;
        drop(server.next_hsm(Some(hsm.pid())).await);
        // The load goes on, so that it meets the new HSM.
        tokio::time::sleep(self.dice.between(LOAD.0, LOAD.1)).await;
    }

    async fn start_again(&mut self) -> Server {
        while self.dice.chance(KILLED_STARTS) {
            self.killed_starts += 1;
            self.home.start_and_kill(self.dice.between(START.0, START.1)).await;
        }
        self.home.start().await
    }

    async fn check(&mut self, server: &Server, extent: Extent) {
        check::lists(&self.journal, &mut server.connect().await, &mut self.workers).await;
        let mut running = JoinSet::new();
        for worker in self.workers.drain(..) {
            running.spawn(worker.check(server.connect().await, extent));
        }
        for (worker, compared) in running.join_all().await {
            self.compared += compared;
            self.workers.push(worker);
        }
        self.workers.sort_by(|one, other| one.name.cmp(&other.name));
        let (events, next) = events::read(&self.home.ledger(), self.next_event);
        self.next_event = next;
        self.journal.settle(&events);
        events.iter().for_each(|event| self.replay.apply(event));
        self.workers.iter().for_each(|worker| worker.compare(&self.replay));
        assert_eq!(self.replay.keys.len(), self.workers.iter().map(|worker| worker.ids.len()).sum::<usize>());
    }

    fn report(&self) {
        let verified = ledger::verify(&self.home.ledger()).unwrap_or_else(|bad| panic!("{bad}"));
        let counts = self.journal.counts();
        assert_eq!(verified.first, 1);
        assert_eq!(verified.records, counts.events, "the ledger holds other events than were read");
        assert!(counts.retryable > 0, "no command was in flight when the HSM was killed");
        assert!(counts.cut_off > 0, "no request was under way when the host was killed");
        let ciphertexts: usize = self.workers.iter().map(|worker| worker.sealed.len()).sum();
        let keys: usize = self.workers.iter().map(|worker| worker.ids.len()).sum();
        println!(
            "{CYCLES} crashes, {} killed starts; {} comparisons; {counts:?}",
            self.killed_starts, self.compared
        );
        println!("{keys} keys, {ciphertexts} ciphertexts, ledger of {} events verified", verified.records);
    }
}
