//! A process by its descriptor: signals go to that process and to no other, whatever becomes of its number.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

/// Longest wait for a process that was killed.
const END_WAIT: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// A process of this machine.
pub(crate) struct Process {
    pid: u32,
    descriptor: Arc<OwnedFd>,
}

impl Process {
    /// The process of this number, if there is one.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let raw = Pid::from_raw(pid.cast_signed())?;
        let descriptor = rustix::process::pidfd_open(raw, PidfdFlags::empty()).ok()?;
        Some(Self { pid, descriptor: Arc::new(descriptor) })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; answers whether the process was still there.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        rustix::process::pidfd_send_signal(&self.descriptor, signal).is_ok()
    }

    /// Resolves when it has ended.
    pub(crate) async fn ended(&self) {
        let descriptor = Arc::clone(&self.descriptor);
        // The descriptor of a process can be read from once the process has ended.
        let wait = move || poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&END_WAIT)).unwrap();
        let ended = tokio::task::spawn_blocking(wait).await.unwrap();
        assert_eq!(ended, 1, "process {} does not end", self.pid);
    }

    /// The processes that it started and that have not ended.
    pub(crate) fn children(&self) -> Vec<Self> {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else { return Vec::new() };
        let listed =
            tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids: Vec<u32> = listed
            .flat_map(|line| line.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
            .collect();
        pids.into_iter().filter_map(Self::find).collect()
    }

    /// A file of its folder in `/proc`.
    pub(crate) fn proc(&self, name: &str) -> std::path::PathBuf {
        format!("/proc/{}/{name}", self.pid).into()
    }
}
