//! Opening a ledger: what is on disk, whether it may be trusted, and where the next record goes.
//!
//! Everything is looked at before anything is changed, and each change leaves a state that recovers to the same result,
//! so that a crash in the middle of it only means that it is done again.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::blocks::{Aligned, BLOCK, End, first_write};
use super::damage::{FirstBad, OpenError, Why};
use super::disk::{Directory, Disk};
use super::format::{Chain, HEADER_LEN, Header, LedgerId, genesis};
use super::segment::{Segment, State, Step, inspect};
use super::writer::Tail;
use super::{Closed, Options, Torn};

const CHUNK: usize = 1 << 20;
/// Records begin where a block does.
const _: () = assert!(HEADER_LEN.is_multiple_of(BLOCK));

/// A segment that is prepared: all zeros, on stable storage, and empty.
#[derive(Debug)]
pub(super) struct Spare {
    /// Its number.
    pub(super) number: u64,
    /// Its file, to be written.
    pub(super) file: File,
    /// Its length in bytes.
    pub(super) length: u64,
}

impl Spare {
    /// Makes it the current segment: writes its header and waits until that is durable.
    pub(super) fn begin(self, disk: &dyn Disk, id: LedgerId, before: &Before) -> io::Result<Tail> {
        let Before { sequence, chain, digest } = *before;
        let Self { number, file, length } = self;
        let header =
            Header { id, segment: number, length, first_sequence: sequence, chain, previous: digest };
        let (bytes, digest) = header.encode();
        let mut block = Aligned::zeros(HEADER_LEN);
        block.put(0, &bytes);
        first_write(disk, number, &file, block.first(HEADER_LEN), 0)?;
        disk.sync(number, &file)?;
        let end = End::at_block(HEADER_LEN as u64, length);
        Ok(Tail { number, file, end, first_sequence: sequence, sequence, chain: digest, digest })
    }
}

/// What a new segment continues.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// The next record's sequence number.
    pub(super) sequence: u64,
    /// Chain value before it.
    pub(super) chain: Chain,
    /// Digest of the header of the segment before.
    pub(super) digest: Chain,
}

/// A ledger as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Where the next record goes.
    pub(super) tail: Tail,
    /// Segments that are ready to follow.
    pub(super) spares: VecDeque<Spare>,
    /// Segments before the current one.
    pub(super) closed: VecDeque<Closed>,
    /// What was taken away.
    pub(super) torn: Option<Torn>,
}

/// Reads what is in the directory, which must be locked, and makes it ready for the next record.
pub(super) fn recover(directory: &Directory, options: &Options) -> Result<Found, OpenError> {
    let disk = &*options.disk;
    let mut survey = Survey::of(directory, options.id)?;
    let last = survey.last.take().map(read_to_end).transpose()?;
    directory.remove_unfinished()?;
    let (tail, torn) = match last {
        Some(last) => last.repaired(disk)?,
        None => {
            let spare = match survey.spares.pop_front() {
                Some(spare) => spare,
                None => prepare(directory, disk, 1, options.segment_bytes)?,
            };
            let before = Before { sequence: 1, chain: genesis(&options.id), digest: [0; 32] };
            (spare.begin(disk, options.id, &before)?, None)
        }
    };
    Ok(Found { tail, spares: survey.spares, closed: survey.closed, torn })
}

/// Makes a spare segment.
pub(super) fn prepare(
    directory: &Directory,
    disk: &dyn Disk,
    number: u64,
    length: u64,
) -> Result<Spare, io::Error> {
    let file = directory.prepare_segment(disk, number, length)?;
    Ok(Spare { number, file, length })
}

/// The segments and what their headers say.
#[derive(Debug, Default)]
struct Survey {
    closed: VecDeque<Closed>,
    /// The last one that has been begun.
    last: Option<Last>,
    spares: VecDeque<Spare>,
}

#[derive(Debug)]
struct Last {
    header: Header,
    digest: Chain,
    file: File,
}

