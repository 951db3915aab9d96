//! A seal in two files, for development and for machines whose disk is protected otherwise.
//!
//! Whoever can read the files has the domain: the key that encrypts the content stands beside it. That encryption
//! gives integrity and keeps the keys out of a search through the disk; it is not protection against a reader.
//!
//! | length | content |
//! |---|---|
//! | 8 | `CLVGSEAL` |
//! | 2 | format, big endian |
//! | 8 | counter, big endian: the higher is the newer |
//! | 32 | file key, new at each write |
//! | 12 | initialization vector |
//! | 4 | length of what follows without the checksum, big endian |
//! | n | CBOR of the secrets under AES-256-GCM; everything before is its associated data |
//! | 32 | SHA-256 of everything before |
//!
//! Every format begins with magic and format and ends with the checksum, so a damaged file is never taken for one of
//! a newer format. The two copies are the same, byte for byte, and are written one after the other: each to a new
//! file that is synced, renamed over the old one, made durable with its folder and read back. A crash at any moment
//! leaves at least one whole copy. Opening uses the newest whole copy and repairs the other.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::primitives::{self, IV_LEN, KEY_LEN, Key, TAG_LEN};
use crate::random::Random;
use crate::seal::{DomainSecrets, Seal, SealError};

/// The first eight bytes of each copy.
const MAGIC: [u8; 8] = *b"CLVGSEAL";
/// The newest format this version knows.
const FORMAT: u16 = 1;
/// Length of everything before the ciphertext, in bytes.
const HEAD_LEN: usize = 8 + 2 + 8 + KEY_LEN + IV_LEN + 4;
const CHECKSUM_LEN: usize = 32;
/// Longest copy that is read, in bytes; a full ring takes about 200 KiB.
const MAX_FILE_LEN: usize = 1024 * 1024;
/// The names of the copies, in the order in which they are written.
const COPIES: [&str; 2] = ["seal-a", "seal-b"];

/// A seal in a folder that belongs to this program alone.
pub struct FileSeal {
    folder: OwnedFd,
    /// This program's user, asked for once: the confined program cannot ask again.
    owner: u32,
    random: Box<dyn Random>,
    notice: Box<dyn Fn(Notice) + Send>,
    /// Counter of the newest copy that was seen or tried; a failed write uses its number up.
    counter: u64,
}

/// Something the operator should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// This copy was missing, damaged or older, and was written again from the other one.
    Repaired(&'static str),
}

enum Found {
    Missing,
    Damaged,
    Whole { counter: u64, secrets: DomainSecrets, bytes: Zeroizing<Vec<u8>> },
}

impl FileSeal {
    /// Opens the folder and locks it for as long as the seal lives.
    ///
    /// # Errors
    /// [`SealError::Unsafe`] for a folder that is a link, belongs to somebody else or that others may write to;
    /// [`SealError::InUse`] where another process holds it.
    pub fn open(
        folder: &Path,
        random: Box<dyn Random>,
        notice: Box<dyn Fn(Notice) + Send>,
    ) -> Result<Self, SealError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => {
                SealError::Unsafe("the seal's folder is not a folder, or is a link")
            }
            errno => SealError::Io(errno),
        })?;
        let (stat, owner) = (rustix::fs::fstat(&folder)?, rustix::process::geteuid().as_raw());
        if stat.st_uid != owner {
            return Err(SealError::Unsafe("the seal's folder belongs to another user"));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(SealError::Unsafe("others may write to the seal's folder"));
        }
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder, owner, random, notice, counter: 0 }),
            Err(Errno::WOULDBLOCK) => Err(SealError::InUse),
            Err(errno) => Err(SealError::Io(errno)),
        }
    }

    fn find(&self, name: &str) -> Result<Found, SealError> {
        match self.read(name) {
            Ok(bytes) => parse(bytes),
            Err(SealError::Missing) => Ok(Found::Missing),
            // What the disk cannot give back is what the other copy is for.
            Err(SealError::Damaged | SealError::Io(Errno::IO)) => Ok(Found::Damaged),
            Err(error) => Err(error),
        }
    }

    /// Reads one copy. The file must be a regular one of ours that nobody else can read and that has no other name.
    fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        // Without NONBLOCK, opening a pipe that stands in the file's place would wait for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&self.folder, name, flags, Mode::empty()).map_err(|errno| match errno {
                Errno::NOENT => SealError::Missing,
                Errno::LOOP | Errno::NXIO => SealError::Unsafe("a copy of the seal is not a regular file"),
                errno => SealError::Io(errno),
            })?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Err(SealError::Unsafe("a copy of the seal is not a regular file with one name"));
        }
        if stat.st_uid != self.owner {
            return Err(SealError::Unsafe("a copy of the seal belongs to another user"));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(SealError::Unsafe(
                "others may read or write a copy of the seal (mode 0600 is needed)",
            ));
        }
        let length = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if length > MAX_FILE_LEN {
            return Err(SealError::Damaged);
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::read(&file, rest) {
                Ok(0) => return Err(SealError::Damaged),
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(SealError::Io(errno)),
            }
        }
        Ok(bytes)
    }

    /// Replaces one copy so that a crash leaves the old or the new one whole, then reads it back.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), SealError> {
        let fresh = format!("{name}.new");
        match rustix::fs::unlinkat(&self.folder, &fresh, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(SealError::Io(errno)),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.folder, &fresh, flags, mode)?;
        // The umask can only take rights away from the mode above; this gives the owner's back.
        rustix::fs::fchmod(&file, mode)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match rustix::io::write(&file, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(SealError::Io(errno)),
            }
        }
        rustix::fs::fsync(&file)?;
        rustix::fs::renameat(&self.folder, &fresh, &self.folder, name)?;
        rustix::fs::fsync(&self.folder)?;
        if self.read(name)?.as_slice() == bytes { Ok(()) } else { Err(SealError::Damaged) }
    }

    fn repair(&self, name: &'static str, bytes: &[u8]) -> Result<(), SealError> {
        self.write(name, bytes)?;
        (self.notice)(Notice::Repaired(name));
        Ok(())
    }
}

