//! What is left to the process when it serves, and why. Everything that is not listed is refused.

use landlock::{AccessFs, BitFlags, make_bitflags};

/// One system call that is left.
pub(crate) struct SystemCall {
    pub(crate) number: i64,
    pub(crate) limit: Limit,
    /// Why serving needs it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for people, and for the test that there is one"))]
    pub(crate) why: &'static str,
}

/// What an argument must look like (number of the argument, from 0, and a value).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    Is(u8, u64),
    Has(u8, u64),
    Lacks(u8, u64),
}

const fn call(number: i64, why: &'static str) -> SystemCall {
    SystemCall { number, limit: Limit::None, why }
}

const fn limited(number: i64, limit: Limit, why: &'static str) -> SystemCall {
    SystemCall { number, limit, why }
}

/// `CLONE_VM`, `CLONE_SIGHAND` and `CLONE_THREAD`: a thread of this process, not another process.
const THREAD: u64 = 0x0001_0900;
/// `PROT_EXEC`.
const EXECUTABLE: u64 = 4;
/// `F_GETFD` of fcntl.
const GET_FLAGS: u64 = 1;
/// `PR_SET_NAME`.
const SET_NAME: u64 = 15;

/// What the seal's folder may be used for: its copies are read, written anew, renamed and removed. No folders, links,
/// sockets or devices, and nothing is executed.
pub(crate) fn seal_folder_access() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{ReadFile | WriteFile | MakeReg | RemoveFile | Truncate})
}

/// The system calls that are left.
pub(crate) const SYSTEM_CALLS: &[SystemCall] = &[
    // Connections: only those that arrive at the socket bound before; no call makes or connects a socket.
    call(libc::SYS_accept4, "accepts a connection"),
    call(libc::SYS_getsockopt, "asks for the peer's user"),
    call(libc::SYS_setsockopt, "sets a connection's time limits"),
    call(libc::SYS_recvfrom, "reads commands"),
    call(libc::SYS_sendto, "writes replies"),
    call(libc::SYS_read, "reads a copy of the seal"),
    call(libc::SYS_write, "writes a copy of the seal, log lines and `ready`"),
    call(libc::SYS_shutdown, "ends connections when the program stops"),
    call(libc::SYS_close, "closes connections and files"),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_poll, "waits for a connection, a signal or a command; asks whether a peer has hung up"),
    call(libc::SYS_ppoll, "the same"),
    limited(libc::SYS_fcntl, Limit::Is(1, GET_FLAGS), "debug builds check a descriptor before closing it"),
    // The seal, when a domain key is added. Landlock keeps these to the seal's folder.
    call(libc::SYS_openat, "opens a copy of the seal"),
    call(libc::SYS_fstat, "checks kind, owner and mode of a copy"),
    call(libc::SYS_fchmod, "gives a new copy its mode"),
    call(libc::SYS_fsync, "makes a copy durable"),
    call(libc::SYS_renameat, "puts a new copy in its place"),
    call(libc::SYS_unlinkat, "removes what a crash left behind"),
    // Memory. Nothing becomes executable.
    limited(libc::SYS_mmap, Limit::Lacks(2, EXECUTABLE), "the allocator and thread stacks"),
    limited(libc::SYS_mprotect, Limit::Lacks(2, EXECUTABLE), "the allocator and guard pages"),
    call(libc::SYS_munmap, "the allocator and thread stacks"),
    call(libc::SYS_mremap, "the allocator grows large blocks"),
    call(libc::SYS_madvise, "the allocator and ended threads give memory back"),
    call(libc::SYS_brk, "the allocator"),
    // Threads: one for each connection, and one for a peer that is slow to take what workers have for it.
    limited(libc::SYS_clone, Limit::Has(0, THREAD), "starts a thread"),
    call(libc::SYS_clone3, "answered ENOSYS by the other filter; the C library then uses clone"),
    call(libc::SYS_set_robust_list, "a new thread registers its locks"),
    call(libc::SYS_rseq, "a new thread registers its restartable sequences"),
    call(libc::SYS_sigaltstack, "a thread's stack for reporting that its stack overflowed"),
    call(libc::SYS_sched_getaffinity, "the C library asks for it when a thread looks up its own stack"),
    call(libc::SYS_futex, "locks, and waiting for threads, for work and for room in the pool"),
    limited(libc::SYS_prctl, Limit::Is(0, SET_NAME), "names a thread"),
    call(libc::SYS_gettid, "the C library, in starting and aborting"),
    call(libc::SYS_getpid, "the C library, in aborting"),
    // Signals and the end.
    call(libc::SYS_rt_sigprocmask, "starting a thread, aborting"),
    call(libc::SYS_rt_sigaction, "aborting, and reporting a stack overflow"),
    call(libc::SYS_rt_sigreturn, "returns from a signal"),
    call(libc::SYS_restart_syscall, "the kernel resumes a call that a stop signal interrupted"),
    call(libc::SYS_tgkill, "aborting: a thread signals itself; Landlock keeps signals inside where it can"),
    call(libc::SYS_exit, "a thread ends"),
    call(libc::SYS_exit_group, "the program ends"),
    // Time and randomness.
    call(libc::SYS_clock_gettime, "the time of a command, where the kernel offers no faster way"),
    call(libc::SYS_getrandom, "seeds the generator"),
];
