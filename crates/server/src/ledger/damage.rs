//! What can be wrong with a ledger on disk, and what opening one can answer.

use std::fmt;
use std::io;

use super::format::LedgerId;

/// The first place where a ledger is not what it was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstBad {
    /// The first record that cannot be trusted.
    pub sequence: u64,
    /// Number of the segment in which it stands, or should.
    pub segment: u64,
    /// Where in the segment's file, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub why: Why,
}

impl fmt::Display for FirstBad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, segment, offset, why } = self;
        write!(f, "record {sequence} (segment {segment}, byte {offset}): {why}")
    }
}

impl std::error::Error for FirstBad {}

/// What is wrong with a record or a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No frame begins where one must.
    NotAFrame,
    /// The payload would be longer than allowed, or longer than the file.
    Length,
    /// Another record stands here.
    Sequence {
        /// The sequence number found.
        found: u64,
    },
    /// The record names a batch that it cannot belong to.
    Batch,
    /// The record is not the one that was chained here: it, or what the chain passed before it, was altered.
    Chain,
    /// There are bytes after the last record of a closed segment.
    Trailing,
    /// The segment's header is damaged, or records stand behind no header.
    Header,
    /// The header of the segment after does not continue this segment.
    Link,
    /// The file holds the header of another segment.
    Misplaced {
        /// The segment number in the header.
        found: u64,
    },
    /// The segment belongs to another ledger.
    Foreign,
    /// The file is longer or shorter than its header says.
    FileLength {
        /// The length found, in bytes.
        found: u64,
    },
    /// The segment is of a newer format than this program reads.
    Newer {
        /// The format's version.
        version: u32,
    },
    /// The segment's file is not there although later ones are.
    Missing,
    /// The file could not be read.
    Unreadable(io::ErrorKind),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFrame => f.write_str("no record begins here"),
            Self::Length => f.write_str("the length is impossible"),
            Self::Sequence { found } => write!(f, "record {found} stands in its place"),
            Self::Batch => f.write_str("the batch is impossible"),
            Self::Chain => f.write_str("the chain value does not match"),
            Self::Trailing => f.write_str("bytes follow the last record of a closed segment"),
            Self::Header => f.write_str("the segment header is damaged"),
            Self::Link => f.write_str("the next segment does not continue this one"),
            Self::Misplaced { found } => write!(f, "the file is segment {found}"),
            Self::Foreign => f.write_str("the segment belongs to another ledger"),
            Self::FileLength { found } => write!(f, "the file has {found} bytes, not what its header says"),
            Self::Newer { version } => write!(f, "format {version} is newer than this program reads"),
            Self::Missing => f.write_str("the segment is missing"),
            Self::Unreadable(kind) => write!(f, "the file cannot be read: {kind}"),
        }
    }
}

/// Why a ledger was not opened. Nothing has been changed on disk.
#[derive(Debug)]
pub enum OpenError {
    /// Another process, or another ledger of this one, has it open.
    Locked,
    /// Others than its owner may write the directory.
    Exposed {
        /// The directory's permission bits.
        mode: u32,
    },
    /// The segment length asked for is below [`MIN_SEGMENT_LEN`](super::MIN_SEGMENT_LEN) bytes.
    SegmentLength,
    /// The ledger was written by a newer program.
    Newer {
        /// The segment that says so.
        segment: u64,
        /// Its format version.
        version: u32,
    },
    /// The ledger on disk has this id and not the one given.
    Foreign {
        /// The id found.
        found: LedgerId,
    },
    /// Acknowledged records are damaged or missing. Only a person can decide what happens next.
    Damaged(FirstBad),
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("the ledger is open elsewhere"),
            Self::Exposed { mode } => {
                write!(f, "the ledger's directory is writable by others (mode {mode:04o})")
            }
            Self::SegmentLength => f.write_str("the segment length is too small"),
            Self::Newer { segment, version } => {
                write!(f, "segment {segment} has format {version}, which is newer than this program reads")
            }
            Self::Foreign { .. } => f.write_str("the directory holds another ledger"),
            Self::Damaged(bad) => write!(f, "the ledger is damaged at {bad}"),
            Self::Io(error) => write!(f, "the ledger cannot be opened: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged(bad) => Some(bad),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FirstBad> for OpenError {
    fn from(bad: FirstBad) -> Self {
        match bad.why {
            Why::Newer { version } => Self::Newer { segment: bad.segment, version },
            Why::Unreadable(kind) => Self::Io(kind.into()),
            _ => Self::Damaged(bad),
        }
    }
}
