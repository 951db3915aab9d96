//! How segments are written: in whole blocks, and past the page cache where that can be.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use aws_lc_rs::digest::{SHA256, digest};
use claviger_server::ledger::{Durability, Ledger, Options, verify};
use rustix::fs::{OFlags, fcntl_getfl};

use super::*;

const BLOCK: usize = 4096;
/// In the header: where the length of the segment stands.
const LENGTH_AT: usize = 40;

/// One write.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Write {
    by_the_writer: bool,
    /// It begins and ends with a block, in memory and on the disk.
    whole: bool,
    past_the_cache: bool,
}

/// What a file system makes of writes past the page cache.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    AsTheDisk,
    /// `fcntl` refuses.
    CannotBeAsked,
    /// `fcntl` agrees, and each write is refused.
    RefusesWrites,
}

/// Notes each write.
#[derive(Debug, Clone)]
struct Watched(Answer, Arc<Mutex<Vec<Write>>>);

impl Disk for Watched {
    fn write_all_at(&self, segment: u64, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let past_the_cache = fcntl_getfl(file)?.contains(OFlags::DIRECT);
        if past_the_cache && self.0 == Answer::RefusesWrites {
            return Err(rustix::io::Errno::INVAL.into());
        }
        SystemDisk.write_all_at(segment, file, bytes, offset)?;
        let places = [bytes.as_ptr().addr(), bytes.len(), offset as usize];
        self.1.lock().unwrap().push(Write {
            by_the_writer: std::thread::current().name() == Some("ledger-writer"),
            whole: places.iter().all(|place| place.is_multiple_of(BLOCK)),
            past_the_cache,
        });
        Ok(())
    }

    fn bypass_cache(&self, file: &File, bypass: bool) -> io::Result<()> {
        match self.0 {
            Answer::CannotBeAsked if bypass => Err(io::ErrorKind::InvalidInput.into()),
            _ => SystemDisk.bypass_cache(file, bypass),
        }
    }
}

/// Batches of all sizes, some of several writes, in three lives and more than one segment; gives what was written.
fn written(options: Options, answer: Answer) -> Vec<Write> {
    let (_home, dir) = place();
    let watched = Watched(answer, Arc::default());
    let payload = |sequence: u64| vec![b'r'; (sequence * 7919 % 40_000) as usize];
    for life in 0..3 {
        let (ledger, opened) =
            Ledger::open(&dir, Options { disk: Arc::new(watched.clone()), ..options.clone() }).unwrap();
        assert_eq!((opened.next_sequence, opened.torn), (life * 40 + 1, None), "{answer:?}");
        let (lane, _) = ledger.lane();
        block_on(async {
            let mut waiting = Vec::new();
            for sequence in opened.next_sequence..opened.next_sequence + 40 {
                let payload = payload(sequence);
                waiting.push(lane.append(lane.reserve(payload.len()).await.unwrap(), &payload));
                if sequence.is_multiple_of(13) {
                    for append in waiting.drain(..) {
                        append.await.unwrap();
                    }
                }
            }
            for append in waiting {
                append.await.unwrap();
            }
        });
    }
    let found: Vec<Vec<u8>> = records(&dir).into_iter().map(|record| record.payload).collect();
    assert_eq!(found, (1..=120).map(payload).collect::<Vec<_>>(), "{answer:?}");
    assert!(verify(&dir).unwrap().segments > 2, "{answer:?}");
    std::mem::take(&mut *watched.1.lock().unwrap())
}

/// Whether the file system of temporary files takes a block past the page cache.
fn can_bypass() -> bool {
    let home = tempfile::tempdir().unwrap();
    let file = File::create(home.path().join("file")).unwrap();
    let memory = [0; 2 * BLOCK];
    let block = &memory[memory.as_ptr().align_offset(BLOCK)..][..BLOCK];
    SystemDisk.bypass_cache(&file, true).is_ok() && file.write_all_at(block, 0).is_ok()
}

#[test]
fn segments_are_written_in_whole_blocks_past_the_page_cache() {
    for (answer, past_the_cache) in
        [(Answer::AsTheDisk, can_bypass()), (Answer::CannotBeAsked, false), (Answer::RefusesWrites, false)]
    {
        let writes: Vec<Write> =
            written(options(), answer).into_iter().filter(|write| write.by_the_writer).collect();
        assert!(writes.len() > 10, "{answer:?}");
        assert!(
            writes.iter().all(|write| *write == Write { by_the_writer: true, whole: true, past_the_cache }),
            "{answer:?}"
        );
    }
}

/// What the benchmark compares with must not wait for the disk.
#[test]
fn without_syncs_the_page_cache_is_used() {
    let options = Options { durability: Durability::NoFsyncForBenchmarkOnly, ..options() };
    assert!(written(options, Answer::AsTheDisk).iter().all(|write| !write.past_the_cache));
}

#[test]
fn a_new_segment_has_whole_blocks() {
    let (_home, dir) = place();
    drop(Ledger::open(&dir, Options { segment_bytes: MIB + 1, ..options() }).unwrap());
    assert_eq!(std::fs::metadata(segment(&dir, 1)).unwrap().len(), MIB + BLOCK as u64);
}

/// Made where segments had any length: it is filled to its last byte and does not grow.
#[test]
fn a_segment_that_ends_within_a_block_keeps_its_length() {
    const LENGTH: u64 = MIB + 100;
    let (_home, dir) = place();
    drop(open(&dir));
    let file = File::options().read(true).write(true).open(segment(&dir, 1)).unwrap();
    let mut header = vec![0; HEADER];
    file.read_exact_at(&mut header, 0).unwrap();
    header[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&LENGTH.to_le_bytes());
    let (body, digest_of) = header.split_at_mut(HEADER - 32);
    digest_of.copy_from_slice(digest(&SHA256, body).as_ref());
    file.write_all_at(&header, 0).unwrap();
    file.set_len(LENGTH).unwrap();

    let (ledger, _) = open(&dir);
    let last = LENGTH as usize - HEADER - 4 * (HEAD + 250_000) - HEAD;
    let pieces: Vec<Vec<u8>> =
        [250_000, 250_000, 250_000, 250_000, last, 10].map(|length| vec![b'p'; length]).into();
    append_all(&ledger, pieces.iter().map(Vec::as_slice));
    drop(ledger);
    assert_eq!(file.metadata().unwrap().len(), LENGTH);
    let mut last = [0];
    file.read_exact_at(&mut last, LENGTH - 1).unwrap();
    assert_eq!(last, *b"p");
    assert_eq!(records(&dir).into_iter().map(|record| record.payload).collect::<Vec<_>>(), pieces);
    assert_eq!(verify(&dir).unwrap().segments, 2);
}
