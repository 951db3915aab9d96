//! System calls that no safe wrapper offers: descriptors for signals, and raw calls for the confinement check.

#![expect(unsafe_code, reason = "signal masks, signal descriptors and raw system calls have no safe wrapper")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getppid, pidfd_open};

/// A descriptor that becomes readable when the process that started this one ends.
///
/// `PR_SET_PDEATHSIG` is not used: it fires when the *thread* that started us ends, and a host starts us from one
/// of a pool.
///
/// # Errors
/// When the parent is gone already.
pub(crate) fn parent() -> io::Result<OwnedFd> {
    let gone = || io::Error::other("the parent process is gone");
    let before = getppid().ok_or_else(gone)?;
    let descriptor = pidfd_open(before, PidfdFlags::empty())?;
    // Had the parent ended before the call, its number could name another process by now.
    if getppid() == Some(before) { Ok(descriptor) } else { Err(gone()) }
}

/// Waits for so many milliseconds at most; answers whether one of the descriptors has become readable.
///
/// # Errors
/// The operating system's.
pub(crate) fn ready_within(millis: u32, one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let nanos = i64::from(millis % 1_000) * 1_000_000;
    let limit = Timespec { tv_sec: (millis / 1_000).into(), tv_nsec: nanos };
    let mut waited = [PollFd::new(one, PollFlags::IN), PollFd::new(other, PollFlags::IN)];
    match poll(&mut waited, Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Blocks SIGTERM and SIGINT for this thread and all it starts, and gives a descriptor that becomes readable when
/// one arrives.
///
/// # Errors
/// The operating system's.
pub(crate) fn stop_signals() -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the set, which is then only passed by pointer; the calls keep no pointer.
    let descriptor = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        if libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Makes a raw system call for the confinement check.
///
/// # Errors
/// The errno. The callers' arguments are such that a call that gets through does no harm: they are refused by the
/// kernel for another reason, or give something that ends with the check.
pub(crate) fn attempt(number: libc::c_long, arguments: [libc::c_long; 6]) -> Result<libc::c_long, Errno> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the callers in `confine/check.rs` pass null pointers or pointers to static text only, so that no
    // memory of this process is written.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 {
        Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    } else {
        Ok(answer)
    }
}
