//! The disk as the engine sees it, with what the engine does not check added.
//!
//! redb keeps a checksum of every page in that page's parent, up to the two commit slots of the file's header; it
//! verifies them when it opens a file (we always ask for that), and not when it reads. Two gaps are closed here:
//!
//! - **The header.** One bit of it says which commit slot is the newest. Flipped, it would undo the last commit and
//!   nothing would look amiss. So each write of the header carries a seal behind it: the format of the store and an
//!   HMAC over both. They share the first 512 bytes of the file, which disks write whole or not at all. With the header
//!   authenticated and every page checked against it at opening, no page can be altered, lost, swapped or put back from
//!   an older time while the store is closed. What remains is the whole file, or its first sector alone, put back from an
//!   older time: that is a former state of the store in every respect, and only an anchor outside of it could tell.
//! - **Pages read later.** For each block of 4 KiB a 64-bit hash of what was last written to it, or was read from it
//!   first (by the check at opening), is kept in memory, and what is read must match. That covers names, values and the
//!   inner pages that lead to them: a record cannot go missing from a look-up or a range unnoticed. It costs 8 bytes for
//!   each 4 KiB. The hash is keyed with a random key of this process.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

use super::fault::Faults;
use crate::Error;
use crate::sealer::{Sealer, TAG_LEN};

/// Format of the store as a whole: tables, their keys and values, this file's layout.
const FORMAT: u32 = 1;
/// Length of the engine's header: 64 bytes, then two commit slots of 128 bytes.
const ENGINE_HEADER_LEN: usize = 64 + 2 * 128;
/// Marks a file as ours.
const MARK: &[u8; 8] = b"CLAVIGER";
/// Header, mark, format, tag.
const HEADER_LEN: usize = ENGINE_HEADER_LEN + MARK.len() + 4 + TAG_LEN;
/// The unit of the engine's reads and writes.
const BLOCK_LEN: usize = 4096;
const BLOCK_LEN_U64: u64 = 4096;

// Disks write a sector whole; the header and its seal rely on that.
const _: () = assert!(HEADER_LEN <= 512);

/// A disk with a sealed header and remembered blocks.
#[derive(Debug)]
pub(super) struct Backend {
    disk: Box<dyn StorageBackend>,
    sealer: Arc<Sealer>,
    blocks: Blocks,
    faults: Arc<Faults>,
}

impl Backend {
    /// Over a disk that holds a store, or nothing yet.
    pub(super) fn new(disk: Box<dyn StorageBackend>, sealer: Arc<Sealer>, faults: Arc<Faults>) -> Self {
        Self { disk, sealer, blocks: Blocks::default(), faults }
    }

    /// Says whether the disk holds a store that this program can read; writes nothing.
    ///
    /// # Errors
    /// [`Error::Newer`], [`Error::Corrupt`], [`Error::Unavailable`].
    pub(super) fn check_header(&self) -> Result<(), Error> {
        let mut header = [0; HEADER_LEN];
        let corrupt = |what: &str| Error::Corrupt { what: what.into() };
        match self.disk.read(0, &mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(corrupt("the file is cut short"));
            }
            Err(error) => return Err(Error::Unavailable(format!("read: {error}"))),
            Ok(()) => {}
        }
        let format = format_of(&header).ok_or_else(|| corrupt("the file is not a store"))?;
        if format > FORMAT {
            return Err(Error::Newer { found: format, known: FORMAT });
        }
        if self.unsealed(&header).is_some() {
            Ok(())
        } else {
            Err(corrupt("the header, or the key is another one"))
        }
    }

    /// The engine's part of a header whose seal is good.
    fn unsealed<'h>(&self, header: &'h [u8; HEADER_LEN]) -> Option<&'h [u8]> {
        let (sealed, tag) = header.split_last_chunk::<TAG_LEN>()?;
        let good = format_of(header) == Some(FORMAT) && self.sealer.tagged(sealed, tag);
        if good { sealed.get(..ENGINE_HEADER_LEN) } else { None }
    }

    fn read_header(&self, out: &mut [u8]) -> io::Result<()> {
        let mut header = [0; HEADER_LEN];
        self.disk.read(0, &mut header).map_err(|error| self.faults.note_io("read", error))?;
        let damaged = || self.faults.note_damage("the header".into());
        let plain = self.unsealed(&header).and_then(|plain| plain.get(..out.len())).ok_or_else(damaged)?;
        out.copy_from_slice(plain);
        Ok(())
    }

    fn write_header(&self, plain: &[u8]) -> io::Result<()> {
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.extend_from_slice(plain);
        header.extend_from_slice(MARK);
        header.extend_from_slice(&FORMAT.to_be_bytes());
        let tag = self.sealer.tag(&header);
        header.extend_from_slice(tag.as_ref());
        self.disk.write(0, &header).map_err(|error| self.faults.note_io("write", error))
    }
}

