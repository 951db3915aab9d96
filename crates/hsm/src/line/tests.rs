//! Attack J6: peers that do not read, read late, say nothing, or are gone.

use std::io::Read;
use std::time::Duration;

use claviger_hsm_proto::{Disclosed, Reply, frame};

use super::*;
use crate::pool::quota::{Limits, Total};

fn quota() -> Arc<Quota> {
    let limits = Limits { commands: usize::MAX, bytes: usize::MAX };
    Quota::new(limits, &Arc::new(Total::new(limits)))
}

fn lines() -> (Arc<Line>, UnixStream) {
    let (own, peer) = UnixStream::pair().unwrap();
    (Line::new(own, quota()), peer)
}

fn reply(id: u64, len: usize) -> Vec<u8> {
    let (mut out, bytes) = (Vec::new(), vec![7; len]);
    frame::write(&mut out, id, &Reply::Random { bytes: Disclosed(&bytes) }).unwrap();
    out
}

const NOTHING_BEHIND: Held = Held { now: Duration::ZERO, behind: Duration::ZERO, next: Duration::ZERO };

fn give(line: &Arc<Line>, id: u64, len: usize) {
    line.give(&reply(id, len), line.quota().charge(0).unwrap(), || NOTHING_BEHIND);
}

/// Gives a reply at this time, with so much work behind it of which the first takes so long, all in milliseconds.
fn give_at(line: &Arc<Line>, id: u64, len: usize, (now, behind, next): (u64, u64, u64)) {
    let [now, behind, next] = [now, behind, next].map(Duration::from_millis);
    line.give(&reply(id, len), line.quota().charge(0).unwrap(), || Held { now, behind, next });
}

/// The ids of all frames up to the end of the stream, which must be whole.
fn ids(mut peer: UnixStream) -> Vec<u64> {
    let (mut input, mut ids, mut at) = (Vec::new(), Vec::new(), 0);
    peer.read_to_end(&mut input).unwrap();
    while let Some(found) = frame::next(&input[at..]).unwrap() {
        assert!(matches!(frame::read(found.body), Ok(Reply::Random { .. })));
        ids.push(found.id);
        at += found.len;
    }
    assert_eq!(at, input.len());
    ids
}

#[test]
fn frames_of_many_threads_stay_whole() {
    const EACH: u64 = 400;
    let (line, peer) = lines();
    let read = std::thread::spawn(|| ids(peer));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let line = &line;
            scope.spawn(move || (0..EACH).for_each(|number| give(line, thread << 32 | number, 3000)));
        }
        // The thread of the connection, with batches of two.
        for number in (0..EACH).step_by(2) {
            let batch = [reply(9 << 32 | number, 100), reply(9 << 32 | (number + 1), 50_000)].concat();
            line.send(&batch).unwrap();
        }
    });
    assert!(line.quota().wait_until_empty(Duration::MAX));
    line.end();
    let ids = read.join().unwrap();
    for thread in [0, 1, 2, 3, 9] {
        let own = ids.iter().filter(|id| *id >> 32 == thread).map(|id| id & 0xffff_ffff);
        assert!(own.eq(0..EACH), "in order");
    }
}

/// More than a socket holds: whoever gives replies does not wait, and nothing is lost.
#[test]
fn workers_do_not_wait_for_a_peer_that_reads_late() {
    let (line, peer) = lines();
    (0..1000).for_each(|id| give(&line, id, 8000));
    assert!(!line.quota().wait_until_empty(Duration::ZERO));
    let read = std::thread::spawn(|| ids(peer));
    line.send(&reply(1000, 10)).unwrap();
    assert!(line.quota().wait_until_empty(Duration::MAX));
    line.end();
    assert!(read.join().unwrap().into_iter().eq(0..=1000));
}

