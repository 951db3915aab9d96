//! Reading one segment: its header, its records one by one, and what stands behind the last good one.
//!
//! The heart of recovery is here. Only one batch is ever being written, and the next one begins after it is durable.
//! So whatever a crash leaves half written belongs to the last batch, and no record of a *later* batch can follow it.
//! Where one does follow, the bad bytes had been durable, and perhaps acknowledged: that is damage.
//!
//! A segment may be read while it is written. A frame that is seen half written is read again after anything later has
//! been seen, because it is whole by then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::damage::{FirstBad, Why};
use super::format::{
    Chain, FIELDS_LEN, FRAME_HEAD_LEN, FRAME_MAGIC, Fields, HEADER_LEN, Header, HeaderFault, MIN_SEGMENT_LEN,
    is_zero,
};

const WINDOW_LEN: usize = 1 << 20;
const PAGE_LEN: usize = 4096;

/// A file seen through a buffer of bounded size.
#[derive(Debug)]
struct Window {
    file: File,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length, start: 0, bytes: Vec::new() })
    }

    /// The next read goes to the file.
    fn forget(&mut self) {
        self.bytes.clear();
    }

    /// The `len` bytes at `offset`; fewer only where the file ends.
    fn at(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let end = offset.saturating_add(len as u64).min(self.length);
        let held = self.start..=self.start + self.bytes.len() as u64;
        if self.bytes.is_empty() || !held.contains(&offset) || !held.contains(&end) {
            self.fill(offset, len.max(WINDOW_LEN))?;
        }
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(skip..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }

    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.bytes.resize(len.min(left), 0);
        self.start = offset;
        self.file.read_exact_at(&mut self.bytes, offset).inspect_err(|_| self.bytes.clear())
    }
}

/// What a file under a segment's name is.
#[derive(Debug)]
pub(super) enum State {
    /// It has been begun: it may hold records.
    Begun(Box<Header>, Chain),
    /// It has been prepared and holds no record. Its header may have been cut off: it will be written as a whole.
    Unused,
}

impl State {
    fn begun((header, digest): (Header, Chain)) -> Self {
        Self::Begun(Box::new(header), digest)
    }
}

/// Looks at the header of segment `number`, whose first record, were it begun, would be `sequence`. One that has not
/// been begun is read as a whole, because it must be empty.
pub(super) fn inspect(file: &File, number: u64, sequence: u64) -> Result<State, FirstBad> {
    let bad = |why| FirstBad { sequence, segment: number, offset: 0, why };
    match read_header(file, number) {
        Err(Why::Header) => {}
        other => return other.map(State::begun).map_err(bad),
    }
    let unreadable = |error: io::Error| bad(Why::Unreadable(error.kind()));
    let mut window = file.try_clone().and_then(Window::new).map_err(unreadable)?;
    // A header is durable before the first record is written.
    let tail = Tail::scan(&mut window, HEADER_LEN as u64, 0).map_err(unreadable)?;
    match read_header(file, number) {
        Err(Why::Header) if tail.used == 0 => Ok(State::Unused),
        // It may have been begun while we looked.
        other => other.map(State::begun).map_err(bad),
    }
}

/// The header of segment `number`, if it has been begun.
pub(super) fn begun_header(file: &File, number: u64) -> Result<Header, Why> {
    read_header(file, number).map(|(header, _)| header)
}

fn read_header(file: &File, number: u64) -> Result<(Header, Chain), Why> {
    let unreadable = |error: io::Error| Why::Unreadable(error.kind());
    let length = file.metadata().map_err(unreadable)?.len();
    if length < MIN_SEGMENT_LEN {
        return Err(Why::FileLength { found: length });
    }
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(unreadable)?;
    let (header, digest) = Header::decode(&bytes).map_err(|fault| match fault {
        HeaderFault::Newer(version) => Why::Newer { version },
        HeaderFault::Blank | HeaderFault::Broken => Why::Header,
    })?;
    if header.segment != number {
        return Err(Why::Misplaced { found: header.segment });
    }
    if header.length != length {
        return Err(Why::FileLength { found: length });
    }
    Ok((header, digest))
}

/// What stands between an offset and the end of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tail {
    /// Bytes up to and with the last one that is not zero.
    used: u64,
    /// Whether a frame is there that a batch after `sequence` must have written.
    later_batch: bool,
}

impl Tail {
    fn scan(window: &mut Window, from: u64, sequence: u64) -> io::Result<Self> {
        let mut tail = Self::default();
        let mut offset = from;
        while offset < window.length {
            let room = window.length - offset;
            // The overlap lets a frame that begins in one page and goes on in the next be seen.
            let piece = window.at(offset, PAGE_LEN + FIELDS_LEN)?;
            if !is_zero(piece)
                && let Some(last) = piece.iter().rposition(|byte| *byte != 0)
            {
                tail.used = offset + last as u64 + 1 - from;
                tail.later_batch |= holds_later_batch(piece, room, sequence);
            }
            offset += PAGE_LEN as u64;
        }
        Ok(tail)
    }
}

