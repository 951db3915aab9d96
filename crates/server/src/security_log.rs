//! The log of requests that authenticate nobody: bounded, so that garbage can fill neither it nor the ledger.
//!
//! Two files, `security.log` and `security.log.1`; when the first is full it replaces the second. Lines are JSON.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Length at which a file is replaced, in bytes.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// A request that authenticated nobody.
#[derive(Debug, Serialize)]
pub struct Refused<'a> {
    /// When, ISO 8601.
    pub time: String,
    /// `x-amzn-RequestId` of the answer.
    pub request_id: &'a str,
    /// Address of the peer.
    pub peer: std::net::IpAddr,
    /// What stood in place of an operation, at most 128 bytes.
    pub operation: &'a str,
    /// The error that was answered.
    pub error: &'a str,
    /// HTTP status that was answered.
    pub status: u16,
}

/// The log. Shared by all threads.
pub struct SecurityLog {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

impl SecurityLog {
    /// The log at this path. Opened at the first line.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::new(None) }
    }

    /// Adds a line. A disk that is full costs the line, not the service.
    pub fn write(&self, refused: &Refused<'_>) {
        let Ok(mut line) = serde_json::to_vec(refused) else { return };
        line.push(b'\n');
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if slot.as_ref().is_some_and(|(_, written)| written.saturating_add(length) > MAX_FILE) {
            *slot = None;
            let _ = std::fs::rename(&self.path, self.path.with_extension("log.1"));
        }
        if slot.is_none() {
            *slot = open(&self.path).ok();
        }
        if let Some((file, written)) = &mut *slot {
            match file.write_all(&line) {
                Ok(()) => *written = written.saturating_add(length),
                Err(_) => *slot = None,
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path)?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_never_takes_more_than_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("security.log");
        let log = SecurityLog::new(path.clone());
        let operation = "x".repeat(4096);
        for _ in 0..6000 {
            log.write(&Refused {
                time: String::new(),
                request_id: "r",
                peer: std::net::IpAddr::from([127, 0, 0, 1]),
                operation: &operation,
                error: "e",
                status: 400,
            });
        }
        let total: u64 = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(total <= 2 * MAX_FILE, "{total}");
        assert!(dir.path().join("security.log.1").exists());
    }
}
