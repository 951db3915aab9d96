//! Appending, waiting, reading back; rotation, room and retention.

use std::sync::Arc;

use claviger_server::ledger::{
    Closed, Durability, Ledger, LedgerError, MAX_PAYLOAD_LEN, Options, RemoveError, verify,
};

use super::*;

#[test]
fn what_was_appended_is_read_back() {
    let (_home, dir) = place();
    let payloads = [vec![], vec![0], vec![0xC1; 100], payload(4), vec![7; MAX_PAYLOAD_LEN]];
    let (ledger, opened) = open(&dir);
    assert_eq!((opened.first_sequence, opened.next_sequence, opened.torn), (1, 1, None));
    append_all(&ledger, payloads.iter().map(Vec::as_slice));
    assert_eq!(ledger.durable_sequence(), 5);
    drop(ledger);
    let found: Vec<_> = records(&dir).into_iter().map(|record| record.payload).collect();
    assert_eq!(found, payloads);
    let verified = verify(&dir).unwrap();
    let numbers = (verified.first, verified.last, verified.records, verified.segments);
    assert_eq!(numbers, (1, 5, 5, 1));
    assert_eq!((verified.id, verified.unfinished_bytes), (ID, 0));
}

#[test]
fn a_ledger_goes_on_where_it_was_closed() {
    let (_home, dir) = place();
    for cycle in 0..5 {
        let (ledger, opened) = open(&dir);
        assert_eq!((opened.next_sequence, opened.torn), (3 * cycle + 1, None));
        let payloads: Vec<_> = (3 * cycle + 1..=3 * cycle + 3).map(payload).collect();
        append_all(&ledger, payloads.iter().map(Vec::as_slice));
    }
    assert_eq!(records(&dir), expected(15));
}

#[test]
fn an_empty_ledger_reopens_and_verifies() {
    let (_home, dir) = place();
    for _ in 0..2 {
        let (ledger, opened) = open(&dir);
        assert_eq!(opened.next_sequence, 1);
        drop(ledger);
        let verified = verify(&dir).unwrap();
        assert_eq!((verified.first, verified.last, verified.records), (1, 0, 0));
    }
}

/// Appends from many tasks of two runtimes. Sequence numbers must be distinct and without gaps, the records of one task
/// in its order, and nothing lost.
fn check_concurrent(delivery: bool, durability: Durability) {
    const TASKS: u64 = 32;
    const EACH: u64 = 60;
    let (_home, dir) = place();
    let (ledger, _) = Ledger::open(&dir, Options { durability, ..options() }).unwrap();
    let ledger = Arc::new(ledger);
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let (lane, task) = ledger.lane();
            std::thread::spawn(move || {
                let local = tokio::task::LocalSet::new();
                if delivery {
                    local.spawn_local(task);
                }
                let tasks: Vec<_> = (0..TASKS)
                    .map(|task| {
                        let lane = lane.clone();
                        local.spawn_local(async move {
                            let mut acknowledged = Vec::new();
                            for turn in 0..EACH {
                                let payload = format!("{thread} {task} {turn}").into_bytes();
                                acknowledged.push((append(&lane, &payload).await.unwrap(), payload));
                            }
                            acknowledged
                        })
                    })
                    .collect();
                block_on(local.run_until(async {
                    let mut all = Vec::new();
                    for task in tasks {
                        let acknowledged = task.await.unwrap();
                        assert!(acknowledged.is_sorted());
                        all.extend(acknowledged);
                    }
                    all
                }))
            })
        })
        .collect();
    let mut all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort();
    let found: Vec<_> = records(&dir).into_iter().map(|record| (record.sequence, record.payload)).collect();
    assert_eq!(found, all);
    assert!(found.iter().map(|(sequence, _)| *sequence).eq(1..=2 * TASKS * EACH));
}

#[test]
fn many_tasks_of_two_runtimes_append() {
    check_concurrent(true, Durability::Fsync);
}

#[test]
fn a_lane_without_its_delivery_task_still_delivers() {
    check_concurrent(false, Durability::Fsync);
}

