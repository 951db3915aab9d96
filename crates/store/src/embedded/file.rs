//! The files of a store: `PATH`, which holds everything; `PATH.lock`, held while a process uses it; and `PATH.new`
//! while it is made.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::Error;

/// For the owner only.
const MODE: u32 = 0o600;

/// What a store is kept on. Opened anew after the disk was full.
pub(super) trait Disk: Send + Sync + std::fmt::Debug {
    /// Opens what is there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is not a plain file of its own; [`Error::Unavailable`].
    fn open(&self) -> Result<Box<dyn StorageBackend>, Error>;
}

/// A locked place in the file system. The lock is a file of its own, because the engine gives up its lock on the
/// store while it is closed and opened anew.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Unlocked by the kernel when this is closed, however the process ends.
    _lock: File,
}

impl Place {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::Corrupt`] and [`Error::Unavailable`] as in [`Disk::open`].
    pub(super) fn lock(path: &Path) -> Result<Self, Error> {
        let lock_path = beside(path, ".lock");
        let lock = match create(&lock_path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(&lock_path)?,
            created => created.map_err(|error| unavailable(&lock_path, &error))?,
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked),
            Err(TryLockError::Error(error)) => Err(unavailable(&lock_path, &error)),
        }
    }

    /// Whether something stands at the path, be it a store or not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when that cannot be told: a store must not be made where there may be one.
    pub(super) fn exists(&self) -> Result<bool, Error> {
        match fs::symlink_metadata(&self.path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unavailable(&self.path, &error)),
        }
    }

    /// Makes a store: `fill` fills it under another name, and only when that is durable it gets its own. So a store
    /// that stands at its path is whole, and one that is not whole was never used.
    ///
    /// # Errors
    /// Those of `fill`; [`Error::Full`], [`Error::Unavailable`].
    pub(super) fn make(
        &self,
        fill: impl FnOnce(Box<dyn StorageBackend>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let new = beside(&self.path, ".new");
        let failed = |error: io::Error| unavailable(&new, &error);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = create(&new).map_err(failed)?;
        fill(backend(file.try_clone().map_err(failed)?)?)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&new, &self.path).map_err(failed)?;
        self.sync_folder().map_err(failed)
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Disk for Place {
    fn open(&self) -> Result<Box<dyn StorageBackend>, Error> {
        backend(open(&self.path)?)
    }
}

/// Creates a file that only its owner can use, whatever the umask; follows no link.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

/// Opens a plain file that has no other name. Links, pipes and devices are refused before they are opened, and what was
/// opened must be what was looked at.
fn open(path: &Path) -> Result<File, Error> {
    let failed = |error: io::Error| unavailable(path, &error);
    let seen = fs::symlink_metadata(path).map_err(failed)?;
    if let Some(what) = unfit(&seen) {
        return Err(Error::Corrupt { what: format!("`{}` is {what}", path.display()) });
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
        return Err(Error::Corrupt {
            what: format!("`{}` was replaced while it was opened", path.display()),
        });
    }
    Ok(file)
}

/// Why something in the file system cannot hold a store.
fn unfit(seen: &fs::Metadata) -> Option<&'static str> {
    let kind = seen.file_type();
    if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if !kind.is_file() {
        Some("not a file")
    } else if seen.nlink() > 1 {
        Some("a file with several names")
    } else {
        None
    }
}

fn backend(file: File) -> Result<Box<dyn StorageBackend>, Error> {
    let backend = FileBackend::new(file).map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(Box::new(backend))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn unavailable(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::Unavailable(format!("`{}`: {error}", path.display())),
    }
}
