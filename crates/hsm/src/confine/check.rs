//! Tries what must not work, in the confined process itself, and prints a line for each trial.

use std::ffi::CStr;
use std::io::Write;
use std::path::Path;

use rustix::io::Errno;

use crate::{Failure, confine, sys};

/// A trial: a name, a system call and its arguments. The arguments are such that a call that gets through does no
/// harm: it fails for another reason, or gives a descriptor that ends with this process.
struct Trial {
    name: &'static str,
    number: libc::c_long,
    arguments: [libc::c_long; 6],
}

/// Runs the trials; a line `name refused` or `name ALLOWED` for each.
///
/// # Errors
/// Where the process cannot be confined, or a trial was allowed though it was.
pub(crate) fn run(seal_dir: &Path, unconfined: bool) -> Result<(), Failure> {
    if !unconfined {
        confine::harden()?;
        confine::restrict_files(seal_dir)?;
        confine::filter_calls()?;
    }
    // In a thread, as connections are served.
    let lines: Vec<(&str, bool)> = std::thread::scope(|scope| {
        let trials = scope.spawn(|| trials().iter().map(|trial| (trial.name, refused(trial))).collect());
        trials.join().unwrap_or_default()
    });
    let mut stdout = std::io::stdout().lock();
    for (name, refused) in &lines {
        writeln!(stdout, "{name} {}", if *refused { "refused" } else { "ALLOWED" })?;
    }
    let all = !lines.is_empty() && lines.iter().all(|(_, refused)| *refused);
    if all || unconfined { Ok(()) } else { Err("something was allowed that must not be".into()) }
}

/// Any other error means that the call got as far as looking at its arguments.
fn refused(trial: &Trial) -> bool {
    matches!(sys::attempt(trial.number, trial.arguments), Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS))
}

fn trials() -> Vec<Trial> {
    let trial = |name, number, arguments| Trial { name, number, arguments };
    let open = |name, path: &'static CStr, flags: libc::c_int| {
        let path = path.as_ptr().addr().cast_signed() as libc::c_long;
        let here = libc::c_long::from(libc::AT_FDCWD);
        trial(name, libc::SYS_openat, [here, path, libc::c_long::from(flags), 0o600, 0, 0])
    };
    let long = |value: libc::c_int| libc::c_long::from(value);
    let private = long(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    vec![
        trial("socket-inet", libc::SYS_socket, [long(libc::AF_INET), long(libc::SOCK_STREAM), 0, 0, 0, 0]),
        trial("socket-inet6", libc::SYS_socket, [long(libc::AF_INET6), long(libc::SOCK_DGRAM), 0, 0, 0, 0]),
        trial("socket-unix", libc::SYS_socket, [long(libc::AF_UNIX), long(libc::SOCK_STREAM), 0, 0, 0, 0]),
        trial("connect", libc::SYS_connect, [-1, 0, 0, 0, 0, 0]),
        trial("execve", libc::SYS_execve, [0; 6]),
        trial("execveat", libc::SYS_execveat, [-1, 0, 0, 0, 0, 0]),
        open("open-shadow", c"/etc/shadow", libc::O_RDONLY),
        open("open-passwd", c"/etc/passwd", libc::O_RDONLY),
        open("open-memory", c"/proc/self/mem", libc::O_RDWR),
        open("open-null", c"/dev/null", libc::O_WRONLY),
        trial("ptrace", libc::SYS_ptrace, [-1, 0, 0, 0, 0, 0]),
        trial("process-vm-readv", libc::SYS_process_vm_readv, [0, 0, 0, 0, 0, 1]),
        trial("io-uring-setup", libc::SYS_io_uring_setup, [0; 6]),
        // Flags that the kernel refuses to combine: no process is made where the call gets through.
        trial("fork", libc::SYS_clone, [long(libc::CLONE_SIGHAND), 0, 0, 0, 0, 0]),
        trial("clone3", libc::SYS_clone3, [0; 6]),
        trial("mmap-executable", libc::SYS_mmap, [0, 0, long(libc::PROT_EXEC), private, -1, 0]),
        trial("mprotect-executable", libc::SYS_mprotect, [1, 0, long(libc::PROT_EXEC), 0, 0, 0]),
        trial("memfd-create", libc::SYS_memfd_create, [0; 6]),
        trial("kill", libc::SYS_kill, [0; 6]),
        trial("prctl-dumpable", libc::SYS_prctl, [long(libc::PR_SET_DUMPABLE), 7, 0, 0, 0, 0]),
        // Where the call gets through, this thread (`PRIO_PROCESS`, 0) steps back and soon ends.
        trial("setpriority", libc::SYS_setpriority, [0, 0, 19, 0, 0, 0]),
        trial("setuid", libc::SYS_setuid, [-1, 0, 0, 0, 0, 0]),
        trial("unshare", libc::SYS_unshare, [1, 0, 0, 0, 0, 0]),
        trial("mount", libc::SYS_mount, [0; 6]),
        trial("bpf", libc::SYS_bpf, [-1, 0, 0, 0, 0, 0]),
        trial("perf-event-open", libc::SYS_perf_event_open, [0; 6]),
    ]
}
