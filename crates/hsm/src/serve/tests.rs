//! Connections with a pool whose workers start when the test says so: without any, all that is deferred waits.

use std::io::{Read, Write};

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{DEFAULT_CACHE_LEN, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, MaterialId, MessageKind, Reply, SYMMETRIC_DEFAULT, VERSION, WrappedKey, frame,
};

use super::*;
use crate::pool::MAX_WAITING;

/// Refused by every engine, but only by a worker's.
fn sign(account: &str) -> Command<'_> {
    let binding = Binding { account, region: "", key_id: "", spec: SYMMETRIC_DEFAULT, usage: "" };
    let key = WrappedKey { binding, material: MaterialId([0; 32]), token: &[] };
    Command::Sign { key, algorithm: "", kind: MessageKind::Raw, message: b"message" }
}

const RANDOM: Command<'static> = Command::GenerateRandom { length: 8, recipient: None };
/// Most commands that wait for a worker.
const MOST: u64 = CONNECTION.commands as u64;

fn server() -> Server {
    let mut seal = MemorySeal::default();
    create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
    Server::new(Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), DEFAULT_CACHE_LEN).unwrap())
}

/// A host's end of a connection that said hello.
struct Host {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Host {
    /// Connects, served by a thread of its own.
    fn connect<'scope, 'env>(
        server: &'env Server,
        scope: &'scope Scope<'scope, 'env>,
        number: u64,
    ) -> (Self, Arc<Line>) {
        let (own, stream) = UnixStream::pair().unwrap();
        let line = server.line(own);
        let served = Arc::clone(&line);
        scope.spawn(move || server.serve(&served, number));
        let mut host = Self { stream, input: Vec::new() };
        host.write([(u64::MAX, Command::Hello { version: VERSION })]);
        assert_eq!(host.read(), Some(u64::MAX));
        (host, line)
    }

    fn write<'c>(&mut self, commands: impl IntoIterator<Item = (u64, Command<'c>)>) {
        let mut out = Vec::new();
        for (id, command) in commands {
            frame::write(&mut out, id, &command).unwrap();
        }
        self.stream.write_all(&out).unwrap();
    }

    /// Signs for eight accounts in turn.
    fn sign(&mut self, ids: std::ops::Range<u64>) {
        const ACCOUNTS: [&str; 8] = ["111111111111", "2", "3", "4", "5", "6", "7", "8"];
        self.write(ids.map(|id| (id, sign(ACCOUNTS[usize::try_from(id % 8).unwrap()]))));
    }

    /// The id of the next reply; `None` at the end of the connection.
    fn read(&mut self) -> Option<u64> {
        self.reply().map(|(id, _)| id)
    }

    /// The same, and why it refuses if it does.
    fn reply(&mut self) -> Option<(u64, Option<Refusal>)> {
        loop {
            if let Some(found) = frame::next(&self.input).unwrap() {
                let refusal = match frame::read(found.body).unwrap() {
                    Reply::Refused(refusal) => Some(refusal),
                    _ => None,
                };
                let (id, len) = (found.id, found.len);
                self.input.drain(..len);
                return Some((id, refusal));
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
            }
        }
    }

    /// The ids of all further replies, in order of the ids.
    fn rest(mut self) -> Vec<u64> {
        let mut ids: Vec<u64> = std::iter::from_fn(|| self.read()).collect();
        ids.sort_unstable();
        ids
    }
}

#[test]
fn cheap_commands_overtake_dear_ones() {
    let server = server();
    std::thread::scope(|scope| {
        let (mut host, _) = Host::connect(&server, scope, 1);
        host.sign(0..MOST);
        host.write([(5000, RANDOM), (5001, RANDOM)]);
        assert_eq!((host.read(), host.read()), (Some(5000), Some(5001)));
        let workers = server.start_workers(scope, 2).unwrap();
        let mut answered: Vec<u64> = (0..MOST).map(|_| host.read().unwrap()).collect();
        answered.sort_unstable();
        assert!(answered.into_iter().eq(0..MOST));
        drop((host, workers));
    });
}

