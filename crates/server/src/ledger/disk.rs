//! The few file operations that a ledger stands on, and its directory.
//!
//! [`Disk`] is the seam where tests put faults; its provided methods are the real thing. Every file is opened relative
//! to the directory's descriptor, never through a symbolic link, and must be a regular file with one name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::blocks::{Aligned, first_write};

/// The writes and syncs of a ledger. Writes are of whole blocks of 4096 bytes, at whole blocks, but for what recovery
/// repairs and for the end of a file that does not end with a block. The provided methods act on the file; a test
/// replaces some of them.
pub trait Disk: std::fmt::Debug + Send + Sync {
    /// Gives `file` room for `length` bytes, or fails without effect on others.
    fn allocate(&self, file: &File, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length)?)
    }

    /// Writes all of `bytes` at `offset` of the segment of this number.
    fn write_all_at(&self, _segment: u64, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Whether what is written to `file` goes past the page cache from now on. Fails where the file system cannot; where
    /// it only cannot do so in blocks of this size, the next write fails with `EINVAL`.
    fn bypass_cache(&self, file: &File, bypass: bool) -> io::Result<()> {
        let mut flags = rustix::fs::fcntl_getfl(file)?;
        flags.set(OFlags::DIRECT, bypass);
        Ok(rustix::fs::fcntl_setfl(file, flags)?)
    }

    /// Returns when everything written to the segment of this number is on stable storage.
    fn sync(&self, _segment: u64, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {}

/// A disk behind the page cache, where a write without a sync costs no more than a copy. To measure what syncs cost.
#[derive(Debug)]
pub(super) struct Cached(pub(super) Arc<dyn Disk>);

impl Disk for Cached {
    fn allocate(&self, file: &File, length: u64) -> io::Result<()> {
        self.0.allocate(file, length)
    }

    fn write_all_at(&self, segment: u64, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(segment, file, bytes, offset)
    }

    fn bypass_cache(&self, _file: &File, bypass: bool) -> io::Result<()> {
        if bypass { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }

    fn sync(&self, segment: u64, file: &File) -> io::Result<()> {
        self.0.sync(segment, file)
    }
}

const SUFFIX: &str = ".ledger";
const UNFINISHED: &str = "unfinished";
const DIGITS: usize = 20;

/// A ledger's directory, held open.
#[derive(Debug)]
pub(super) struct Directory(File);

impl Directory {
    /// Opens the directory to read it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?.into()))
    }

    /// Opens the directory, and makes it with mode 0700 if it is not there. The parent must exist.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) => {
                let directory = Self::open(path)?;
                rustix::fs::fchmod(&directory.0, Mode::RWXU)?;
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
                Ok(directory)
            }
            Err(Errno::EXIST) => Self::open(path),
            Err(error) => Err(error.into()),
        }
    }

    /// A second descriptor of it; a lock is shared by both.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The permission bits of the directory.
    pub(super) fn mode(&self) -> io::Result<u32> {
        Ok(self.0.metadata()?.mode() & 0o7777)
    }

    /// Takes the lock that only one ledger at a time may hold; `false` if another has it.
    pub(super) fn lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the lock back, also where the descriptor has copies: a reader's, or that of a process being started.
    pub(super) fn unlock(&self) {
        // It fails only for a descriptor that is none; closing the directory unlocks it in any case.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }

    /// The numbers of the segments that are there.
    pub(super) fn segments(&self) -> io::Result<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(SUFFIX));
            let digits = name.filter(|name| name.len() == DIGITS && name.bytes().all(|b| b.is_ascii_digit()));
            let number = digits.and_then(|digits| digits.parse::<u64>().ok());
            // The very last number has none after it, and is never given.
            found.extend(number.filter(|number| *number < u64::MAX));
        }
        Ok(found)
    }

    /// Opens a segment to read it, or to write it as well.
    pub(super) fn open_segment(&self, number: u64, writable: bool) -> io::Result<File> {
        let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        // NONBLOCK, so that a FIFO in the place of a segment is refused instead of waited for.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = rustix::fs::openat(&self.0, segment_name(number), flags, Mode::empty())?.into();
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.nlink() > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file with one name"));
        }
        Ok(file)
    }

    /// Makes a segment of `length` zero bytes, on stable storage under its name when this returns. Its blocks are
    /// written and not only allocated, so that a later write inside it changes no metadata and needs no space.
    pub(super) fn prepare_segment(&self, disk: &dyn Disk, number: u64, length: u64) -> io::Result<File> {
        self.remove_unfinished()?;
        let made = self.fill_unfinished(disk, number, length).and_then(|file| {
            rustix::fs::renameat(&self.0, UNFINISHED, &self.0, segment_name(number))?;
            self.0.sync_all()?;
            Ok(file)
        });
        if made.is_err() {
            // The room must come back at once: this is where a full disk is met.
            self.remove_unfinished()?;
        }
        made
    }

    fn fill_unfinished(&self, disk: &dyn Disk, number: u64, length: u64) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file: File = rustix::fs::openat(&self.0, UNFINISHED, flags, mode)?.into();
        rustix::fs::fchmod(&file, mode)?;
        disk.allocate(&file, length)?;
        // Synced in pieces, so that the syncs of the hot path never queue behind all of it.
        let zeros = Aligned::zeros(1 << 20);
        let mut offset = 0;
        while offset < length {
            let piece = zeros.first(usize::try_from(length - offset).unwrap_or(usize::MAX));
            if offset == 0 {
                first_write(disk, number, &file, piece, offset)?;
            } else {
                disk.write_all_at(number, &file, piece, offset)?;
            }
            offset += piece.len() as u64;
            disk.sync(number, &file)?;
        }
        file.sync_all()?;
        Ok(file)
    }

    /// Removes what a preparation that was cut off has left.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, UNFINISHED, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a segment for good.
    pub(super) fn remove_segment(&self, number: u64) -> io::Result<()> {
        rustix::fs::unlinkat(&self.0, segment_name(number), rustix::fs::AtFlags::empty())?;
        self.0.sync_all()
    }
}

/// The name of a segment's file: its number in 20 digits.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:0DIGITS$}{SUFFIX}")
}