/// What a line that cannot be written to is like: all is given back, nobody waits, and the peer sees the end.
fn check_ended(line: &Arc<Line>, kinds: &[io::ErrorKind]) {
    assert!(line.quota().wait_until_empty(Duration::MAX));
    let kind = line.send(&reply(1, 1)).unwrap_err().kind();
    assert!(kinds.contains(&kind) && line.failure() == Some(kind), "{kind:?}");
    give(line, 1, 1);
    assert!(line.quota().wait_until_empty(Duration::ZERO));
    assert_eq!(line.stream().read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_peer_that_does_not_read_loses_its_connection() {
    let (line, _peer) = lines();
    line.stream().set_write_timeout(Some(Duration::from_millis(1))).unwrap();
    for id in 0..1000 {
        line.give(&reply(id, 8000), line.quota().try_charge(0).unwrap(), || NOTHING_BEHIND);
    }
    check_ended(&line, &[io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut]);
}

#[test]
fn a_peer_that_is_gone_is_noticed() {
    let (line, peer) = lines();
    assert!(!line.is_hung_up());
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(!line.is_hung_up(), "it may still read");
    drop(peer);
    assert!(line.is_hung_up());
    give(&line, 1, 1);
    check_ended(&line, &[io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset]);
    let (line, peer) = lines();
    line.end_reading();
    assert!(!line.is_hung_up(), "what was read can still be answered");
    line.send(&reply(3, 1)).unwrap();
    line.end();
    assert_eq!(ids(peer), [3]);
    check_ended(&line, &[io::ErrorKind::ConnectionAborted]);
}

#[test]
fn a_peer_that_says_nothing_is_not_waited_for_any_longer() {
    let (line, _peer) = lines();
    let read = line.read(&mut [0; 8], Some(Duration::from_millis(1)));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn what_comes_late_is_read_and_so_is_the_end() {
    let (line, mut peer) = lines();
    let reader = std::thread::spawn(move || {
        let mut room = [0; 8];
        std::iter::from_fn(|| {
            let read = line.read(&mut room, None).unwrap();
            (read > 0).then(|| room[..read].to_vec())
        })
        .flatten()
        .collect::<Vec<u8>>()
    });
    // One after the other, so that most of them find the reader waiting.
    for byte in 0..100 {
        peer.write_all(&[byte]).unwrap();
        std::thread::yield_now();
    }
    drop(peer);
    assert_eq!(reader.join().unwrap(), (0..100).collect::<Vec<u8>>());
}

/// Replies given like this (see [`give_at`]), and which of them make all up to then leave.
fn check_gathered(replies: &[((u64, u64, u64), bool)]) {
    let (line, peer) = lines();
    peer.set_nonblocking(true).unwrap();
    let mut gathered = Vec::new();
    for (id, (given, leaves)) in (0..).zip(replies) {
        give_at(&line, id, 100, *given);
        gathered.push(id);
        let mut arrived = vec![0; 64 * 1024];
        let read = (&peer).read(&mut arrived).unwrap_or_default();
        let mut rest = &arrived[..read];
        let mut found = Vec::new();
        while let Some(frame) = frame::next(rest).unwrap() {
            found.push(frame.id);
            rest = &rest[frame.len..];
        }
        let expected = if *leaves { std::mem::take(&mut gathered) } else { Vec::new() };
        assert_eq!((found, rest), (expected, &[][..]), "reply {id} of {replies:?}");
        assert_eq!(line.quota().wait_until_empty(Duration::ZERO), gathered.is_empty());
    }
}

#[test]
fn replies_gather_while_much_is_behind_them() {
    // Without anything behind them none waits, nor for the sake of little.
    check_gathered(&[((0, 0, 0), true), ((1, 0, 0), true)]);
    check_gathered(&[((0, 4, 1), true), ((0, 4, 2), true), ((0, 5, 1), false), ((0, 5, 2), true)]);
    // The last one takes them along.
    check_gathered(&[((0, 80, 1), false), ((1, 80, 1), false), ((2, 0, 0), true), ((3, 0, 0), true)]);
    // The first of them waits no longer than for a quarter of what is behind, the next included; then it begins anew.
    check_gathered(&[((0, 80, 1), false), ((18, 80, 1), false), ((19, 80, 1), true), ((20, 80, 1), false)]);
    check_gathered(&[((0, 80, 1), false), ((9, 40, 1), true)]);
    // So many and no more, however much is behind.
    let many = |at: usize| ((0, 1_000_000, 1), at % MAX_GATHERED == MAX_GATHERED - 1);
    check_gathered(&(0..3 * MAX_GATHERED).map(many).collect::<Vec<_>>());
}

/// The thread of the connection has something to say, or no reply comes any more, or the connection ends.
#[test]
fn what_has_gathered_goes_with_whatever_leaves_first_or_is_given_back() {
    let (line, peer) = lines();
    give_at(&line, 1, 100, (0, 80, 1));
    line.send(&[]).unwrap();
    assert!(!line.quota().wait_until_empty(Duration::ZERO), "nothing was to be sent");
    line.send(&reply(2, 1)).unwrap();
    assert!(line.quota().wait_until_empty(Duration::ZERO));
    give_at(&line, 3, 100, (0, 80, 1));
    line.let_go();
    line.let_go();
    assert!(line.quota().wait_until_empty(Duration::ZERO));
    // More than the socket takes at once: a thread of its own sees to the rest, in order.
    (4..19).for_each(|id| give_at(&line, id, 50_000, (0, 1_000_000, 1)));
    let read = std::thread::spawn(|| ids(peer));
    give(&line, 19, 50_000);
    assert!(line.quota().wait_until_empty(Duration::MAX));
    line.end();
    assert!(read.join().unwrap().into_iter().eq(1..=19));

    let (line, _peer) = lines();
    give_at(&line, 1, 100, (0, 80, 1));
    assert!(!line.quota().wait_until_empty(Duration::ZERO));
    line.end();
    check_ended(&line, &[io::ErrorKind::ConnectionAborted]);
}

/// Workers whose replies gather, and the thread of the connection between them.
#[test]
fn nothing_that_gathers_is_left_behind() {
    const EACH: u64 = 1000;
    let (line, peer) = lines();
    let read = std::thread::spawn(|| ids(peer));
    let left = std::sync::atomic::AtomicU64::new(4 * EACH);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (line, left) = (&line, &left);
            scope.spawn(move || {
                for number in 0..EACH {
                    // Counted as the pool counts: a reply that is begun is behind nobody.
                    let charge = line.quota().charge(0).unwrap();
                    left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    let behind = || left.load(std::sync::atomic::Ordering::SeqCst);
                    line.give(&reply(thread << 32 | number, 500), charge, || Held {
                        behind: Duration::from_millis(behind()),
                        ..NOTHING_BEHIND
                    });
                }
            });
        }
        (0..EACH).for_each(|number| line.send(&reply(9 << 32 | number, 100)).unwrap());
    });
    assert!(line.quota().wait_until_empty(Duration::MAX));
    line.end();
    assert_eq!(read.join().unwrap().len(), usize::try_from(5 * EACH).unwrap());
}