/// Whether a frame of a batch after `sequence` begins in `piece`, of which `room` bytes are left in the segment.
fn holds_later_batch(piece: &[u8], room: u64, sequence: u64) -> bool {
    piece.windows(FIELDS_LEN).enumerate().any(|(at, bytes)| {
        bytes.starts_with(&FRAME_MAGIC)
            && Fields::decode(bytes).is_some_and(|fields| {
                let fits = fields.frame_len().is_some_and(|length| (at + length) as u64 <= room);
                fits && fields.batch_first > sequence && fields.batch_first <= fields.sequence
            })
    })
}

/// What [`Segment::step`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record; its payload is in the buffer given.
    Record {
        /// Its sequence number.
        sequence: u64,
    },
    /// No further record. `unfinished` bytes of a batch that was being written stand behind the last one.
    End {
        /// Up to and with the last byte that is not zero.
        unfinished: u64,
    },
}

/// A begun segment, read from its first record on.
#[derive(Debug)]
pub(super) struct Segment {
    window: Window,
    /// The segment's number.
    pub(super) number: u64,
    /// Where the next frame begins, in bytes.
    pub(super) offset: u64,
    /// The next record.
    pub(super) sequence: u64,
    /// Chain value before it.
    pub(super) chain: Chain,
    /// Digest of the segment's header.
    pub(super) digest: Chain,
    /// Where the batch of the last record begins, in bytes.
    pub(super) batch_offset: u64,
    batch_first: u64,
}

impl Segment {
    /// Starts before the first record.
    pub(super) fn new(file: File, header: &Header, digest: Chain) -> Result<Self, FirstBad> {
        let (number, sequence) = (header.segment, header.first_sequence);
        let unreadable = |error: io::Error| Why::Unreadable(error.kind());
        let window = Window::new(file).map_err(|error| FirstBad {
            sequence,
            segment: number,
            offset: 0,
            why: unreadable(error),
        })?;
        let offset = HEADER_LEN as u64;
        Ok(Self {
            window,
            number,
            offset,
            sequence,
            chain: digest,
            digest,
            batch_offset: offset,
            batch_first: 0,
        })
    }

    /// Something is wrong with the next record.
    pub(super) fn bad(&self, why: Why) -> FirstBad {
        FirstBad { sequence: self.sequence, segment: self.number, offset: self.offset, why }
    }

    /// Goes on by one record. A `closed` segment must be followed by nothing but zeros.
    pub(super) fn step(&mut self, closed: bool, payload: &mut Vec<u8>) -> Result<Step, FirstBad> {
        if self.frame(payload)?.is_ok() {
            return Ok(self.record());
        }
        self.window.forget();
        let Err(why) = self.frame(payload)? else { return Ok(self.record()) };
        let tail = Tail::scan(&mut self.window, self.offset, self.sequence);
        let tail = tail.map_err(|error| self.bad(Why::Unreadable(error.kind())))?;
        if !tail.later_batch && (!closed || tail.used == 0) {
            return Ok(Step::End { unfinished: tail.used });
        }
        self.window.forget();
        match self.frame(payload)? {
            Ok(()) => Ok(self.record()),
            Err(Why::NotAFrame) if !tail.later_batch => Err(self.bad(Why::Trailing)),
            Err(_) => Err(self.bad(why)),
        }
    }

    fn record(&self) -> Step {
        Step::Record { sequence: self.sequence - 1 }
    }

    /// Reads the next frame and goes past it if it is good. The outer error is a file that cannot be read.
    fn frame(&mut self, payload: &mut Vec<u8>) -> Result<Result<(), Why>, FirstBad> {
        self.read_frame(payload).map_err(|error| self.bad(Why::Unreadable(error.kind())))
    }

    fn read_frame(&mut self, payload: &mut Vec<u8>) -> io::Result<Result<(), Why>> {
        let Some(fields) = Fields::decode(self.window.at(self.offset, FIELDS_LEN)?) else {
            return Ok(Err(Why::NotAFrame));
        };
        let Some(length) = fields.frame_len() else { return Ok(Err(Why::Length)) };
        if fields.sequence != self.sequence {
            return Ok(Err(Why::Sequence { found: fields.sequence }));
        }
        if fields.batch_first != self.batch_first && fields.batch_first != self.sequence {
            return Ok(Err(Why::Batch));
        }
        let frame = self.window.at(self.offset, length)?;
        let Some((head, body)) = frame.split_at_checked(FRAME_HEAD_LEN).filter(|_| frame.len() == length)
        else {
            return Ok(Err(Why::Length));
        };
        let chain = fields.link(&self.chain, body);
        let Some(next) = self.sequence.checked_add(1).filter(|_| head.ends_with(&chain)) else {
            return Ok(Err(Why::Chain));
        };
        payload.clear();
        payload.extend_from_slice(body);
        if fields.batch_first == self.sequence {
            self.batch_offset = self.offset;
        }
        self.offset += length as u64;
        self.sequence = next;
        self.chain = chain;
        self.batch_first = fields.batch_first;
        Ok(Ok(()))
    }
}
