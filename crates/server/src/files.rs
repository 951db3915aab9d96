//! Files that only this user may read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes a folder with mode 0700 and its parents, or sets that mode on one that is there.
///
/// # Errors
/// Those of the system.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// Writes a file with mode 0600, whole or not at all: readers see the old content or the new.
///
/// # Errors
/// Those of the system.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let (mut file, temporary) = begin(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(parent(path))?.sync_all()
}

/// Whether [`write_private`] could write a file there, as far as that can be known before.
///
/// # Errors
/// Those of the system.
pub fn check_private(path: &Path) -> io::Result<()> {
    let (_, temporary) = begin(path)?;
    std::fs::remove_file(temporary)
}

/// A new file beside the one that it is to become.
fn begin(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = parent(path).join(format!(".{name}.new"));
    let _ = std::fs::remove_file(&temporary);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    Ok((file, temporary))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
