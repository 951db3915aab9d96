//! Whatever was done to acknowledged records, the first bad one is named, and nothing on disk is changed.

use claviger_server::ledger::{FirstBad, Ledger, OpenError, Options, Why, verify};

use super::*;

/// A ledger at rest, with its files in memory.
struct Sample {
    _home: TempDir,
    dir: PathBuf,
    files: Vec<Vec<u8>>,
}

impl Sample {
    /// Small records, each a batch of its own, in one segment.
    fn small(count: u64) -> Self {
        let (home, dir) = place();
        let (ledger, _) = open(&dir);
        append_all(&ledger, (1..=count).map(payload).collect::<Vec<_>>().iter().map(Vec::as_slice));
        block_on(async { drop(ledger.preparation().wait_for(|p| p.attempts > 0).await.unwrap()) });
        Self::at_rest(home, dir, ledger)
    }

    /// Four segments of four records, and a spare.
    fn segments(id: u8) -> Self {
        let (home, dir) = place();
        let (ledger, _) = Ledger::open(&dir, Options { id: [id; 16], ..options() }).unwrap();
        let big = vec![id; 250_000];
        append_all(&ledger, (0..16).map(|_| big.as_slice()));
        block_on(async { drop(ledger.preparation().wait_for(|p| p.attempts > 3).await.unwrap()) });
        Self::at_rest(home, dir, ledger)
    }

    fn at_rest(home: TempDir, dir: PathBuf, ledger: Ledger) -> Self {
        drop(ledger);
        let files = (1..).map_while(|number| std::fs::read(segment(&dir, number)).ok()).collect();
        Self { _home: home, dir, files }
    }

    /// Where records 1, 2, ... of the first segment begin, and where the last one ends.
    fn starts(&self) -> Vec<usize> {
        let mut starts = vec![HEADER];
        while let Some(length) = frame_len(&self.files[0][*starts.last().unwrap()..]) {
            starts.push(starts.last().unwrap() + length);
        }
        starts
    }

    fn write(&self, number: u64, bytes: &[u8]) {
        std::fs::write(segment(&self.dir, number), bytes).unwrap();
    }

    fn restore(&self) {
        for (number, bytes) in (1..).zip(&self.files) {
            self.write(number, bytes);
        }
    }

    fn id(&self) -> [u8; 16] {
        self.files[0][16..32].try_into().unwrap()
    }

    fn opened(&self) -> Result<(), OpenError> {
        Ledger::open(&self.dir, Options { id: self.id(), ..options() }).map(drop)
    }
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    (bytes[0] == 0xC1).then(|| HEAD + u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize)
}

