//! Power cuts, simulated: everything that is written and synced is logged, and for moments of that log the disk is made
//! as a power cut may leave it. What was synced is there; of what was not, any 512-byte sectors are, and others are not.
//! The ledger must open on it with everything acknowledged by then. Then the same is done to its recovery.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use claviger_server::ledger::{Ledger, Options, verify};

use super::*;

const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Event {
    Write {
        segment: u64,
        offset: usize,
        bytes: Vec<u8>,
    },
    Sync {
        segment: u64,
    },
    /// Everything up to this record has been acknowledged.
    Acknowledged(u64),
}

/// Carries everything out and logs it.
#[derive(Debug, Default, Clone)]
struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Recorder {
    fn log(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Disk for Recorder {
    fn write_all_at(&self, segment: u64, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.log(Event::Write { segment, offset: offset as usize, bytes: bytes.to_vec() });
        SystemDisk.write_all_at(segment, file, bytes, offset)
    }

    fn sync(&self, segment: u64, file: &File) -> io::Result<()> {
        SystemDisk.sync(segment, file)?;
        self.log(Event::Sync { segment });
        Ok(())
    }
}

/// The segments on a disk.
type Files = BTreeMap<u64, Vec<u8>>;

/// The disk after a power cut behind `events`, and the last record acknowledged before it.
fn cut(start: &Files, events: &[Event], dice: &mut Dice) -> (Files, u64) {
    let mut files = start.clone();
    let mut pending: BTreeMap<u64, Vec<(usize, &[u8])>> = BTreeMap::new();
    let mut prepared: BTreeMap<u64, usize> = BTreeMap::new();
    let mut acknowledged = 0;
    for event in events {
        match event {
            Event::Acknowledged(sequence) => acknowledged = *sequence,
            Event::Write { segment, offset, bytes } if files.contains_key(segment) => {
                pending.entry(*segment).or_default().push((*offset, bytes));
            }
            // It has its name, and so is there after a cut, only when all of it is zeros and synced.
            Event::Write { segment, bytes, .. } => *prepared.entry(*segment).or_default() += bytes.len(),
            Event::Sync { segment }
                if prepared.get(segment) == Some(&(MIB as usize)) && !files.contains_key(segment) =>
            {
                files.insert(*segment, vec![0; MIB as usize]);
            }
            Event::Sync { segment } => {
                for (offset, bytes) in pending.remove(segment).unwrap_or_default() {
                    files.get_mut(segment).unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
    }
    for (segment, writes) in pending {
        let file = files.get_mut(&segment).unwrap();
        for (offset, bytes) in writes {
            let luck = dice.roll(4);
            let mut at = offset;
            while at < offset + bytes.len() {
                let end = ((at / SECTOR + 1) * SECTOR).min(offset + bytes.len());
                if luck == 3 || dice.roll(2) == 0 && luck > 0 {
                    file[at..end].copy_from_slice(&bytes[at - offset..end - offset]);
                }
                at = end;
            }
        }
    }
    (files, acknowledged)
}

/// Opens the ledger on these files and checks it; gives what that wrote.
fn check_recovers(files: &Files, acknowledged: u64, case: &str) -> Vec<Event> {
    let (_home, dir) = place();
    std::fs::create_dir(&dir).unwrap();
    for (number, bytes) in files {
        std::fs::write(segment(&dir, *number), bytes).unwrap();
    }
    let recorder = Recorder::default();
    let opened = Ledger::open(&dir, on(recorder.clone()));
    let (ledger, opened) = opened.unwrap_or_else(|error| panic!("{case}: {error}"));
    let events = recorder.0.lock().unwrap().clone();
    let next = opened.next_sequence;
    assert!(next > acknowledged, "{case}: {acknowledged} was acknowledged, and {next} is next");
    append_all(&ledger, [large(next).as_slice()]);
    drop(ledger);
    let found = read(&dir, 0).unwrap().map(|record| record.map(|record| (record.sequence, record.payload)));
    assert!(found.eq((1..=next).map(|sequence| Ok((sequence, large(sequence))))), "{case}");
    assert_eq!(verify(&dir).unwrap().unfinished_bytes, 0, "{case}");
    events
}

/// Of very different sizes, and told apart by their content. Two in a row are now and then more than one write takes.
fn large(sequence: u64) -> Vec<u8> {
    let mut dice = Dice(sequence);
    let length = match sequence % 20 {
        8 | 9 => 140_000 + dice.roll(60_000),
        number if number % 3 == 0 => dice.roll(60_000),
        _ => dice.roll(900),
    };
    (0..length).map(|_| dice.roll(251) as u8).collect()
}

/// What is logged while records come in, several at a time.
fn recorded(records: u64) -> Vec<Event> {
    let (_home, dir) = place();
    let recorder = Recorder::default();
    let (ledger, _) = Ledger::open(&dir, Options { disk: Arc::new(recorder.clone()), ..options() }).unwrap();
    let (lane, _) = ledger.lane();
    let mut dice = Dice(7);
    block_on(async {
        let mut sequence = 1;
        while sequence <= records {
            let mut waiting = Vec::new();
            for _ in 0..=dice.roll(5) {
                let payload = large(sequence);
                let reservation = lane.reserve(payload.len()).await.unwrap();
                waiting.push(lane.append(reservation, &payload));
                sequence += 1;
            }
            for append in waiting {
                let sequence = append.await.unwrap();
                recorder.log(Event::Acknowledged(sequence));
            }
        }
    });
    drop(ledger);
    std::mem::take(&mut *recorder.0.lock().unwrap())
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let events = recorded(120);
    let mut dice = Dice(1);
    // From the moment that the first segment is there.
    let first = events.iter().position(
        |event| matches!(event, Event::Write { segment: 1, bytes, .. } if bytes.starts_with(b"CLVLEDGR")),
    );
    let is_zeros = |event: &Event| matches!(event, Event::Write { bytes, .. } if bytes.len() == MIB as usize);
    for at in first.unwrap()..=events.len() {
        if at < events.len() && is_zeros(&events[at]) {
            continue;
        }
        let (files, acknowledged) = cut(&Files::new(), &events[..at], &mut dice);
        let case = format!("cut behind event {at}");
        let recovery = check_recovers(&files, acknowledged, &case);
        // And the power goes again while it recovers.
        let again = dice.roll(recovery.len() as u64 + 1) as usize;
        let (files, _) = cut(&files, &recovery[..again], &mut dice);
        check_recovers(&files, acknowledged, &format!("{case}, again behind event {again}"));
    }
}

/// The process before died of a failed sync. What it had written is in the page cache, where the next one reads it, and
/// will never reach the disk by itself. Then the power fails, after one more record was acknowledged.
fn check_only_cached(cache: &Files, disk: &Files, case: &str) {
    let (_home, dir) = place();
    std::fs::create_dir(&dir).unwrap();
    for (number, bytes) in cache {
        std::fs::write(segment(&dir, *number), bytes).unwrap();
    }
    let recorder = Recorder::default();
    let (ledger, opened) = Ledger::open(&dir, on(recorder.clone())).unwrap();
    let next = opened.next_sequence;
    append_all(&ledger, [large(next).as_slice()]);
    drop(ledger);
    let events = std::mem::take(&mut *recorder.0.lock().unwrap());
    let synced = events.iter().rposition(|event| matches!(event, Event::Sync { .. })).unwrap();
    let (files, _) = cut(disk, &events[..=synced], &mut Dice(0));
    check_recovers(&files, next, case);
}

#[test]
fn what_was_only_in_the_cache_is_written_again() {
    let (_home, dir) = place();
    let (ledger, _) = open(&dir);
    append_all(&ledger, (1..=4).map(large).collect::<Vec<_>>().iter().map(Vec::as_slice));
    block_on(async { drop(ledger.preparation().wait_for(|p| p.attempts > 0).await.unwrap()) });
    drop(ledger);
    let cache: Files =
        (1..=2).map(|number| (number, std::fs::read(segment(&dir, number)).unwrap())).collect();
    let last = HEADER + (1..=3).map(|sequence| HEAD + large(sequence).len()).sum::<usize>();
    let mut disk = cache.clone();
    disk.get_mut(&1).unwrap()[last..].fill(0);
    check_only_cached(&cache, &disk, "the last batch");

    let (_home, dir) = place();
    drop(open(&dir));
    let cache = Files::from([(1, std::fs::read(segment(&dir, 1)).unwrap())]);
    let disk = Files::from([(1, vec![0; MIB as usize])]);
    check_only_cached(&cache, &disk, "the header of a segment without a record");
}