#[test]
fn many_tasks_append_without_sync() {
    check_concurrent(true, Durability::NoFsyncForBenchmarkOnly);
}

/// One task that waits for each record: the writer is done, or not, at any point of its registration.
#[test]
fn no_wake_is_lost() {
    for delivers in [true, false] {
        let (_home, dir) = place();
        let durability = Durability::NoFsyncForBenchmarkOnly;
        let (ledger, _) = Ledger::open(&dir, Options { durability, ..options() }).unwrap();
        let (lane, delivery) = ledger.lane();
        block_on(async {
            if delivers {
                tokio::spawn(delivery);
            }
            for sequence in 1..=20_000 {
                assert_eq!(append(&lane, b"x").await, Ok(sequence));
            }
        });
    }
}

#[test]
fn nothing_is_acknowledged_before_its_sync() {
    let (_home, dir) = place();
    let gate = Gate::default();
    let (ledger, _) = Ledger::open(&dir, on(gate.clone())).unwrap();
    gate.set(true);
    let (lane, _) = ledger.lane();
    block_on(async {
        let append = append(&lane, b"one");
        tokio::pin!(append);
        let first = tokio::select! { biased; done = &mut append => Some(done), () = async {} => None };
        assert_eq!(first, None);
        gate.wait_for_a_sync();
        assert_eq!(ledger.durable_sequence(), 0);
        assert_eq!(ledger.records_since(0).unwrap().count(), 0);
        gate.set(false);
        assert_eq!(append.await, Ok(1));
        assert_eq!(ledger.records_since(0).unwrap().count(), 1);
    });
}

#[test]
fn a_dropped_wait_takes_nothing_back() {
    let (_home, dir) = place();
    let (ledger, _) = open(&dir);
    let (lane, _) = ledger.lane();
    drop(lane.append(lane.try_reserve(4).unwrap(), b"kept"));
    drop(ledger);
    assert_eq!(records(&dir)[0].payload, b"kept");
    assert_eq!(lane.try_reserve(4).unwrap_err(), LedgerError::Closed);
}

#[test]
fn a_closed_ledger_takes_nothing() {
    let (_home, dir) = place();
    let (ledger, _) = open(&dir);
    let (lane, delivery) = ledger.lane();
    let reservation = lane.try_reserve(4).unwrap();
    drop(ledger);
    block_on(async {
        assert_eq!(lane.append(reservation, b"late").await, Err(LedgerError::Closed));
        assert_eq!(lane.reserve(4).await.unwrap_err(), LedgerError::Closed);
        delivery.await;
    });
    assert_eq!(records(&dir), []);
}

#[test]
fn who_waits_for_room_is_told_that_the_ledger_closes() {
    let (_home, dir) = place();
    let gate = Gate(Arc::default(), "ledger-prepare");
    gate.set(true);
    let (ledger, _) = Ledger::open(&dir, on(gate.clone())).unwrap();
    let (lane, _) = ledger.lane();
    gate.wait_for_a_sync();
    let held: Vec<_> = std::iter::from_fn(|| lane.try_reserve(MAX_PAYLOAD_LEN).ok()).collect();
    assert_eq!(held.len(), 3);
    let closing = block_on(async {
        let reserve = lane.reserve(MAX_PAYLOAD_LEN);
        tokio::pin!(reserve);
        let first = tokio::select! { biased; done = &mut reserve => Some(done), () = async {} => None };
        assert!(first.is_none(), "the next segment is still being prepared");
        let closing = std::thread::spawn(move || drop(ledger));
        assert_eq!(reserve.await.unwrap_err(), LedgerError::Closed);
        closing
    });
    gate.set(false);
    closing.join().unwrap();
}