#[test]
fn every_flipped_bit_of_a_record_is_found_in_that_record() {
    let sample = Sample::small(6);
    let starts = sample.starts();
    assert_eq!(starts.len(), 7);
    // The last record is the last batch: there, damage cannot be told from a torn write.
    for at in starts[0]..starts[5] {
        let record = starts.iter().filter(|start| **start <= at).count();
        for bit in 0..8 {
            let mut bytes = sample.files[0].clone();
            bytes[at] ^= 1 << bit;
            sample.write(1, &bytes);
            let bad = verify(&sample.dir).expect_err("a flipped bit went unseen");
            let place = (bad.sequence, bad.segment, bad.offset);
            assert_eq!(place, (record as u64, 1, starts[record - 1] as u64), "byte {at} bit {bit}");
            let read = read(&sample.dir, 0).unwrap().collect::<Vec<_>>();
            assert_eq!(read.len(), record);
            assert_eq!(read.last(), Some(&Err(bad)));
            if bit == at % 8 {
                assert!(matches!(sample.opened(), Err(OpenError::Damaged(found)) if found == bad));
                assert!(std::fs::read(segment(&sample.dir, 1)).unwrap() == bytes, "it was changed");
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_a_header_is_found() {
    let sample = Sample::small(2);
    for at in (0..200).chain((200..HEADER).step_by(97)) {
        let mut bytes = sample.files[0].clone();
        bytes[at] ^= 4;
        sample.write(1, &bytes);
        let bad = verify(&sample.dir).expect_err("a flipped bit went unseen");
        assert_eq!((bad.sequence, bad.segment, bad.why), (1, 1, Why::Header), "byte {at}");
        assert!(matches!(sample.opened(), Err(OpenError::Damaged(_))));
    }
}

/// A way to tamper with the eight records of a segment, given as their frames, and what must be found.
struct Tampered {
    name: &'static str,
    by: fn(&[&[u8]]) -> Vec<u8>,
    sequence: u64,
    why: Why,
}

/// A frame with the chain value that a forger computes for it, who knows everything but cannot change what follows.
fn chained(frames: &[&[u8]], at: usize, payload: &[u8]) -> Vec<u8> {
    let before = &frames[at - 1][24..HEAD];
    let fields = &frames[at][..24];
    let linked = [b"claviger ledger record v1\0", before, fields, payload].concat();
    let chain = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &linked);
    [fields, chain.as_ref(), payload].concat()
}

/// The frames with number `at` (from 0) replaced by what `edit` makes of it.
fn edited(frames: &[&[u8]], at: usize, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = frames[at].to_vec();
    edit(&mut frame);
    [frames[..at].concat(), frame, frames[at + 1..].concat()].concat()
}

/// A frame that claims to be record `sequence`, alone in its batch.
fn renumbered(frame: &[u8], sequence: u64) -> Vec<u8> {
    let number = sequence.to_le_bytes();
    [&frame[..8], &number, &number, &frame[24..]].concat()
}

const TAMPERED: &[Tampered] = &[
    Tampered {
        name: "edited",
        by: |frames| edited(frames, 2, |frame| *frame.last_mut().unwrap() = b'!'),
        sequence: 3,
        why: Why::Chain,
    },
    Tampered {
        name: "deleted",
        by: |frames| [&frames[..2], &frames[3..]].concat().concat(),
        sequence: 3,
        why: Why::Sequence { found: 4 },
    },
    Tampered {
        name: "first one deleted",
        by: |frames| frames[1..].concat(),
        sequence: 1,
        why: Why::Sequence { found: 2 },
    },
    Tampered {
        name: "duplicated",
        by: |frames| [&frames[..3], &frames[2..]].concat().concat(),
        sequence: 4,
        why: Why::Sequence { found: 3 },
    },
    Tampered {
        name: "reordered",
        by: |frames| [&frames[..2], &[frames[3], frames[2]], &frames[4..]].concat().concat(),
        sequence: 3,
        why: Why::Sequence { found: 4 },
    },
    Tampered {
        name: "inserted",
        by: |frames| [frames[..3].concat(), renumbered(frames[2], 4), frames[3..].concat()].concat(),
        sequence: 4,
        why: Why::Chain,
    },
    Tampered {
        name: "replaced by another",
        by: |frames| edited(frames, 3, |frame| *frame = renumbered(frames[4], 4)),
        sequence: 4,
        why: Why::Chain,
    },
    Tampered {
        name: "forged with its chain value",
        by: |frames| {
            let payload = frames[3][HEAD..].to_ascii_uppercase();
            edited(frames, 3, |frame| *frame = chained(frames, 3, &payload))
        },
        sequence: 5,
        why: Why::Chain,
    },
    Tampered {
        name: "moved into the batch before",
        by: |frames| edited(frames, 3, |frame| frame[16..24].copy_from_slice(&3_u64.to_le_bytes())),
        sequence: 4,
        why: Why::Chain,
    },
    Tampered {
        name: "moved into a batch long done",
        by: |frames| edited(frames, 3, |frame| frame[16..24].copy_from_slice(&2_u64.to_le_bytes())),
        sequence: 4,
        why: Why::Batch,
    },
    Tampered {
        name: "shifted by a gap",
        by: |frames| [frames[..4].concat(), vec![0; 9], frames[4..].concat()].concat(),
        sequence: 5,
        why: Why::NotAFrame,
    },
    Tampered {
        name: "given a wild length",
        by: |frames| edited(frames, 1, |frame| frame[4..8].fill(0xFF)),
        sequence: 2,
        why: Why::Length,
    },
];

#[test]
fn tampering_with_records_is_found() {
    let sample = Sample::small(8);
    let starts = sample.starts();
    let frames: Vec<_> = starts.windows(2).map(|pair| &sample.files[0][pair[0]..pair[1]]).collect();
    for Tampered { name, by, sequence, why } in TAMPERED {
        let mut bytes = [sample.files[0][..HEADER].to_vec(), by(&frames)].concat();
        bytes.resize(MIB as usize, 0);
        sample.write(1, &bytes);
        let bad = verify(&sample.dir).expect_err(name);
        assert_eq!((bad.sequence, bad.segment, bad.why), (*sequence, 1, *why), "{name}");
        assert!(matches!(sample.opened(), Err(OpenError::Damaged(found)) if found == bad), "{name}");
        sample.restore();
        assert_eq!(verify(&sample.dir).unwrap().records, 8);
    }
}

/// Tampers with whole segments. `opens` tells whether opening the ledger, which reads only the last one whole, sees it.
fn check_segments(name: &str, tamper: impl Fn(&Sample), expected: (u64, u64, Why), opens: bool) {
    let sample = Sample::segments(1);
    assert_eq!(sample.files.len(), 5);
    assert_eq!(verify(&sample.dir).unwrap().records, 16);
    tamper(&sample);
    let FirstBad { sequence, segment, why, .. } = verify(&sample.dir).expect_err(name);
    assert_eq!((sequence, segment, why), expected, "{name}");
    let opened = sample.opened();
    assert_eq!(opened.is_ok(), opens, "{name}: {opened:?}");
}

#[test]
fn tampering_with_segments_is_found() {
    let remove = |number| move |sample: &Sample| std::fs::remove_file(segment(&sample.dir, number)).unwrap();
    check_segments("middle segment missing", remove(2), (5, 2, Why::Missing), false);
    check_segments("third segment missing", remove(3), (9, 3, Why::Missing), false);
    check_segments(
        "two swapped",
        |sample| {
            sample.write(2, &sample.files[2]);
            sample.write(3, &sample.files[1]);
        },
        (5, 2, Why::Misplaced { found: 3 }),
        false,
    );
    check_segments("one repeated", |s| s.write(3, &s.files[1]), (9, 3, Why::Misplaced { found: 2 }), false);
    check_segments(
        "one of another ledger",
        |sample| sample.write(2, &Sample::segments(2).files[1]),
        (5, 2, Why::Foreign),
        false,
    );
    let twin = |sample: &Sample| {
        // The same id and the same sizes, but other records: only the chain can tell.
        let (_home, dir) = place();
        let (ledger, _) = Ledger::open(&dir, Options { id: sample.id(), ..options() }).unwrap();
        let big = vec![9; 250_000];
        append_all(&ledger, (0..16).map(|_| big.as_slice()));
        drop(ledger);
        sample.write(2, &std::fs::read(segment(&dir, 2)).unwrap());
    };
    check_segments("one of a twin", twin, (5, 1, Why::Link), false);
}

#[test]
fn tampering_inside_segments_is_found() {
    check_segments(
        "one cut short",
        |s| s.write(2, &s.files[1][..MIB as usize - 1]),
        (5, 2, Why::FileLength { found: MIB - 1 }),
        false,
    );
    check_segments("one emptied", |s| s.write(4, b""), (13, 4, Why::FileLength { found: 0 }), false);
    check_segments(
        "one made longer",
        |s| s.write(2, &[&s.files[1][..], &[0]].concat()),
        (5, 2, Why::FileLength { found: MIB + 1 }),
        false,
    );
    check_segments("one zeroed", |s| s.write(2, &[0; MIB as usize]), (5, 2, Why::Header), false);
    let zero_header = |sample: &Sample| {
        let mut bytes = sample.files[3].clone();
        bytes[..HEADER].fill(0);
        sample.write(4, &bytes);
    };
    check_segments("the last one's header zeroed", zero_header, (13, 4, Why::Header), false);
    let drop_last = |sample: &Sample| {
        let mut bytes = sample.files[1].clone();
        bytes[HEADER + 3 * (HEAD + 250_000)..].fill(0);
        sample.write(2, &bytes);
    };
    check_segments("last record of a closed one removed", drop_last, (8, 2, Why::Link), true);
    let trail = |sample: &Sample| {
        let mut bytes = sample.files[1].clone();
        *bytes.last_mut().unwrap() = 1;
        sample.write(2, &bytes);
    };
    check_segments("bytes behind a closed one", trail, (9, 2, Why::Trailing), true);
    let spare = |sample: &Sample| {
        let mut bytes = sample.files[4].clone();
        bytes[500_000] = 1;
        sample.write(5, &bytes);
    };
    check_segments("bytes in a spare one", spare, (17, 5, Why::Header), false);
}

/// The honest limits of a hash chain that is not anchored elsewhere.
#[test]
fn what_a_chain_alone_cannot_see() {
    let sample = Sample::small(6);
    let starts = sample.starts();
    let mut bytes = sample.files[0].clone();
    bytes[starts[4]..].fill(0);
    sample.write(1, &bytes);
    let before = verify(&sample.dir).unwrap();
    assert_eq!((before.records, before.unfinished_bytes), (4, 0));
}

/// No file makes the reader panic, and what it calls good is a prefix of what was written.
#[test]
fn no_file_panics_the_reader() {
    let sample = Sample::small(5);
    let end = sample.starts()[5] as u64;
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let mut bytes = sample.files[0].clone();
        for _ in 0..=dice.roll(5) {
            // Mostly where something is; sometimes behind a header that is whole again.
            let from = if dice.roll(3) == 0 { 0 } else { HEADER as u64 };
            let at = (from + dice.roll(end + 200 - from)) as usize;
            let length = 1 + dice.roll(40) as usize;
            bytes[at..at + length]
                .fill_with(|| [0, 1, 0xC1, 0xFF, dice.roll(256) as u8][dice.roll(5) as usize]);
        }
        if dice.roll(2) == 0 {
            bytes[..8].copy_from_slice(b"CLVLEDGR");
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes[..HEADER - 32]);
            bytes[HEADER - 32..HEADER].copy_from_slice(digest.as_ref());
        }
        if dice.roll(4) == 0 {
            bytes.truncate(dice.roll(MIB + 1) as usize);
        }
        sample.write(1, &bytes);
        let _ = verify(&sample.dir);
        if let Ok(records) = read(&sample.dir, 0) {
            let good: Vec<_> = records.map_while(Result::ok).collect();
            assert_eq!(good, expected(good.len() as u64), "seed {seed}");
        }
        let _ = sample.opened();
        sample.restore();
        assert_eq!(sample.files.len(), sample.dir.read_dir().unwrap().count());
    }
}

#[test]
fn noise_is_no_ledger() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let (_home, dir) = place();
        std::fs::create_dir(&dir).unwrap();
        let length = if seed % 2 == 0 { dice.roll(5000) } else { MIB };
        let noise: Vec<_> = (0..length).map(|_| dice.roll(256) as u8).collect();
        std::fs::write(segment(&dir, 1 + dice.roll(2)), noise).unwrap();
        assert!(verify(&dir).is_err(), "seed {seed}");
        assert!(Ledger::open(&dir, options()).is_err(), "seed {seed}");
    }
}

/// The largest sequence numbers there can be, behind a header that is whole.
#[test]
fn the_end_of_all_numbers_is_no_overflow() {
    let sample = Sample::small(3);
    let mut bytes = sample.files[0].clone();
    bytes[40..48].fill(0xFF);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes[..HEADER - 32]);
    bytes[HEADER - 32..HEADER].copy_from_slice(digest.as_ref());
    for sequence in [u64::MAX, u64::MAX - 1] {
        let mut bytes = bytes.clone();
        bytes[HEADER + 8..HEADER + 16].copy_from_slice(&sequence.to_le_bytes());
        bytes[HEADER + 16..HEADER + 24].copy_from_slice(&sequence.to_le_bytes());
        sample.write(1, &bytes);
        let _ = verify(&sample.dir);
        let _ = sample.opened();
        sample.restore();
    }
}