/// The format that a header states, if it is marked as ours.
fn format_of(header: &[u8; HEADER_LEN]) -> Option<u32> {
    let (mark, rest) = header.get(ENGINE_HEADER_LEN..)?.split_first_chunk()?;
    let (format, _) = rest.split_first_chunk()?;
    (mark == MARK).then(|| u32::from_be_bytes(*format))
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.disk.len().map_err(|error| self.faults.note_io("length", error))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset == 0 && out.len() <= ENGINE_HEADER_LEN {
            return self.read_header(out);
        }
        let first =
            self.blocks.first(offset, out.len()).map_err(|error| self.faults.note_io("read", error))?;
        self.disk.read(offset, out).map_err(|error| self.faults.note_io("read", error))?;
        self.blocks.check(first, out).map_err(|block| {
            self.faults.note_damage(format!("block {block} of the file is not what was written"))
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset == 0 && data.len() == ENGINE_HEADER_LEN {
            return self.write_header(data);
        }
        let first =
            self.blocks.first(offset, data.len()).map_err(|error| self.faults.note_io("write", error))?;
        self.blocks.forget(first, data);
        self.disk.write(offset, data).map_err(|error| self.faults.note_io("write", error))?;
        self.blocks.remember(first, data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len).map_err(|error| self.faults.note_io("resize", error))?;
        self.blocks.resize(len).map_err(|error| self.faults.note_io("resize", error))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data().map_err(|error| self.faults.note_flush(error))
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

/// A hash for each block of the file; 0 where nothing is known yet.
#[derive(Debug, Default)]
struct Blocks {
    key: RandomState,
    hashes: RwLock<Vec<AtomicU64>>,
}

impl Blocks {
    /// Number of the block at `offset`; makes room for the hashes of `len` bytes from there.
    ///
    /// # Errors
    /// When the engine does not read or write whole blocks, which it always does.
    fn first(&self, offset: u64, len: usize) -> io::Result<usize> {
        let aligned = offset.is_multiple_of(BLOCK_LEN_U64) && len.is_multiple_of(BLOCK_LEN) && offset > 0;
        let first = usize::try_from(offset / BLOCK_LEN_U64).ok().filter(|_| aligned);
        let first = first.ok_or_else(|| io::Error::other("the engine asks for a part of a block"))?;
        let end = first.saturating_add(len / BLOCK_LEN);
        if end > self.hashes.read().unwrap_or_else(PoisonError::into_inner).len() {
            self.grow(end);
        }
        Ok(first)
    }

    /// Compares with what is known, and remembers what is not. Gives the number of the first block that differs.
    fn check(&self, first: usize, data: &[u8]) -> Result<(), usize> {
        self.each(first, data, |hash, block| {
            let found = self.hash(block);
            let known = hash.compare_exchange(0, found, Ordering::AcqRel, Ordering::Acquire);
            known.is_ok() || known == Err(found)
        })
    }

    /// Remembers what was written.
    fn remember(&self, first: usize, data: &[u8]) {
        let _ = self.each(first, data, |hash, block| {
            hash.store(self.hash(block), Ordering::Release);
            true
        });
    }

    /// Knows nothing of these blocks: a write is under way, and may fail half way.
    fn forget(&self, first: usize, data: &[u8]) {
        let _ = self.each(first, data, |hash, _| {
            hash.store(0, Ordering::Release);
            true
        });
    }

    /// Knows nothing of what lies behind the end of the file.
    fn resize(&self, len: u64) -> io::Result<()> {
        let blocks = usize::try_from(len.div_ceil(BLOCK_LEN_U64)).map_err(io::Error::other)?;
        self.hashes.write().unwrap_or_else(PoisonError::into_inner).truncate(blocks);
        Ok(())
    }

    fn grow(&self, blocks: usize) {
        let mut hashes = self.hashes.write().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() < blocks {
            hashes.resize_with(blocks, AtomicU64::default);
        }
    }

    /// Visits blocks until one does not satisfy; gives its number.
    fn each(
        &self,
        first: usize,
        data: &[u8],
        visit: impl Fn(&AtomicU64, &[u8]) -> bool,
    ) -> Result<(), usize> {
        let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        let known = hashes.get(first..).unwrap_or_default();
        for (number, (hash, block)) in known.iter().zip(data.chunks(BLOCK_LEN)).enumerate() {
            if !visit(hash, block) {
                return Err(first.saturating_add(number));
            }
        }
        Ok(())
    }

    /// Never 0, which stands for unknown.
    fn hash(&self, block: &[u8]) -> u64 {
        self.key.hash_one(block).max(1)
    }
}
