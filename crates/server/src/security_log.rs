//! The log of requests that authenticate nobody: bounded, so that garbage can fill neither it nor the ledger; and shared
//! fairly between those whom it is about ([`limits`]), so that none of them washes out what it says of others.
//!
//! Two files, `security.log` and `security.log.1`; when the first is full it replaces the second. Lines are JSON.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use claviger_service::Moment;
use limits::Limits;
use serde::{Serialize, Serializer};

mod limits;

/// Length at which a file is replaced, in bytes.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// A request that authenticated nobody.
#[derive(Debug, Serialize)]
pub struct Refused<'a> {
    /// When.
    #[serde(serialize_with = "iso")]
    pub time: Moment,
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
    /// Whether sources are kept to their part.
    is_shared: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<(File, u64)>,
    limits: Limits,
}

impl SecurityLog {
    /// The log at this path. Opened at the first line. One that is shared keeps each source to its part of it; where all
    /// requests are of one machine there is nobody to share it with.
    pub fn new(path: PathBuf, is_shared: bool) -> Self {
        Self { path, is_shared, state: Mutex::default() }
    }

    /// Adds a line, or counts one that is too many of its source. A disk that is full costs the line, not the service.
    pub fn write(&self, refused: &Refused<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = state.limits.left_out(refused.time) {
            state.append(&self.path, &left_out);
        }
        if (!self.is_shared || state.limits.admits(refused.peer, refused.time))
            && let Some(length) = state.append(&self.path, refused)
        {
            state.limits.wrote(refused.peer, length, refused.time);
        }
    }
}

impl State {
    /// Writes a line; its length, if it was written.
    fn append(&mut self, path: &Path, line: &impl Serialize) -> Option<u64> {
        let mut line = serde_json::to_vec(line).ok()?;
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.file.as_ref().is_some_and(|(_, written)| written.saturating_add(length) > MAX_FILE) {
            self.file = None;
            let _ = std::fs::rename(path, path.with_extension("log.1"));
            self.limits.begin_file();
        }
        if self.file.is_none() {
            self.file = open(path).ok();
        }
        let (file, written) = self.file.as_mut()?;
        match file.write_all(&line) {
            Ok(()) => {
                *written = written.saturating_add(length);
                Some(length)
            }
            Err(_) => {
                self.file = None;
                None
            }
        }
    }
}

impl Drop for SecurityLog {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = state.limits.rest() {
            state.append(&self.path, &left_out);
        }
    }
}

fn iso<S: Serializer>(time: &Moment, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.iso())
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path)?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const START: i64 = 1_700_000_000_000;

    fn write(log: &SecurityLog, peer: IpAddr, at_ms: i64, operation: &str) {
        log.write(&Refused {
            time: Moment(START + at_ms),
            request_id: "r",
            peer,
            operation,
            error: "e",
            status: 400,
        });
    }

    /// The lines of both files, the oldest first.
    fn lines(dir: &Path) -> Vec<serde_json::Value> {
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        let all = read("security.log.1") + &read("security.log");
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_log_never_takes_more_than_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let log = SecurityLog::new(dir.path().join("security.log"), true);
        let operation = "x".repeat(4096);
        for number in 0..6000_u32 {
            write(&log, Ipv4Addr::from_bits(number / 50).into(), i64::from(number) * 1000, &operation);
        }
        let files = std::fs::read_dir(dir.path()).unwrap();
        let total: u64 = files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(total <= 2 * MAX_FILE, "{total}");
        assert!(dir.path().join("security.log.1").exists());
    }

    /// Attack A20: one source floods, at once or slowly, until nothing else would be in the log.
    #[test]
    fn a20_a_flood_washes_nothing_out_of_the_log() {
        let check = |pause_ms: i64| {
            let dir = tempfile::tempdir().unwrap();
            let log = SecurityLog::new(dir.path().join("security.log"), true);
            let (seen, flood) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
            write(&log, seen, 0, "before");
            let operation = "x".repeat(2048);
            for number in 0..20_000 {
                write(&log, flood, number * pause_ms, &operation);
            }
            write(&log, seen, 20_000 * pause_ms, "after");
            drop(log);
            let lines = lines(dir.path());
            let of = |peer: IpAddr| lines.iter().filter(|line| line["peer"] == peer.to_string()).count();
            let left_out: u64 = lines.iter().filter_map(|line| line["left_out"].as_u64()).sum();
            assert_eq!(of(seen), 2, "{pause_ms}");
            assert_eq!(of(flood) as u64 + left_out, 20_000, "each is written or counted: {pause_ms}");
            assert!(of(flood) < 2000 && left_out > 0, "{pause_ms}");
        };
        check(0);
        check(1);
        check(500);
    }
}
