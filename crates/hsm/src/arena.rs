//! Secret memory: fixed slots of 32 bytes that the rest of the system cannot read.
//!
//! Where the kernel offers `memfd_secret` (Linux 5.14), the slots lie in pages that are taken out of the kernel's own
//! map: not swapped, not dumped, and unreadable through `/proc/PID/mem`, `process_vm_readv` and `ptrace`, even for
//! root. Elsewhere they lie in locked pages that are left out of dumps and wiped in a forked child.
//!
//! What this does not cover: the copy on the stack that an operation works with (cleared when it is done), AWS-LC's
//! own copies while it works ([`crate::primitives`]), and an attacker who runs code inside this process.

#![expect(unsafe_code, reason = "secret memory has to be mapped by hand; nothing else in the library does")]

use std::ffi::c_void;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zeroize::{Zeroize, Zeroizing};

use crate::primitives::{KEY_LEN, Key};

/// How the slots are kept from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `memfd_secret`: unreadable outside this process, for root and the kernel's own map too.
    SecretMemory,
    /// Locked in memory, left out of dumps, wiped on fork.
    LockedMemory,
}

/// Secret memory could not be had.
#[derive(Debug)]
pub struct ArenaError(rustix::io::Errno);

impl std::fmt::Display for ArenaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "locked memory for secrets could not be had (is `RLIMIT_MEMLOCK` too low?): {}", self.0)
    }
}

impl std::error::Error for ArenaError {}

/// A fixed number of slots of secret memory.
pub(crate) struct SecretArena {
    base: NonNull<u8>,
    len: usize,
    protection: Protection,
    free: Mutex<Vec<usize>>,
}

// SAFETY: the mapping lives as long as the arena, is owned by it alone, and each slot is reached through the one
// `Secret` that owns it; the free list is behind a mutex.
unsafe impl Send for SecretArena {}
// SAFETY: as above: a shared arena only hands out slots through its mutex.
unsafe impl Sync for SecretArena {}

impl SecretArena {
    /// Maps room for `slots` secrets. Raises the soft limit on locked memory if the hard limit allows it.
    ///
    /// # Errors
    /// [`ArenaError`] when the kernel gives no locked memory: secrets are never kept in ordinary memory instead.
    pub(crate) fn new(slots: usize) -> Result<Arc<Self>, ArenaError> {
        const PAGE_LEN: usize = 4096;
        let bytes = slots.max(1).saturating_mul(KEY_LEN);
        let len = bytes.checked_next_multiple_of(PAGE_LEN).ok_or(ArenaError(rustix::io::Errno::NOMEM))?;
        raise_lock_limit();
        let (base, protection) = match map_secret(len) {
            Ok(base) => (base, Protection::SecretMemory),
            Err(_) => (map_locked(len).map_err(ArenaError)?, Protection::LockedMemory),
        };
        let free = Mutex::new((0..slots).rev().collect());
        Ok(Arc::new(Self { base, len, protection, free }))
    }

    /// How the slots are kept from being read.
    pub(crate) fn protection(&self) -> Protection {
        self.protection
    }

    /// Copies a key into a free slot; `None` when there is none.
    pub(crate) fn keep(self: &Arc<Self>, key: &Key) -> Option<Secret> {
        let slot = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        let secret = Secret { arena: Arc::clone(self), slot };
        // SAFETY: the slot was free, so no other `Secret` reaches it, and its 32 bytes lie inside the mapping.
        unsafe { ptr::copy_nonoverlapping(key.bytes().as_ptr(), secret.place(), KEY_LEN) };
        Some(secret)
    }
}

/// How many slots a secret of `len` bytes takes.
pub(crate) const fn slots_of(len: usize) -> usize {
    len.div_ceil(KEY_LEN)
}

/// A secret of any length at rest in secret memory, in as many slots as it takes.
pub(crate) struct SecretBytes {
    slots: Vec<Secret>,
    len: usize,
}

impl SecretBytes {
    /// Copies a secret into free slots; `None` when there are too few.
    pub(crate) fn keep(arena: &Arc<SecretArena>, secret: &[u8]) -> Option<Self> {
        let slots = secret.chunks(KEY_LEN).map(|part| {
            let mut key = Key::blank();
            key.bytes_mut().iter_mut().zip(part).for_each(|(place, byte)| *place = *byte);
            arena.keep(&key)
        });
        Some(Self { slots: slots.collect::<Option<_>>()?, len: secret.len() })
    }

