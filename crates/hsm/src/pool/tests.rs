//! Real threads and a made-up executor. Jobs hold on until they are let go, so nothing depends on time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use claviger_hsm_proto::{Binding, Command};

use super::*;

/// What takes longer than this will not come.
const LIMIT: Duration = Duration::from_secs(60);

fn key(spec: &str) -> Cost {
    claviger_hsm::cost(&Command::CreateKey {
        binding: Binding { account: "", region: "", key_id: "", spec, usage: "" },
    })
}

fn long() -> Cost {
    key("RSA_4096")
}

fn short() -> Cost {
    key("ECC_NIST_P521")
}

/// The flow of an account in a connection.
const fn flow(connection: u64, account: u64) -> Flow {
    Flow { connection, account }
}

/// A job that says that it began and goes on when it is let go.
struct Held {
    name: usize,
    began: SyncSender<usize>,
    gate: Receiver<()>,
}

impl Held {
    fn carry_out(self) {
        let _ = self.began.send(self.name);
        // Let go, or the test is over.
        let _ = self.gate.recv();
    }
}

/// Makes jobs; keeps what lets them go and hears of those that began.
struct Holder {
    sender: SyncSender<usize>,
    began: Receiver<usize>,
    gates: BTreeMap<usize, SyncSender<()>>,
}

impl Holder {
    fn new() -> Self {
        let (sender, began) = sync_channel(1000);
        Self { sender, began, gates: BTreeMap::new() }
    }

    fn job(&mut self) -> Held {
        let (name, (open, gate)) = (self.gates.len(), sync_channel(1));
        self.gates.insert(name, open);
        Held { name, began: self.sender.clone(), gate }
    }

    fn jobs(&mut self, pool: &Pool<Held>, flow: Flow, cost: Cost, count: usize) {
        (0..count).for_each(|_| assert!(pool.submit(flow, cost, self.job()).is_ok()));
    }

    fn begun(&self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.began.recv_timeout(LIMIT).unwrap()).collect()
    }

    fn let_go(&self, name: usize) {
        self.gates[&name].send(()).unwrap();
    }
}

/// Submits with some workers, and ends them when all that was submitted was carried out.
fn with_workers(cores: usize, submit: impl FnOnce(&Pool<Held>, &mut Holder)) {
    let pool = Pool::new();
    std::thread::scope(|scope| {
        let workers = pool.start(scope, cores, |_| Held::carry_out).unwrap();
        // Dropped before the workers, also where a test fails: all jobs are let go.
        let mut holder = Holder::new();
        submit(&pool, &mut holder);
        drop(holder);
        drop(workers);
    });
    assert!(pool.short.is_empty() && pool.long.lock().queue.is_empty());
}

/// With so many cores, so much long work runs at a time, and short work begins whatever of it waits.
fn check_long_work(cores: usize, at_a_time: usize) {
    with_workers(cores, |pool, holder| {
        holder.jobs(pool, flow(1, 0), long(), 64);
        let running = holder.begun(at_a_time);
        holder.jobs(pool, flow(1, 0), short(), cores);
        let mut began = holder.begun(cores);
        began.sort_unstable();
        assert!(began.into_iter().eq(64..64 + cores), "all {cores} are short");
        assert!(holder.began.try_recv().is_err(), "no other long one has begun");
        holder.let_go(running[0]);
        assert_eq!(holder.begun(1), [at_a_time]);
    });
}

#[test]
fn long_work_leaves_room_for_short_work() {
    for (cores, at_a_time) in [(1, 1), (2, 1), (3, 2), (8, 7)] {
        check_long_work(cores, at_a_time);
    }
}

/// While a burst of one flow waits, what comes in another takes its turns.
fn check_burst(one: Flow, other: Flow) {
    for cost in [short(), long()] {
        with_workers(1, |pool, holder| {
            holder.jobs(pool, one, cost, 64);
            assert_eq!(holder.begun(1), [0]);
            holder.jobs(pool, other, cost, 2);
            let mut order = Vec::new();
            for name in [0, 64, 1, 65, 2] {
                holder.let_go(name);
                order.extend(holder.begun(1));
            }
            assert_eq!(order[..4], [64, 1, 65, 2]);
        });
    }
}

#[test]
fn a_burst_of_one_connection_lets_others_in() {
    check_burst(flow(1, 7), flow(2, 7));
}

/// Attack J6: the connections of a host are shared by all of its accounts.
#[test]
fn a_burst_of_one_account_lets_others_in() {
    check_burst(flow(1, 7), flow(1, 8));
}

/// Nor does an account fill what its connection may have.
#[test]
fn an_account_has_so_much_waiting_and_no_more() {
    for cost in [short(), long()] {
        with_workers(1, |pool, holder| {
            holder.jobs(pool, flow(1, 7), cost, 1);
            assert_eq!(holder.begun(1), [0]);
            holder.jobs(pool, flow(1, 7), cost, MAX_WAITING);
            assert!(pool.submit(flow(1, 7), cost, holder.job()).is_err());
            holder.jobs(pool, flow(1, 8), cost, 1);
            holder.jobs(pool, flow(2, 7), cost, 1);
            pool.forget(1);
        });
    }
}