/// Attack J6: more than there is room for. What comes after waits in the socket, and nothing is lost.
#[test]
fn a_connection_with_too_much_in_the_pool_is_not_read_from() {
    let server = server();
    std::thread::scope(|scope| {
        let (mut host, line) = Host::connect(&server, scope, 1);
        let (mut other, _) = Host::connect(&server, scope, 2);
        host.sign(0..MOST);
        while line.quota().try_charge(0).is_ok() {
            std::thread::yield_now();
        }
        host.sign(MOST..MOST + 1);
        host.write([(5000, RANDOM)]);
        // Another connection has room of its own.
        other.sign(1..2);
        other.write([(2, RANDOM)]);
        assert_eq!(other.read(), Some(2));
        let workers = server.start_workers(scope, 2).unwrap();
        assert_ne!(host.read(), Some(5000), "it was read although there was no room");
        host.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(host.rest().len(), usize::try_from(MOST).unwrap() + 1);
        assert_eq!(other.read(), Some(1));
        drop((other, workers));
    });
}

/// Attack J6: nor does one account take all the room of the connection that it shares with others.
#[test]
fn an_account_with_too_much_in_the_pool_is_refused_alone() {
    let server = server();
    std::thread::scope(|scope| {
        let (mut host, _) = Host::connect(&server, scope, 1);
        let most = u64::try_from(MAX_WAITING).unwrap();
        host.write((0..most + 10).map(|id| (id, sign("111111111111"))));
        host.write([(5000, sign("222222222222")), (5001, RANDOM)]);
        for id in most..most + 10 {
            assert_eq!(host.reply(), Some((id, Some(Refusal::Busy))));
        }
        assert_eq!(host.reply(), Some((5001, None)));
        let workers = server.start_workers(scope, 2).unwrap();
        let mut answered = Vec::new();
        for _ in 0..=most {
            let (id, refusal) = host.reply().unwrap();
            assert_eq!(refusal, Some(Refusal::Length), "{id} was looked at");
            answered.push(id);
        }
        answered.sort_unstable();
        assert!(answered.into_iter().eq((0..most).chain([5000])));
        drop((host, workers));
    });
}

/// What has waited for longer than anybody waits for it is not begun.
#[test]
fn what_comes_too_late_is_not_carried_out() {
    let mut server = server();
    server.longest_wait = Duration::ZERO;
    std::thread::scope(|scope| {
        let (mut host, line) = Host::connect(&server, scope, 1);
        host.sign(0..100);
        host.write([(5000, RANDOM)]);
        assert_eq!(host.read(), Some(5000));
        let workers = server.start_workers(scope, 2).unwrap();
        for _ in 0..100 {
            assert_eq!(host.reply().unwrap().1, Some(Refusal::Busy));
        }
        assert!(line.quota().wait_until_empty(Duration::MAX));
        drop(workers);
    });
}

/// The host is gone: nobody works for it, and its thread ends though there is no worker.
#[test]
fn what_waits_of_a_connection_that_is_gone_is_dropped() {
    let mut server = server();
    server.patience = Duration::MAX;
    std::thread::scope(|scope| {
        let (mut host, line) = Host::connect(&server, scope, 1);
        host.sign(0..100);
        host.write([(5000, RANDOM)]);
        assert_eq!(host.read(), Some(5000));
        drop(host);
        assert!(line.quota().wait_until_empty(Duration::MAX));
    });
}

/// A stop signal: what was read is answered, whether it waits in the pool or in the connection's buffer.
#[test]
fn a_stop_finishes_what_was_read() {
    let server = server();
    std::thread::scope(|scope| {
        let (mut host, line) = Host::connect(&server, scope, 1);
        host.sign(0..100);
        host.write([(5000, RANDOM)]);
        assert_eq!(host.read(), Some(5000));
        line.end_reading();
        let workers = server.start_workers(scope, 1).unwrap();
        assert!(host.rest().into_iter().eq(0..100));
        drop(workers);
    });
}

/// A stop does not wait for ever, neither for what is in the pool nor for room there.
fn check_impatient_stop(signs: u64) {
    let mut server = server();
    server.patience = Duration::ZERO;
    std::thread::scope(|scope| {
        let (mut host, line) = Host::connect(&server, scope, 1);
        host.sign(0..signs);
        while signs > MOST && line.quota().try_charge(0).is_ok() {
            std::thread::yield_now();
        }
        line.end_reading();
        assert_eq!(host.read(), None);
    });
}

#[test]
fn a_stop_drops_what_takes_too_long() {
    for signs in [1, MOST, MOST + 10] {
        check_impatient_stop(signs);
    }
}