    /// A copy for the time of one operation.
    pub(crate) fn copy(&self) -> Zeroizing<Vec<u8>> {
        let mut secret = Zeroizing::new(Vec::with_capacity(self.slots.len() * KEY_LEN));
        self.slots.iter().for_each(|slot| secret.extend_from_slice(slot.copy().bytes()));
        secret.truncate(self.len);
        secret
    }
}

impl Drop for SecretArena {
    fn drop(&mut self) {
        // SAFETY: every `Secret` holds the arena, so none is left; the mapping is ours and is not used again.
        unsafe {
            std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len).zeroize();
            let _ = munmap(self.base.as_ptr().cast::<c_void>(), self.len);
        }
    }
}

impl std::fmt::Debug for SecretArena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretArena({:?})", self.protection)
    }
}

/// A key at rest in secret memory. Its slot is cleared and given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Secret {
    arena: Arc<SecretArena>,
    slot: usize,
}

impl Secret {
    /// A copy for the time of one operation.
    pub(crate) fn copy(&self) -> Key {
        let mut key = Key::blank();
        // SAFETY: the slot is owned by `self`, was written in `keep` and is only written again in `drop`.
        unsafe { ptr::copy_nonoverlapping(self.place(), key.bytes_mut().as_mut_ptr(), KEY_LEN) };
        key
    }

    fn place(&self) -> *mut u8 {
        // SAFETY: `slot` came from the free list, which holds only numbers whose slot lies inside the mapping.
        unsafe { self.arena.base.as_ptr().add(self.slot * KEY_LEN) }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // SAFETY: the slot is owned by `self` and lies inside the mapping; nobody reads it any more.
        unsafe { std::slice::from_raw_parts_mut(self.place(), KEY_LEN).zeroize() };
        self.arena.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

/// The soft limit up to the hard one. A failure shows when the memory is asked for.
fn raise_lock_limit() {
    let limit = getrlimit(Resource::Memlock);
    let _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn map_secret(len: usize) -> rustix::io::Result<NonNull<u8>> {
    let file = secret_file()?;
    rustix::fs::ftruncate(&file, u64::try_from(len).map_err(|_| rustix::io::Errno::NOMEM)?)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address the kernel chooses; the pages stay when the descriptor is closed.
    let base = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, file.as_fd(), 0)? };
    // SAFETY: the range is the mapping just made. The kernel locks such pages itself. They would be shared with a
    // forked child, so they are not forked at all.
    unsafe { ready(base, len, madvise(base, len, Advice::LinuxDontFork)) }
}

fn secret_file() -> rustix::io::Result<OwnedFd> {
    // SAFETY: the call takes one flags argument and gives a new descriptor or -1.
    let raw = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let raw = i32::try_from(raw).ok().filter(|raw| *raw >= 0).ok_or(rustix::io::Errno::NOSYS)?;
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn map_locked(len: usize) -> rustix::io::Result<NonNull<u8>> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address the kernel chooses.
    let base = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE)? };
    // SAFETY: the range is the mapping just made.
    unsafe { ready(base, len, madvise(base, len, Advice::LinuxWipeOnFork).and_then(|()| mlock(base, len))) }
}

