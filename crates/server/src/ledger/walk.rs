//! Reading a ledger from record to record, over all its segments, independently of the writer.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::damage::{FirstBad, Why};
use super::disk::Directory;
use super::format::{Chain, Header, LedgerId, genesis};
use super::segment::{Segment, State, Step, begun_header, inspect};

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its sequence number.
    pub sequence: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// A whole ledger that was read and found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The ledger's id.
    pub id: LedgerId,
    /// The first record it still has. Where it is not 1, older segments have been removed.
    pub first: u64,
    /// The last record; `first - 1` if there is none.
    pub last: u64,
    /// How many records there are.
    pub records: u64,
    /// In how many segments.
    pub segments: u64,
    /// Chain value of the last record, or of the last header if no record follows it.
    pub chain: Chain,
    /// Bytes behind the last record that an append under way, or cut off, has left; 0 in a ledger at rest.
    pub unfinished_bytes: u64,
}

/// The records of a ledger in their order, each verified as part of the chain. After an error there is nothing more.
#[derive(Debug)]
pub struct Records {
    walk: Walk,
    from: u64,
    to: u64,
    done: bool,
}

/// Reads the records from sequence number `from` on. Memory is bounded by one buffer, whatever the ledger's size; a
/// ledger that is being written may be read up to the last record that is whole, durable or not.
pub fn read(dir: &Path, from: u64) -> Result<Records, FirstBad> {
    read_to(open(dir)?, from, u64::MAX)
}

fn open(dir: &Path) -> Result<Directory, FirstBad> {
    Directory::open(dir).map_err(|error| bad_segment(0, 0, Why::Unreadable(error.kind())))
}

/// [`read`] that ends after record `to`.
pub(super) fn read_to(directory: Directory, from: u64, to: u64) -> Result<Records, FirstBad> {
    Ok(Records { walk: Walk::open(directory, from)?, from, to, done: false })
}

impl Iterator for Records {
    type Item = Result<Record, FirstBad>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut payload = Vec::new();
        while !self.done && self.walk.next_sequence() <= self.to {
            match self.walk.step(&mut payload) {
                Ok(Step::Record { sequence }) if sequence < self.from => {}
                Ok(Step::Record { sequence }) => return Some(Ok(Record { sequence, payload })),
                Ok(Step::End { .. }) => self.done = true,
                Err(bad) => {
                    self.done = true;
                    return Some(Err(bad));
                }
            }
        }
        None
    }
}

/// Reads the whole ledger and recomputes its chain; names the first record that is not what was appended.
///
/// What this can and cannot show: any change to a record, and any removed, inserted, moved or repeated record is found
/// if a later batch stands behind it. Records cut off the end, and a ledger rewritten as a whole by someone who controls
/// the disk, are *not* found by a hash chain alone. For that the chain value must be kept where they cannot change it.
pub fn verify(dir: &Path) -> Result<Verified, FirstBad> {
    let mut walk = Walk::open(open(dir)?, 0)?;
    let first = walk.next_sequence();
    let mut payload = Vec::new();
    let unfinished_bytes = loop {
        if let Step::End { unfinished } = walk.step(&mut payload)? {
            break unfinished;
        }
    };
    Ok(Verified {
        id: walk.id,
        first,
        last: walk.next_sequence().saturating_sub(1),
        records: walk.next_sequence().saturating_sub(first),
        segments: walk.segments,
        chain: walk.current.as_ref().map_or_else(|| genesis(&walk.id), |current| current.chain),
        unfinished_bytes,
    })
}

/// A begun segment and its header.
type Begun = (Header, Segment);

/// A place in a ledger.
#[derive(Debug)]
struct Walk {
    directory: Directory,
    id: LedgerId,
    /// `None` in a ledger that was prepared and never begun.
    current: Option<Segment>,
    closed: bool,
    segments: u64,
}

impl Walk {
    /// Starts in the segment that holds record `from`, or in the first one there is.
    fn open(directory: Directory, from: u64) -> Result<Self, FirstBad> {
        let nowhere = |error: io::Error| bad_segment(0, 0, Why::Unreadable(error.kind()));
        let mut removed = None;
        loop {
            let numbers = directory.segments().map_err(nowhere)?;
            let first = numbers.first().copied().unwrap_or(1);
            match find(&directory, &numbers, from) {
                // The oldest segment may be removed just when it is opened; then there is another oldest.
                Err(FirstBad { why: Why::Missing, .. }) if removed.is_none_or(|before| before < first) => {
                    removed = Some(first);
                }
                Err(bad) => return Err(bad),
                Ok(found) => {
                    let id = found.as_ref().map_or([0; 16], |(header, _)| header.id);
                    let current = found.map(|(_, segment)| segment);
                    let segments = u64::from(current.is_some());
                    return Ok(Self { directory, id, current, closed: false, segments });
                }
            }
        }
    }