impl Seal for FileSeal {
    fn load(&mut self) -> Result<DomainSecrets, SealError> {
        let [a, b] = COPIES;
        match (self.find(a)?, self.find(b)?) {
            (Found::Missing, Found::Missing) => Err(SealError::Missing),
            (
                Found::Whole { counter, secrets, bytes },
                Found::Whole { counter: other, bytes: others, secrets: old },
            ) => {
                if secrets.id != old.id || (counter == other && *bytes != *others) {
                    return Err(SealError::Conflict);
                }
                self.counter = counter.max(other);
                match counter.cmp(&other) {
                    std::cmp::Ordering::Equal => Ok(secrets),
                    std::cmp::Ordering::Greater => self.repair(b, &bytes).map(|()| secrets),
                    std::cmp::Ordering::Less => self.repair(a, &others).map(|()| old),
                }
            }
            (Found::Whole { counter, secrets, bytes }, _) => {
                self.counter = counter;
                self.repair(b, &bytes).map(|()| secrets)
            }
            (_, Found::Whole { counter, secrets, bytes }) => {
                self.counter = counter;
                self.repair(a, &bytes).map(|()| secrets)
            }
            _ => Err(SealError::Damaged),
        }
    }

    fn save(&mut self, secrets: &DomainSecrets) -> Result<(), SealError> {
        self.counter = self.counter.checked_add(1).ok_or(SealError::Damaged)?;
        let bytes = serialize(self.counter, secrets, &*self.random)?;
        COPIES.iter().try_for_each(|name| self.write(name, &bytes))
    }
}

impl std::fmt::Debug for FileSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSeal(counter {})", self.counter)
    }
}

fn serialize(
    counter: u64,
    secrets: &DomainSecrets,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (mut key, mut iv) = (Key::blank(), [0; IV_LEN]);
    random.fill(key.bytes_mut()).map_err(|_| SealError::Randomness)?;
    random.fill(&mut iv).map_err(|_| SealError::Randomness)?;
    let mut clear = secrets.encode()?;
    let length = u32::try_from(clear.len() + TAG_LEN).map_err(|_| SealError::Damaged)?;
    let mut out = Zeroizing::new(Vec::with_capacity(HEAD_LEN + clear.len() + TAG_LEN + CHECKSUM_LEN));
    for part in
        [&MAGIC[..], &FORMAT.to_be_bytes(), &counter.to_be_bytes(), key.bytes(), &iv, &length.to_be_bytes()]
    {
        out.extend_from_slice(part);
    }
    let tag = primitives::encrypt(&key, &iv, &out, &mut clear).map_err(|_| SealError::Damaged)?;
    out.extend_from_slice(&clear);
    out.extend_from_slice(&tag);
    let checksum = primitives::sha256(&out);
    out.extend_from_slice(&checksum);
    Ok(out)
}

/// Reads one copy; anything that is not whole is [`Found::Damaged`].
///
/// # Errors
/// [`SealError::Newer`] for a whole file of a newer format.
fn parse(bytes: Zeroizing<Vec<u8>>) -> Result<Found, SealError> {
    match parse_whole(&bytes) {
        Ok((counter, secrets)) => Ok(Found::Whole { counter, secrets, bytes }),
        Err(SealError::Newer(format)) => Err(SealError::Newer(format)),
        Err(_) => Ok(Found::Damaged),
    }
}

fn parse_whole(bytes: &[u8]) -> Result<(u64, DomainSecrets), SealError> {
    let damaged = SealError::Damaged;
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_LEN>() else { return Err(damaged) };
    let Some((magic, rest)) = content.split_first_chunk::<8>() else { return Err(damaged) };
    let Some((format, rest)) = rest.split_first_chunk::<2>() else { return Err(damaged) };
    if *magic != MAGIC || *checksum != primitives::sha256(content) {
        return Err(damaged);
    }
    match u16::from_be_bytes(*format) {
        FORMAT => {}
        newer if newer > FORMAT => return Err(SealError::Newer(newer)),
        _ => return Err(damaged),
    }
    let Some((head, sealed)) = content.split_at_checked(HEAD_LEN) else { return Err(damaged) };
    open(head, rest, sealed).ok_or(damaged)?
}

fn open(head: &[u8], rest: &[u8], sealed: &[u8]) -> Option<Result<(u64, DomainSecrets), SealError>> {
    let (counter, rest) = rest.split_first_chunk::<8>()?;
    let (file_key, rest) = rest.split_first_chunk::<KEY_LEN>()?;
    let (iv, rest) = rest.split_first_chunk::<IV_LEN>()?;
    let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    if usize::try_from(length) != Ok(sealed.len()) {
        return None;
    }
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
    let mut key = Key::blank();
    key.bytes_mut().copy_from_slice(file_key);
    let mut clear = Zeroizing::new(vec![0; ciphertext.len()]);
    primitives::decrypt(&key, iv, head, ciphertext, tag, &mut clear)?;
    Some(DomainSecrets::decode(&clear).map(|secrets| (u64::from_be_bytes(*counter), secrets)))
}

#[cfg(test)]
mod tests;