/// Leaves a new mapping out of dumps and touches it; unmaps it where that, or what was done before, failed.
///
/// # Safety
/// `base` and `len` must be a mapping that nobody else uses.
unsafe fn ready(
    base: *mut c_void,
    len: usize,
    before: rustix::io::Result<()>,
) -> rustix::io::Result<NonNull<u8>> {
    // SAFETY: by the caller's promise the range is ours; writing zeros to it makes the kernel back every page now,
    // so that a lack of memory shows here and not as a signal later.
    let prepared = before.and_then(|()| unsafe {
        madvise(base, len, Advice::LinuxDontDump)?;
        base.cast::<u8>().write_bytes(0, len);
        Ok(())
    });
    match (prepared, NonNull::new(base.cast::<u8>())) {
        (Ok(()), Some(base)) => Ok(base),
        (prepared, _) => {
            // SAFETY: the mapping is ours and is not used again.
            let _ = unsafe { munmap(base, len) };
            Err(prepared.err().unwrap_or(rustix::io::Errno::NOMEM))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        let mut key = Key::blank();
        key.bytes_mut().fill(byte);
        key
    }

    #[test]
    fn slots_hold_what_was_kept_and_run_out() {
        let arena = SecretArena::new(200).unwrap();
        let kept: Vec<_> = (0..200).map(|byte| arena.keep(&key(byte)).unwrap()).collect();
        assert!(arena.keep(&key(1)).is_none());
        for (byte, secret) in (0..200).zip(&kept) {
            assert_eq!(secret.copy().bytes(), &[byte; 32]);
        }
    }

    #[test]
    fn a_freed_slot_is_zero_and_usable_again() {
        let arena = SecretArena::new(1).unwrap();
        let secret = arena.keep(&key(0xaa)).unwrap();
        let place = secret.place();
        drop(secret);
        // SAFETY: the arena is alive, so the slot is mapped; nobody writes to it here.
        assert_eq!(unsafe { std::slice::from_raw_parts(place, KEY_LEN) }, [0; KEY_LEN]);
        assert_eq!(arena.keep(&key(0xbb)).unwrap().copy().bytes(), &[0xbb; 32]);
    }

    /// Attack J7: memory of this process read from outside the mapping.
    #[test]
    fn secret_memory_cannot_be_read_through_proc() {
        use std::os::unix::fs::FileExt;
        let arena = SecretArena::new(1).unwrap();
        let secret = arena.keep(&key(0xcc)).unwrap();
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let read = memory.read_exact_at(&mut [0; 32], secret.place().addr() as u64);
        assert_eq!(read.is_err(), arena.protection() == Protection::SecretMemory);
        assert_eq!(read.is_err(), secret_file().is_ok(), "secret memory is offered and not used");
    }

    #[test]
    fn the_fallback_holds_secrets_too() {
        let len = 4096;
        let base = map_locked(len).unwrap();
        let arena = Arc::new(SecretArena {
            base,
            len,
            protection: Protection::LockedMemory,
            free: Mutex::new(vec![0]),
        });
        assert_eq!(arena.keep(&key(3)).unwrap().copy().bytes(), &[3; 32]);
    }

    /// What the kernel says of the mapping in which an address lies (proc_pid_smaps(5)).
    fn flags_at(address: usize) -> String {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                return format!("{flags} ");
            }
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text| usize::from_str_radix(text, 16).ok();
            if let Some((Some(start), Some(end))) = range.map(|(start, end)| (bound(start), bound(end))) {
                inside = (start..end).contains(&address);
            }
        }
        panic!("nothing is mapped there");
    }

    /// Attack J7: locked, left out of core files, and not shared with a forked child (`dc`) or wiped there (`wf`).
    #[test]
    fn neither_kind_of_memory_is_swapped_dumped_or_forked() {
        let check = |base: NonNull<u8>, expected: [&str; 3]| {
            let flags = flags_at(base.addr().get());
            for flag in expected {
                assert!(flags.contains(&format!(" {flag} ")), "{flag}: {flags}");
            }
        };
        check(map_locked(4096).unwrap(), ["lo", "dd", "wf"]);
        if secret_file().is_ok() {
            check(map_secret(4096).unwrap(), ["lo", "dd", "dc"]);
        }
    }

    #[test]
    fn secrets_of_any_length_take_the_slots_they_need() {
        let arena = SecretArena::new(4).unwrap();
        for length in [0, 1, 28, 32, 33, 64, 100, 128] {
            let secret: Vec<u8> = (1..=length).collect();
            let kept = SecretBytes::keep(&arena, &secret).unwrap();
            assert_eq!((&*kept.copy(), kept.slots.len()), (&secret, slots_of(secret.len())));
        }
        assert!(SecretBytes::keep(&arena, &[7; 129]).is_none());
        assert!(SecretBytes::keep(&arena, &[7; 128]).is_some(), "what did not fit gave its slots back");
    }

    #[test]
    fn nothing_prints() {
        let arena = SecretArena::new(1).unwrap();
        assert!(!format!("{:?} {:?}", arena.keep(&key(0x41)).unwrap(), key(0x41)).contains("65"));
    }
}
