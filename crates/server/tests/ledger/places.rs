//! Who may open a ledger, and what it refuses to open.

use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use aws_lc_rs::digest;
use claviger_server::ledger::{Ledger, OpenError, Options, Why, verify};

use super::*;

fn refused(dir: &Path) -> OpenError {
    Ledger::open(dir, options()).expect_err("opened")
}

#[test]
fn one_ledger_at_a_time() {
    let (_home, dir) = place();
    let (ledger, _) = open(&dir);
    let (lane, _) = ledger.lane();
    assert!(matches!(refused(&dir), OpenError::Locked));
    assert_eq!(verify(&dir).unwrap().records, 0);
    let records = ledger.records_since(0).unwrap();
    drop(ledger);
    // Neither a lane nor a reader that is left over holds the lock.
    open(&dir);
    drop((lane, records));
}

const UMASK_DIR: &str = "CLAVIGER_TEST_UMASK_DIR";

/// The umask is the process's own, so this one is alone in it.
#[test]
#[ignore = "run by modes_do_not_depend_on_the_umask in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the parent names the directory")]
fn opens_with_a_strange_umask() {
    let dir = PathBuf::from(std::env::var_os(UMASK_DIR).unwrap());
    for (name, mask) in [("open", 0), ("shut", 0o777)] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        let (ledger, _) = open(&dir.join(name));
        append_all(&ledger, [b"record".as_slice()]);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a umask needs a process of its own")]
fn modes_do_not_depend_on_the_umask() {
    let home = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "places::opens_with_a_strange_umask", "--ignored"])
        .env(UMASK_DIR, home.path())
        .status()
        .unwrap();
    assert!(status.success());
    for name in ["open", "shut"] {
        let dir = home.path().join(name);
        assert_eq!(dir.metadata().unwrap().mode() & 0o7777, 0o700);
        let files: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().metadata().unwrap()).collect();
        assert!(!files.is_empty() && files.iter().all(|file| file.mode() & 0o7777 == 0o600));
    }
}

#[test]
fn a_directory_that_others_may_write_is_refused() {
    for mode in [0o770, 0o707, 0o702] {
        let (_home, dir) = place();
        drop(open(&dir));
        rustix::fs::chmod(&dir, rustix::fs::Mode::from_raw_mode(mode)).unwrap();
        assert!(matches!(refused(&dir), OpenError::Exposed { mode: found } if found == mode));
    }
}

#[test]
fn links_and_fifos_are_refused() {
    let (home, dir) = place();
    drop(open(&dir));
    let link = home.path().join("link");
    symlink(&dir, &link).unwrap();
    assert!(matches!(refused(&link), OpenError::Io(_)));
    assert!(verify(&link).is_err());

    let first = segment(&dir, 1);
    let away = home.path().join("away");
    std::fs::hard_link(&first, &away).unwrap();
    assert!(matches!(refused(&dir), OpenError::Io(_)));
    std::fs::remove_file(&first).unwrap();
    symlink(&away, &first).unwrap();
    assert!(matches!(refused(&dir), OpenError::Io(_)));
    assert!(matches!(verify(&dir).unwrap_err().why, Why::Unreadable(_)));
    std::fs::remove_file(&first).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &first, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert!(matches!(refused(&dir), OpenError::Io(_)));
    assert!(verify(&dir).is_err());
    std::fs::remove_file(&first).unwrap();
    std::fs::rename(&away, &first).unwrap();
    open(&dir);
}

#[test]
fn a_plain_file_or_a_missing_parent_is_refused() {
    let (home, dir) = place();
    assert!(matches!(refused(&dir.join("below")), OpenError::Io(_)));
    let file = home.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(refused(&file), OpenError::Io(_)));
    assert!(verify(&dir).is_err());
}

#[test]
fn a_segment_length_below_the_least_is_refused() {
    let (_home, dir) = place();
    let options = Options { segment_bytes: MIB - 1, ..options() };
    assert!(matches!(Ledger::open(&dir, options), Err(OpenError::SegmentLength)));
    assert!(!dir.exists());
}

#[test]
fn another_ledger_is_refused() {
    let (_home, dir) = place();
    drop(open(&dir));
    let options = Options { id: [1; 16], ..options() };
    assert!(matches!(Ledger::open(&dir, options), Err(OpenError::Foreign { found: ID })));
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let (_home, dir) = place();
    drop(open(&dir));
    let path = segment(&dir, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    let digest = digest::digest(&digest::SHA256, &bytes[..HEADER - 32]);
    bytes[HEADER - 32..HEADER].copy_from_slice(digest.as_ref());
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(refused(&dir), OpenError::Newer { segment: 1, version: 2 }));
    assert_eq!(verify(&dir).unwrap_err().why, Why::Newer { version: 2 });
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn what_a_cut_off_preparation_left_is_taken_away() {
    let (_home, dir) = place();
    drop(open(&dir));
    let unfinished = dir.join("unfinished");
    std::fs::write(&unfinished, b"zeros").unwrap();
    drop(open(&dir));
    assert!(!unfinished.exists());
}
