//! Disks that fail and disks that are full.

use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use claviger_server::ledger::{Ledger, LedgerError, Preparation, verify};

use super::*;

/// What shall fail.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Sync,
    Write,
    HalfWrite,
}

/// Fails once at the writer's n-th operation, and counts what is still asked of it afterwards.
#[derive(Debug, Clone)]
struct Faulty {
    fault: Fault,
    left: Arc<AtomicU64>,
    after: Arc<AtomicU64>,
}

impl Faulty {
    fn new(fault: Fault, good: u64) -> Self {
        Self { fault, left: Arc::new(AtomicU64::new(good + 1)), after: Arc::default() }
    }

    /// Whether the operation at hand is the one that fails.
    fn strikes(&self, counted: bool) -> bool {
        if std::thread::current().name() != Some("ledger-writer") {
            return false;
        }
        if self.left.load(Ordering::SeqCst) == 0 {
            self.after.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        counted && self.left.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

impl Disk for Faulty {
    fn write_all_at(&self, segment: u64, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.fault {
            Fault::HalfWrite if self.strikes(true) => {
                // Half of it need not be whole blocks.
                SystemDisk.bypass_cache(file, false)?;
                SystemDisk.write_all_at(segment, file, &bytes[..bytes.len() / 2], offset)?;
                Err(io::ErrorKind::WriteZero.into())
            }
            Fault::Write if self.strikes(true) => Err(io::Error::from_raw_os_error(5)),
            Fault::Sync if self.strikes(false) => unreachable!(),
            _ => SystemDisk.write_all_at(segment, file, bytes, offset),
        }
    }

    fn sync(&self, segment: u64, file: &File) -> io::Result<()> {
        if self.strikes(self.fault == Fault::Sync) {
            Err(io::Error::from_raw_os_error(5))
        } else {
            SystemDisk.sync(segment, file)
        }
    }
}

/// The writer's operation after `good` ones fails; records are large, so that rotations are among them.
fn check_failure(fault: Fault, good: u64) {
    let (_home, dir) = place();
    let faulty = Faulty::new(fault, good);
    let (ledger, _) = Ledger::open(&dir, on(faulty.clone())).unwrap();
    let (lane, delivery) = ledger.lane();
    let payload = vec![b'f'; 200_000];
    let acknowledged = block_on(async {
        let mut acknowledged = 0;
        loop {
            let reservation = lane.reserve(payload.len()).await.unwrap();
            let spare = lane.reserve(1).await.unwrap();
            match lane.append(reservation, &payload).await {
                Ok(sequence) => acknowledged = sequence,
                Err(error) => {
                    assert_eq!(error, LedgerError::Failed);
                    assert_eq!(lane.append(spare, b"x").await, Err(LedgerError::Failed));
                    break;
                }
            }
        }
        ledger.failed().await;
        delivery.await;
        assert!(ledger.has_failed());
        assert_eq!(lane.try_reserve(1).unwrap_err(), LedgerError::Failed);
        assert_eq!(lane.reserve(1).await.unwrap_err(), LedgerError::Failed);
        acknowledged
    });
    assert_eq!(ledger.durable_sequence(), acknowledged);
    drop(ledger);
    assert_eq!(faulty.after.load(Ordering::SeqCst), 0, "the disk was used after its failure");
    let (_ledger, opened) = open(&dir);
    let next = acknowledged + 1;
    assert!((next..=next + 1).contains(&opened.next_sequence), "{fault:?} after {good}: {opened:?}");
    assert_eq!(verify(&dir).unwrap().unfinished_bytes, 0);
}

#[test]
fn a_failure_of_the_disk_is_final() {
    for fault in [Fault::Sync, Fault::Write, Fault::HalfWrite] {
        for good in 0..14 {
            check_failure(fault, good);
        }
    }
}

/// All who wait for the batch that fails are told, on each lane, and with the records gathered behind it.
#[test]
fn every_waiter_learns_of_a_failure() {
    #[derive(Debug)]
    struct Shut(Gate);
    impl Disk for Shut {
        fn sync(&self, segment: u64, file: &File) -> io::Result<()> {
            self.0.sync(segment, file)?;
            let writer = std::thread::current().name() == Some("ledger-writer");
            if writer { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
        }
    }
    let (_home, dir) = place();
    let gate = Gate::default();
    gate.set(true);
    let (ledger, _) = Ledger::open(&dir, on(Shut(gate.clone()))).unwrap();
    let lanes: Vec<_> = (0..70).map(|_| ledger.lane()).collect();
    block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (lane, delivery) in lanes {
            tokio::spawn(delivery);
            for _ in 0..5 {
                let append = lane.append(lane.try_reserve(10).unwrap(), b"0123456789");
                tasks.spawn(append);
            }
            tokio::task::yield_now().await;
        }
        gate.wait_for_a_sync();
        gate.set(false);
        let outcomes = tasks.join_all().await;
        assert_eq!(outcomes, vec![Err(LedgerError::Failed); 350]);
    });
}

#[test]
fn a_writer_that_panics_fails_the_ledger() {
    #[derive(Debug)]
    struct Panicking;
    impl Disk for Panicking {
        fn write_all_at(&self, segment: u64, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
            assert_ne!(std::thread::current().name(), Some("ledger-writer"), "meant to be");
            SystemDisk.write_all_at(segment, file, bytes, offset)
        }
    }
    let (_home, dir) = place();
    let (ledger, _) = Ledger::open(&dir, on(Panicking)).unwrap();
    let (lane, _) = ledger.lane();
    assert_eq!(block_on(append(&lane, b"x")), Err(LedgerError::Failed));
}

/// A file system of its own, so that it can be filled.
struct Tmpfs(TempDir);

#[expect(clippy::disallowed_methods, reason = "mount(8) makes the small disk")]
impl Tmpfs {
    fn new(mebibytes: u64) -> Self {
        let at = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "this test needs root and mount(8)");
        Self(at)
    }
}

impl Drop for Tmpfs {
    #[expect(clippy::disallowed_methods, reason = "umount(8) takes it away")]
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Appends until there is no room; gives how many it took.
async fn fill(lane: &Lane, payload: &[u8]) -> u64 {
    let mut taken = 0;
    loop {
        match append(lane, payload).await {
            Ok(_) => taken += 1,
            Err(error) => {
                assert_eq!(error, LedgerError::Full);
                return taken;
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let tmpfs = Tmpfs::new(6);
    let dir = tmpfs.0.path().join("ledger");
    let (ledger, _) = open(&dir);
    let (lane, _) = ledger.lane();
    let payload = vec![b'p'; 10_000];
    let mut total = 0;
    block_on(async {
        let preparation = ledger.preparation();
        preparation.clone().wait_for(|preparation| preparation.attempts > 0).await.unwrap();
        for round in 1..=2_u64 {
            let filler = tmpfs.0.path().join("filler");
            let error = std::fs::write(&filler, vec![0; 7 << 20]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            total += fill(&lane, &payload).await;
            assert!(total >= 100 * round, "the room that was prepared was not used: {total}");
            let Preparation { failure, .. } = *preparation.borrow();
            assert_eq!(failure, Some(io::ErrorKind::StorageFull));

            let before = ledger.durable_sequence();
            for _ in 0..50 {
                assert_eq!(lane.try_reserve(payload.len()).unwrap_err(), LedgerError::Full);
                assert_eq!(lane.reserve(payload.len()).await.unwrap_err(), LedgerError::Full);
            }
            assert!(!ledger.has_failed());
            assert_eq!((ledger.durable_sequence(), verify(&dir).unwrap().last), (before, before));

            std::fs::remove_file(&filler).unwrap();
            // A refusal asks for another attempt; with space, that one succeeds.
            assert_eq!(append(&lane, &payload).await, Ok(before + 1), "round {round}");
            total += 1;
        }
    });
    drop(ledger);
    let verified = verify(&dir).unwrap();
    assert_eq!((verified.records, verified.unfinished_bytes), (total, 0));
}

#[test]
fn a_ledger_is_not_begun_on_a_full_disk() {
    let tmpfs = Tmpfs::new(1);
    let dir = tmpfs.0.path().join("ledger");
    std::fs::write(tmpfs.0.path().join("filler"), vec![0; 500_000]).unwrap();
    for _ in 0..2 {
        assert!(Ledger::open(&dir, options()).is_err());
        assert_eq!(dir.read_dir().unwrap().count(), 0, "something was left behind");
    }
}