#[test]
fn segments_follow_one_another() {
    let (_home, dir) = place();
    let big = vec![b'x'; 100_000];
    for cycle in 0..3 {
        let (ledger, opened) = open(&dir);
        assert_eq!(opened.next_sequence, 20 * cycle + 1);
        append_all(&ledger, (0..20).map(|_| big.as_slice()));
        let verified = verify(&dir).unwrap();
        assert_eq!((verified.records, verified.unfinished_bytes), (20 * (cycle + 1), 0));
        assert_eq!(verified.segments, *ledger.current_segment().borrow());
        for from in [0, 1, 10, 11, 20 * (cycle + 1)] {
            let first = read(&dir, from).unwrap().next().unwrap().unwrap();
            assert_eq!(first.sequence, from.max(1));
        }
        assert!(read(&dir, 20 * (cycle + 1) + 1).unwrap().next().is_none());
    }
    assert_eq!(verify(&dir).unwrap().segments, 6);
}

/// Reads a ledger from outside, over and over, while it is written and rotates.
#[test]
fn a_live_ledger_verifies_at_any_moment() {
    let (_home, dir) = place();
    let (ledger, _) = open(&dir);
    let (lane, _) = ledger.lane();
    let writer = std::thread::spawn(move || {
        block_on(async {
            for turn in 0..600_u64 {
                append(&lane, &vec![b'y'; (turn * 37 % 20_000) as usize]).await.unwrap();
            }
        });
    });
    let mut last = 0;
    while !writer.is_finished() {
        let verified = verify(&dir).unwrap();
        assert!(verified.first == 1 && verified.last >= last);
        last = verified.last;
        let since = ledger.durable_sequence().saturating_sub(3);
        let seen = ledger.records_since(since).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(seen.iter().map(|record| record.sequence).eq((since + 1..).take(seen.len())));
    }
    writer.join().unwrap();
    assert_eq!(verify(&dir).unwrap().records, 600);
}

/// Waits until a spare segment stands ready.
fn with_spare(ledger: &Ledger) {
    block_on(async { drop(ledger.preparation().wait_for(|p| p.attempts > 0).await.unwrap()) });
}

#[test]
fn room_is_counted_and_given_back() {
    let (_home, dir) = place();
    let (ledger, _) = open(&dir);
    with_spare(&ledger);
    let (lane, _) = ledger.lane();
    let frame = HEAD + 1000;
    let longest = HEAD + MAX_PAYLOAD_LEN;
    let segment = MIB as usize - HEADER;
    let first: Vec<_> =
        (0..(2 * segment - longest) / frame).map(|_| lane.try_reserve(1000).unwrap()).collect();
    assert_eq!(lane.try_reserve(1000).unwrap_err(), LedgerError::Full);
    // A refusal has asked for another segment, and whoever waits gets its room; so up to eight that are not used yet.
    let more = || std::iter::from_fn(|| block_on(lane.reserve(1000)).ok()).collect::<Vec<_>>();
    let room = 9 * segment - 8 * longest;
    assert_eq!(first.len() + more().len(), room / frame);
    drop(first);
    for _ in 0..2 {
        let mut held = more();
        assert_eq!(held.len(), room / frame);
        assert_eq!(lane.try_reserve(1000).unwrap_err(), LedgerError::Full);
        assert_eq!(block_on(lane.reserve(1000)).unwrap_err(), LedgerError::Full);
        // What a reservation turns out not to need is there for others.
        held.iter_mut().for_each(|reservation| reservation.shrink(500));
        let left = room - room / frame * (HEAD + 500);
        assert_eq!(more().len(), left / frame);
        held.iter_mut().for_each(|reservation| reservation.shrink(5000));
    }
    let mut small = lane.try_reserve(5000).unwrap();
    small.shrink(4);
    assert_eq!(block_on(lane.append(small, b"small")), Err(LedgerError::TooLarge));
    let left = room - (HEAD + 5);
    drop(lane.append(lane.try_reserve(5000).unwrap(), b"small"));
    assert_eq!(more().len(), left / frame);
    drop(ledger);
    assert_eq!(verify(&dir).unwrap().last, 1);
    let (ledger, _) = open(&dir);
    let (lane, _) = ledger.lane();
    let kept: Vec<_> = std::iter::from_fn(|| lane.try_reserve(1000).ok()).collect();
    assert_eq!(kept.len(), left / frame, "they are kept");
}

