//! What a crash may leave of the last batch is taken away, whatever it looks like, and nothing else is.

use claviger_server::ledger::{Torn, verify};

use super::*;

const SINGLES: u64 = 3;
const TOGETHER: u64 = 3;
const LAST: u64 = SINGLES + TOGETHER;

/// A ledger's current segment, and where each record begins in it.
struct Sample {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Sample {
    fn new() -> Self {
        let (_home, dir) = place();
        with_last_batch(&dir, SINGLES, TOGETHER);
        let mut starts = vec![HEADER];
        for record in records(&dir) {
            starts.push(starts.last().unwrap() + HEAD + record.payload.len());
        }
        Self { bytes: std::fs::read(segment(&dir, 1)).unwrap(), starts }
    }

    /// From the start of the last batch to its end.
    fn last_batch(&self) -> std::ops::Range<usize> {
        self.starts[SINGLES as usize]..self.starts[LAST as usize]
    }

    /// The record that holds byte `at`.
    fn record_at(&self, at: usize) -> u64 {
        self.starts.iter().filter(|start| **start <= at).count() as u64
    }
}

/// Opens a ledger whose segment is `bytes`: records up to `kept` must be there, and it must go on from them.
fn check_recovers(bytes: &[u8], kept: u64, torn: bool, case: &str) {
    let (_home, dir) = place();
    drop(open(&dir));
    std::fs::write(segment(&dir, 1), bytes).unwrap();
    let before = verify(&dir).unwrap();
    assert_eq!((before.last, before.unfinished_bytes > 0), (kept, torn), "{case}");
    let (ledger, opened) = open(&dir);
    let found = opened.torn.map(|torn| (torn.sequence, torn.bytes));
    assert_eq!(found, torn.then_some((kept + 1, before.unfinished_bytes)), "{case}");
    assert_eq!(opened.next_sequence, kept + 1, "{case}");
    append_all(&ledger, (kept + 1..=LAST + 2).map(payload).collect::<Vec<_>>().iter().map(Vec::as_slice));
    drop(ledger);
    assert_eq!(records(&dir), expected(LAST + 2), "{case}");
    assert_eq!(verify(&dir).unwrap().unfinished_bytes, 0);
    assert_eq!(open(&dir).1.torn, None);
}

#[test]
fn the_last_batch_cut_at_every_byte() {
    let sample = Sample::new();
    for at in sample.last_batch() {
        let mut bytes = sample.bytes.clone();
        bytes[at..].fill(0);
        let kept = sample.record_at(at) - 1;
        // Where the cut falls on a record's end, or its rest was zeros anyway, nothing is left over.
        let start = sample.starts[kept as usize];
        let torn = bytes[start..].iter().any(|byte| *byte != 0);
        if bytes != sample.bytes {
            check_recovers(&bytes, kept, torn, &format!("cut at {at}"));
        }
    }
}

#[test]
fn the_last_batch_garbled_at_every_byte() {
    let sample = Sample::new();
    for at in sample.last_batch() {
        let mut bytes = sample.bytes.clone();
        bytes[at] ^= 0x80;
        check_recovers(&bytes, sample.record_at(at) - 1, true, &format!("garbled at {at}"));
    }
}

#[test]
fn the_front_of_the_last_batch_lost_and_its_end_kept() {
    let sample = Sample::new();
    let batch = sample.last_batch();
    for end in batch.clone().step_by(7).skip(1) {
        let mut bytes = sample.bytes.clone();
        bytes[batch.start..end].fill(0);
        check_recovers(&bytes, SINGLES, true, &format!("lost up to {end}"));
    }
}

#[test]
fn garbage_far_behind_the_last_record() {
    let sample = Sample::new();
    let mut bytes = sample.bytes.clone();
    *bytes.last_mut().unwrap() = 1;
    check_recovers(&bytes, LAST, true, "last byte of the file");
}

/// The rotation was cut off: the next segment's header is half there, and no record.
#[test]
fn a_torn_header_of_the_next_segment() {
    for (from, to) in [(0, 1), (0, 100), (100, HEADER), (HEADER - 1, HEADER)] {
        let (_home, dir) = place();
        let (ledger, _) = open(&dir);
        append_all(&ledger, [payload(1).as_slice()]);
        block_on(async { drop(ledger.preparation().wait_for(|p| p.attempts > 0).await.unwrap()) });
        drop(ledger);
        let path = segment(&dir, 2);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[from..to].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(verify(&dir).unwrap().last, 1);
        let (ledger, opened) = open(&dir);
        assert_eq!((opened.next_sequence, opened.torn), (2, None));
        let big = vec![0; 200_000];
        append_all(&ledger, (0..12).map(|_| big.as_slice()));
        drop(ledger);
        assert_eq!(verify(&dir).unwrap().records, 13);
    }
}

#[test]
fn what_is_torn_is_reported() {
    let sample = Sample::new();
    let (_home, dir) = place();
    drop(open(&dir));
    let mut bytes = sample.bytes.clone();
    let cut = sample.starts[LAST as usize] - 1;
    bytes[cut..].fill(0);
    std::fs::write(segment(&dir, 1), bytes).unwrap();
    let start = sample.starts[LAST as usize - 1];
    assert_eq!(open(&dir).1.torn, Some(Torn { sequence: LAST, bytes: (cut - start) as u64 }));
}