    fn next_sequence(&self) -> u64 {
        self.current.as_ref().map_or(1, |current| current.sequence)
    }

    /// Goes on by one record.
    fn step(&mut self, payload: &mut Vec<u8>) -> Result<Step, FirstBad> {
        loop {
            let Some(current) = &mut self.current else { return Ok(Step::End { unfinished: 0 }) };
            let step = current.step(self.closed, payload)?;
            if matches!(step, Step::Record { .. }) {
                return Ok(step);
            }
            let Some(next) = follow(&self.directory, &self.id, current, self.closed)? else {
                return Ok(step);
            };
            if self.closed {
                self.current = Some(next);
                self.segments += 1;
            }
            // Now that a next segment is known, nothing more is written to this one: read on to its very end.
            self.closed = !self.closed;
        }
    }
}

fn bad_segment(segment: u64, sequence: u64, why: Why) -> FirstBad {
    FirstBad { sequence, segment, offset: 0, why }
}

/// The last begun segment whose first record is at or before `from`, or else the first one. A segment whose header is
/// bad is passed over here: the walk comes to it and names it.
fn find(directory: &Directory, numbers: &BTreeSet<u64>, from: u64) -> Result<Option<Begun>, FirstBad> {
    let Some(first) = numbers.first().copied() else { return Ok(None) };
    for number in numbers.iter().rev().copied().filter(|number| from > 1 && *number > first) {
        let header =
            directory.open_segment(number, false).ok().and_then(|file| begun_header(&file, number).ok());
        if header.is_some_and(|header| header.first_sequence <= from) {
            return open_begun(directory, number, from);
        }
    }
    let sequence = u64::from(first == 1);
    match open_begun(directory, first, sequence)? {
        Some(begun) => Ok(Some(begun)),
        None => no_later(directory, first, sequence, Why::Header).map(|_| None),
    }
}

/// Opens a segment; `None` if it holds no record.
fn open_begun(directory: &Directory, number: u64, sequence: u64) -> Result<Option<Begun>, FirstBad> {
    let file = directory.open_segment(number, false).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => bad_segment(number, sequence, Why::Missing),
        kind => bad_segment(number, sequence, Why::Unreadable(kind)),
    })?;
    match inspect(&file, number, sequence)? {
        State::Unused => Ok(None),
        State::Begun(header, digest) => {
            let segment = Segment::new(file, &header, digest)?;
            Ok(Some((*header, segment)))
        }
    }
}

/// The segment after `current`, if it has been begun. It must continue `current` once that is `read` to its end.
fn follow(
    directory: &Directory,
    id: &LedgerId,
    current: &Segment,
    read: bool,
) -> Result<Option<Segment>, FirstBad> {
    let number = current.number.saturating_add(1);
    match open_begun(directory, number, current.sequence) {
        Ok(Some((header, segment))) if header.id == *id => {
            let link = (header.first_sequence, header.chain, header.previous);
            if read && link != (current.sequence, current.chain, current.digest) {
                return Err(current.bad(Why::Link));
            }
            Ok(Some(segment))
        }
        Ok(Some(_)) => Err(bad_segment(number, current.sequence, Why::Foreign)),
        Ok(None) => no_later(directory, number, current.sequence, Why::Header),
        Err(FirstBad { why: Why::Missing, .. }) => {
            no_later(directory, number, current.sequence, Why::Missing)
        }
        Err(bad) => Err(bad),
    }
}

/// Nothing that has been begun may stand behind segment `number`, which has not.
fn no_later(
    directory: &Directory,
    number: u64,
    sequence: u64,
    why: Why,
) -> Result<Option<Segment>, FirstBad> {
    let unreadable = |error: io::Error| bad_segment(number, sequence, Why::Unreadable(error.kind()));
    for later in directory.segments().map_err(unreadable)?.into_iter().filter(|later| *later > number) {
        if open_begun(directory, later, sequence)?.is_none() {
            continue;
        }
        // On a live ledger both may have come since we looked; then segment `number` is there now.
        return match open_begun(directory, number, sequence) {
            Ok(Some((_, segment))) => Ok(Some(segment)),
            _ => Err(bad_segment(number, sequence, why)),
        };
    }
    Ok(None)
}
