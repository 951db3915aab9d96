//! Whole blocks, written past the page cache where the file system allows it.
//!
//! A segment is written once and seldom read. In the page cache it would take memory from others, and each of its pages
//! would have to be found and filled twice: with zeros, and with records. Without the cache (`O_DIRECT`, open(2)) the
//! disk takes the bytes from where they stand, which must be whole blocks: the begun block at the end of a segment is
//! written again with each batch, with the same bytes as far as it was there. So it was by the page cache too, and the
//! ledger assumes that this does not harm them.
//!
//! Where the file system refuses, the same blocks go through the cache. Whether it does shows at the first write, which
//! is made where nothing depends on it yet.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::disk::Disk;

/// Length of a block in bytes. No disk in common use asks for more.
pub(super) const BLOCK: usize = 4096;
/// Most bytes of one write.
const MAX_WRITE: usize = 256 << 10;

/// Bytes that begin at a whole block of memory.
#[derive(Debug)]
pub(super) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    pub(super) fn zeros(length: usize) -> Self {
        let bytes = vec![0; length + BLOCK];
        let start = bytes.as_ptr().align_offset(BLOCK).min(BLOCK);
        Self { bytes, start, length }
    }

    /// The first `length` bytes.
    pub(super) fn first(&self, length: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + length.min(self.length)).unwrap_or_default()
    }

    fn all_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + self.length).unwrap_or_default()
    }

    /// Copies as many of `bytes` as fit behind the first `at`; gives how many.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.length.saturating_sub(at));
        if let (Some(to), Some(from)) = (self.all_mut().get_mut(at..at + count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        count
    }
}

/// Writes whole blocks and finds out whether this file takes them past the page cache. For a write that changes nothing
/// which anybody relies on.
pub(super) fn first_write(
    disk: &dyn Disk,
    segment: u64,
    file: &File,
    bytes: &[u8],
    offset: u64,
) -> io::Result<()> {
    let in_blocks = file.metadata()?.len().is_multiple_of(BLOCK as u64);
    let uncached = in_blocks && disk.bypass_cache(file, true).is_ok();
    match disk.write_all_at(segment, file, bytes, offset) {
        Err(error) if uncached && error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            disk.bypass_cache(file, false)?;
            disk.write_all_at(segment, file, bytes, offset)
        }
        outcome => outcome,
    }
}

/// The end of what is written of a file, behind which it has zeros.
#[derive(Debug)]
pub(super) struct End {
    /// The begun block, and room for what follows.
    buffer: Aligned,
    /// Where that block begins in the file.
    block: u64,
    /// How many of its bytes are there.
    begun: usize,
    /// Length of the file in bytes.
    pub(super) length: u64,
}

impl End {
    /// At `block`, where a block begins, of a file of this length.
    pub(super) fn at_block(block: u64, length: u64) -> Self {
        Self { buffer: Aligned::zeros(MAX_WRITE), block, begun: 0, length }
    }

    /// Behind the first `offset` bytes of a file, at least one. The last block of them is written again.
    pub(super) fn find(disk: &dyn Disk, segment: u64, file: &File, offset: u64) -> io::Result<Self> {
        let last = offset.saturating_sub(1);
        let mut end = Self::at_block(last - last % BLOCK as u64, file.metadata()?.len());
        let filled = usize::try_from(offset - end.block).unwrap_or_default();
        file.read_exact_at(end.buffer.all_mut().get_mut(..filled).unwrap_or_default(), end.block)?;
        let block = end.block;
        first_write(disk, segment, file, end.blocks(filled), block)?;
        end.pass(filled);
        Ok(end)
    }

    /// Where the next byte goes.
    pub(super) fn offset(&self) -> u64 {
        self.block + self.begun as u64
    }

    /// Bytes that are left in the file.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.offset())
    }

    /// Appends bytes, of which there may be as many as are left.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        segment: u64,
        file: &File,
        bytes: &[u8],
    ) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.buffer.put(self.begun, rest);
            let (block, filled) = (self.block, self.begun + taken);
            disk.write_all_at(segment, file, self.blocks(filled), block)?;
            self.pass(filled);
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// The first `filled` bytes of the buffer, made up to whole blocks with the zeros that the file has there.
    fn blocks(&mut self, filled: usize) -> &[u8] {
        let whole = filled.next_multiple_of(BLOCK);
        self.buffer.all_mut().get_mut(filled..whole).unwrap_or_default().fill(0);
        // A file that does not end with a whole block does not grow. It is written through the cache.
        let room = usize::try_from(self.length.saturating_sub(self.block)).unwrap_or(usize::MAX);
        self.buffer.first(whole.min(room))
    }

    /// Goes behind the whole blocks among the first `filled` bytes of the buffer.
    fn pass(&mut self, filled: usize) {
        self.begun = filled % BLOCK;
        let whole = filled - self.begun;
        self.block += whole as u64;
        self.buffer.all_mut().copy_within(whole..filled, 0);
    }
}