/// Whatever is reserved can be written, in any order and with any sizes, even when segments are left half full.
#[test]
fn every_reservation_fits() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let (_home, dir) = place();
        let (ledger, _) = open(&dir);
        let (lane, _) = ledger.lane();
        with_spare(&ledger);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            let mut held = Vec::new();
            loop {
                let size =
                    if dice.roll(2) == 0 { dice.roll(2000) } else { dice.roll(MAX_PAYLOAD_LEN as u64 + 1) };
                match lane.try_reserve(size as usize) {
                    Ok(reservation) => held.push((reservation, size as usize)),
                    Err(error) => break assert_eq!(error, LedgerError::Full),
                }
            }
            block_on(async {
                let mut waiting = Vec::new();
                while !held.is_empty() {
                    let (reservation, size) = held.swap_remove(dice.roll(held.len() as u64) as usize);
                    sizes.push(size);
                    waiting.push(lane.append(reservation, &vec![1; size]));
                }
                for append in waiting {
                    append.await.unwrap();
                }
            });
        }
        let found: Vec<_> = records(&dir).iter().map(|record| record.payload.len()).collect();
        assert_eq!(found, sizes, "seed {seed}");
    }
}

#[test]
fn more_than_was_reserved_is_refused_and_not_written() {
    let (_home, dir) = place();
    let (_other_home, other_dir) = place();
    let (ledger, _) = open(&dir);
    let (other, _) = open(&other_dir);
    let (lane, _) = ledger.lane();
    let (other, _) = other.lane();
    assert_eq!(lane.try_reserve(MAX_PAYLOAD_LEN + 1).unwrap_err(), LedgerError::TooLarge);
    block_on(async {
        for (reservation, payload) in [
            (lane.try_reserve(3).unwrap(), vec![0; 4]),
            (lane.try_reserve(MAX_PAYLOAD_LEN).unwrap(), vec![0; MAX_PAYLOAD_LEN + 1]),
            (other.try_reserve(3).unwrap(), vec![0; 3]),
        ] {
            assert_eq!(lane.append(reservation, &payload).await, Err(LedgerError::TooLarge));
        }
        assert_eq!(append(&lane, b"next").await, Ok(1));
    });
    assert_eq!(records(&dir).len(), 1);
}

#[test]
fn old_segments_expire_and_what_remains_verifies() {
    let (_home, dir) = place();
    let (ledger, _) = Ledger::open(&dir, Options { keep_bytes: 3 * MIB, ..options() }).unwrap();
    let big = vec![b'x'; 250_000];
    append_all(&ledger, (0..20).map(|_| big.as_slice()));
    let expired = ledger.expired();
    let closed = |segment| {
        let first_sequence = 4 * segment - 3;
        Closed { segment, first_sequence, last_sequence: first_sequence + 3, bytes: MIB }
    };
    assert_eq!(expired, [closed(1), closed(2)]);
    assert!(matches!(ledger.remove(closed(2)), Err(RemoveError::NotExpired)));
    for segment in expired {
        ledger.remove(segment).unwrap();
        assert!(matches!(ledger.remove(segment), Err(RemoveError::NotExpired)));
    }
    assert_eq!(ledger.expired(), []);
    let check = || {
        let verified = verify(&dir).unwrap();
        assert_eq!((verified.first, verified.last, verified.segments), (9, 20, 3));
        assert_eq!(read(&dir, 0).unwrap().next().unwrap().unwrap().sequence, 9);
    };
    check();
    drop(ledger);
    // The current segment and the one before stay, however little is to be kept.
    let (ledger, opened) = Ledger::open(&dir, Options { keep_bytes: 1, ..options() }).unwrap();
    assert_eq!((opened.first_sequence, opened.next_sequence), (9, 21));
    check();
    assert_eq!(ledger.expired(), [closed(3)]);
    drop(ledger);
    assert_eq!(open(&dir).0.expired(), []);
}
