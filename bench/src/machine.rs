//! What the machine says: CPU and memory of a process, and the disk's own speed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use claviger_server::shell;

/// CPU time that a process has used so far, in microseconds, over all its threads.
pub(crate) fn cpu_micros(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let nanos = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() / 1000
}

/// Memory of a process that is in RAM, in KiB, without the pages of files that are mapped.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Median time of fdatasync(2) after a 4 KiB write into a file that is already written, in microseconds.
pub(crate) fn fdatasync_micros(dir: &Path) -> std::io::Result<u64> {
    const BLOCK: usize = 4096;
    const ROUNDS: usize = 400;
    let path = dir.join("fdatasync");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&vec![0; BLOCK * ROUNDS])?;
    file.sync_all()?;
    let mut micros = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        file.write_all_at(&[1; BLOCK], u64::try_from(round * BLOCK).unwrap_or_default())?;
        let started = shell::instant();
        file.sync_data()?;
        micros.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    drop(file);
    std::fs::remove_file(path)?;
    micros.sort_unstable();
    Ok(micros.get(ROUNDS / 2).copied().unwrap_or_default())
}

/// Name of the processor and how many cores there are.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{} ({cores} cores)", model.map_or("unknown", |(_, name)| name))
}

/// Whether a file can be opened; for waiting on what another process writes.
pub(crate) fn exists(path: &Path) -> bool {
    File::open(path).is_ok()
}
