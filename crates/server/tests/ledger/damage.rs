//! Whatever was done to acknowledged records, the first bad one is named, and nothing on disk is changed.

use claviger_server::ledger::{FirstBad, Ledger, OpenError, Options, Why, verify};
use proptest::prelude::*;

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

/// A way to tamper with records 1 to 6 of one segment: gives the new bytes from record 2 on.
type Tamper = fn(&[&[u8]]) -> Vec<u8>;

fn check_tampered(name: &str, tamper: Tamper, sequence: u64, why: fn(&Why) -> bool) {
    let sample = Sample::small(8);
    let starts = sample.starts();
    let frames: Vec<_> = starts.windows(2).map(|pair| &sample.files[0][pair[0]..pair[1]]).collect();
    let mut bytes = sample.files[0][..HEADER].to_vec();
    bytes.extend(tamper(&frames));
    bytes.resize(MIB as usize, 0);
    sample.write(1, &bytes);
    let bad = verify(&sample.dir).expect_err(name);
    assert!(bad.sequence == sequence && bad.segment == 1 && why(&bad.why), "{name}: {bad}");
    assert!(matches!(sample.opened(), Err(OpenError::Damaged(found)) if found == bad), "{name}");
    sample.restore();
    assert_eq!(verify(&sample.dir).unwrap().records, 8);
}

#[test]
fn tampering_with_records_is_found() {
    let checks: &[(&str, Tamper, u64, fn(&Why) -> bool)] = &[
        (
            "edited",
            |frames| {
                let mut edited = frames[2].to_vec();
                *edited.last_mut().unwrap() = b'!';
                [&frames[..2].concat(), &edited, &frames[3..].concat()].map(|part| part.to_vec()).concat()
            },
            3,
            |why| *why == Why::Chain,
        ),
        ("deleted", |f| [&f[..2], &f[3..]].concat().concat(), 3, |why| *why == Why::Sequence { found: 4 }),
        ("first deleted", |f| f[1..].concat(), 1, |why| *why == Why::Sequence { found: 2 }),
        ("duplicated", |f| [&f[..3], &f[2..]].concat().concat(), 4, |why| *why == Why::Sequence { found: 3 }),
        (
            "reordered",
            |f| [f[0], f[1], f[3], f[2], f[4], f[5], f[6], f[7]].concat(),
            3,
            |why| *why == Why::Sequence { found: 4 },
        ),
        (
            "inserted",
            |f| {
                let mut made = f[2].to_vec();
                made[8..16].copy_from_slice(&4_u64.to_le_bytes());
                made[16..24].copy_from_slice(&4_u64.to_le_bytes());
                [&f[..3].concat(), &made, &f[3..].concat()].map(|part| part.to_vec()).concat()
            },
            4,
            |why| *why == Why::Chain,
        ),
        (
            "replaced by another of the same place",
            |f| {
                let mut made = f[4].to_vec();
                made[8..24].copy_from_slice(&f[3][8..24]);
                [&f[..3].concat(), &made, &f[4..].concat()].map(|part| part.to_vec()).concat()
            },
            4,
            |why| *why == Why::Chain,
        ),
        (
            "moved into the batch before",
            |f| {
                let mut moved = f[3].to_vec();
                moved[16..24].copy_from_slice(&3_u64.to_le_bytes());
                [&f[..3].concat(), &moved, &f[4..].concat()].map(|part| part.to_vec()).concat()
            },
            4,
            |why| *why == Why::Chain,
        ),
        (
            "shifted by a gap",
            |f| [&f[..4].concat(), &vec![0; 9], &f[4..].concat()].map(|part| part.to_vec()).concat(),
            5,
            |why| *why == Why::NotAFrame,
        ),
        (
            "with a wild length",
            |f| {
                let mut wild = f[1].to_vec();
                wild[4..8].fill(0xFF);
                [f[0], &wild, &f[2..].concat()].map(<[u8]>::to_vec).concat()
            },
            2,
            |why| *why == Why::Length,
        ),
    ];
    for (name, tamper, sequence, why) in checks {
        check_tampered(name, *tamper, *sequence, *why);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// No file makes the reader panic, and what it calls good is a prefix of what was written.
    #[test]
    fn no_file_panics_the_reader(
        edits in proptest::collection::vec((0..6000_usize, proptest::collection::vec(any::<u8>(), 1..40)), 1..6),
        sign in any::<bool>(),
        length in prop_oneof![Just(MIB as usize), 0..MIB as usize],
    ) {
        let sample = Sample::small(5);
        let mut bytes = sample.files[0].clone();
        for (at, edit) in &edits {
            bytes[*at..at + edit.len()].copy_from_slice(edit);
        }
        if sign {
            bytes[..8].copy_from_slice(b"CLVLEDGR");
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes[..HEADER - 32]);
            bytes[HEADER - 32..HEADER].copy_from_slice(digest.as_ref());
        }
        bytes.truncate(length);
        sample.write(1, &bytes);
        let _ = verify(&sample.dir);
        if let Ok(records) = read(&sample.dir, 0) {
            let good: Vec<_> = records.map_while(Result::ok).collect();
            prop_assert_eq!(&good[..], &expected(5)[..good.len()]);
        }
        let _ = sample.opened();
    }

    #[test]
    fn noise_is_no_ledger(noise in proptest::collection::vec(any::<u8>(), 0..5000), name in 1..3_u64) {
        let (_home, dir) = place();
        drop(open(&dir));
        std::fs::remove_file(segment(&dir, 1)).unwrap();
        std::fs::write(segment(&dir, name), &noise).unwrap();
        prop_assert!(verify(&dir).is_err());
        prop_assert!(Ledger::open(&dir, options()).is_err());
    }
}