#[test]
fn a_connection_that_is_forgotten_has_only_what_began() {
    with_workers(1, |pool, holder| {
        holder.jobs(pool, flow(1, 0), long(), 10);
        holder.jobs(pool, flow(1, 0), short(), 10);
        let mut running = holder.begun(2);
        running.sort_unstable();
        assert_eq!(running, [0, 10]);
        holder.jobs(pool, flow(2, 0), short(), 1);
        pool.forget(1);
        // Dropped at once: nobody is left to be let go.
        let dropped = (0..20).filter(|name| holder.gates[name].send(()).is_err()).count();
        assert_eq!(dropped, 18);
        assert_eq!(holder.begun(1), [20]);
        pool.forget(1);
    });
}

#[test]
fn workers_stand_where_they_should_and_all_have_names() {
    let (pool, seen) = (Pool::<()>::new(), Mutex::new(BTreeMap::new()));
    let look = |_| {
        let priority = rustix::process::getpriority_process(None).unwrap();
        let name = std::thread::current().name().unwrap().to_owned();
        seen.lock().unwrap().insert(name, priority);
        |()| {}
    };
    std::thread::scope(|scope| drop(pool.start(scope, 3, look).unwrap()));
    let own = rustix::process::getpriority_process(None).unwrap();
    let (aside, back) = ((own + STEP_ASIDE).min(19), (own + STEP_BACK).min(19));
    let expected = [
        ("aside 0", aside),
        ("aside 1", aside),
        ("aside 2", aside),
        ("long 0", back),
        ("long 1", back),
        ("short 0", own),
        ("short 1", own),
        ("short 2", own),
    ];
    assert!(seen.into_inner().unwrap().iter().map(|(name, priority)| (&**name, *priority)).eq(expected));
}

#[test]
fn jobs_of_many_threads_are_carried_out_once_each() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let (pool, done) = (Pool::new(), (0..THREADS * EACH).map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
    let carry_out = |job: usize| {
        done[job].fetch_add(1, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        let workers = pool
            .start(scope, 4, {
                let carry_out = &carry_out;
                move |_| carry_out
            })
            .unwrap();
        std::thread::scope(|submitters| {
            for thread in 0..THREADS {
                let pool = &pool;
                submitters.spawn(move || {
                    for number in 0..EACH {
                        let cost = if number.is_multiple_of(3) { long() } else { short() };
                        let flow = flow(u64::try_from(thread).unwrap(), u64::try_from(number % 32).unwrap());
                        assert!(pool.submit(flow, cost, thread * EACH + number).is_ok());
                    }
                });
            }
        });
        drop(workers);
    });
    assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
}

/// Where each of so many jobs was carried out, one after the other, some of them after a connection has carried out a
/// command itself.
fn places(jobs: usize, disturbed: &[usize]) -> Vec<Place> {
    let (pool, (done, places)) = (Pool::new(), sync_channel(1));
    let executor = |place| {
        let done = done.clone();
        move |(): ()| done.send(place).unwrap()
    };
    std::thread::scope(|scope| {
        let workers = pool.start(scope, 2, executor).unwrap();
        let carried_out = |number: usize| {
            if disturbed.contains(&number) {
                pool.step_aside();
            }
            assert!(pool.submit(flow(1, 0), short(), ()).is_ok());
            places.recv_timeout(LIMIT).unwrap()
        };
        let places = (0..jobs).map(carried_out).collect();
        drop(workers);
        places
    })
}

#[test]
fn short_work_steps_aside_for_a_while() {
    let calm = 20_000_usize.div_ceil(usize::try_from(short().micros()).unwrap());
    let found = places(3 * calm + 4, &[0, calm + 1, 2 * calm]);
    // It begins aside, and goes to the front when enough was done undisturbed, from the third time on for good.
    let mut expected = vec![Place::Aside; calm];
    expected.push(Place::Front);
    expected.extend(vec![Place::Aside; 2 * calm - 1]);
    expected.extend(vec![Place::Front; 4]);
    assert_eq!(found, expected);
}

/// Whoever works when work moves on takes what waits along, and what takes no time is done in front wherever work is.
#[test]
fn nothing_waits_for_a_worker_in_the_wrong_place() {
    const JOBS: usize = 5_000;
    let (pool, done) = (Pool::new(), AtomicUsize::new(0));
    let brief = AtomicUsize::new(0);
    let executor = |place| {
        let (pool, done, brief) = (&pool, &done, &brief);
        move |number: usize| {
            if number == JOBS {
                assert_eq!(place, Place::Front);
                brief.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if number.is_multiple_of(97) {
                pool.step_aside();
            }
            if number.is_multiple_of(10) {
                pool.submit_brief(flow(2, 0), JOBS);
            }
            done.fetch_add(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        let workers = pool.start(scope, 2, executor).unwrap();
        for number in 0..JOBS {
            let flow = flow(1, u64::try_from(number % 32).unwrap());
            assert!(pool.submit(flow, key("ECC_NIST_P256"), number).is_ok());
        }
        while done.load(Ordering::SeqCst) < JOBS || brief.load(Ordering::SeqCst) < JOBS / 10 {
            std::thread::yield_now();
        }
        drop(workers);
    });
}