impl Survey {
    fn of(directory: &Directory, id: LedgerId) -> Result<Self, OpenError> {
        let mut survey = Self::default();
        let numbers = directory.segments()?;
        let first = numbers.first().copied().unwrap_or(1);
        for (number, expected) in numbers.into_iter().zip(first..) {
            let sequence = survey.last.as_ref().map_or(0, |last| last.header.first_sequence);
            let bad = |why| FirstBad { sequence, segment: expected, offset: 0, why };
            if number != expected {
                return Err(bad(Why::Missing).into());
            }
            let file = directory.open_segment(number, true)?;
            match inspect(&file, number, sequence)? {
                State::Begun(header, _) if header.id != id && survey.last.is_none() => {
                    return Err(OpenError::Foreign { found: header.id });
                }
                State::Begun(..) if !survey.spares.is_empty() => return Err(bad(Why::Header).into()),
                State::Begun(header, digest) => survey.add(Last { header: *header, digest, file }, id)?,
                State::Unused => {
                    let length = file.metadata()?.len();
                    survey.spares.push_back(Spare { number, file, length });
                }
            }
        }
        if survey.last.is_none() && first != 1 {
            let bad = FirstBad { sequence: 1, segment: 1, offset: 0, why: Why::Missing };
            return Err(bad.into());
        }
        Ok(survey)
    }

    fn add(&mut self, next: Last, id: LedgerId) -> Result<(), FirstBad> {
        let header = &next.header;
        let (segment, sequence) = (header.segment, header.first_sequence);
        let bad = |why| FirstBad { sequence, segment, offset: 0, why };
        if header.id != id {
            return Err(bad(Why::Foreign));
        }
        if let Some(last) = self.last.take() {
            if header.previous != last.digest || sequence <= last.header.first_sequence {
                return Err(bad(Why::Link));
            }
            self.closed.push_back(Closed {
                segment: last.header.segment,
                first_sequence: last.header.first_sequence,
                last_sequence: sequence.saturating_sub(1),
                bytes: last.header.length,
            });
        }
        self.last = Some(next);
        Ok(())
    }
}

/// The current segment, read to its last whole record.
#[derive(Debug)]
struct Read {
    first_sequence: u64,
    segment: Segment,
    file: File,
    unfinished: u64,
}

fn read_to_end(last: Last) -> Result<Read, OpenError> {
    let mut segment = Segment::new(last.file.try_clone()?, &last.header, last.digest)?;
    let mut payload = Vec::new();
    loop {
        if let Step::End { unfinished } = segment.step(false, &mut payload)? {
            let first_sequence = last.header.first_sequence;
            return Ok(Read { first_sequence, segment, file: last.file, unfinished });
        }
    }
}

impl Read {
    /// Takes the torn bytes away, and makes sure that what stays is durable. The process before may have died of a sync
    /// that failed: then its last bytes are in the page cache, marked clean, and not on the disk. Only a new write of
    /// them makes the next sync mean something.
    fn repaired(self, disk: &dyn Disk) -> io::Result<(Tail, Option<Torn>)> {
        let Segment { number, offset, sequence, chain, digest, batch_offset, .. } = self.segment;
        let torn = (self.unfinished > 0).then_some(Torn { sequence, bytes: self.unfinished });
        rewrite(disk, number, &self.file, 0, HEADER_LEN as u64)?;
        rewrite(disk, number, &self.file, batch_offset, offset)?;
        zero(disk, number, &self.file, offset, self.unfinished)?;
        let first_sequence = self.first_sequence;
        let end = End::find(disk, number, &self.file, offset)?;
        let tail = Tail { number, file: self.file, end, first_sequence, sequence, chain, digest };
        Ok((tail, torn))
    }
}

fn rewrite(disk: &dyn Disk, number: u64, file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    for start in (from..to).step_by(CHUNK) {
        let len = (to - start).min(CHUNK as u64);
        bytes.resize(usize::try_from(len).unwrap_or(CHUNK), 0);
        file.read_exact_at(&mut bytes, start)?;
        disk.write_all_at(number, file, &bytes, start)?;
    }
    Ok(())
}

fn zero(disk: &dyn Disk, number: u64, file: &File, offset: u64, length: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    for done in (0..length).step_by(CHUNK) {
        let piece = zeros.get(..usize::try_from(length - done).unwrap_or(CHUNK)).unwrap_or(&zeros);
        disk.write_all_at(number, file, piece, offset + done)?;
    }
    disk.sync(number, file)
}
