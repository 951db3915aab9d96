//! Attacks H1, H2, H4, H7 to H9, H11 on the seal's files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;
use crate::random::SystemEntropy;
use crate::seal::DomainKey;

struct Folder {
    dir: tempfile::TempDir,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Folder {
    /// A folder with a seal of `generations` domain keys.
    fn sealed(generations: u32) -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap(), notices: Arc::default() };
        folder.open().unwrap().save(&secrets(generations)).unwrap();
        folder
    }

    fn open(&self) -> Result<FileSeal, SealError> {
        let notices = Arc::clone(&self.notices);
        let notice = move |notice| notices.lock().unwrap().push(notice);
        FileSeal::open(self.dir.path(), Box::new(SystemEntropy::default()), Box::new(notice))
    }

    fn load(&self) -> Result<DomainSecrets, SealError> {
        self.open()?.load()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        drop(fs::remove_file(self.path(name)));
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The other copy is used, this one repaired, and that is said.
    fn check_survives(&self, name: &'static str, case: &str) {
        self.notices.lock().unwrap().clear();
        let loaded = self.load().unwrap_or_else(|error| panic!("{name} {case}: {error}"));
        assert_eq!(loaded.keys.len(), 3, "{name} {case}");
        assert_eq!(self.bytes("seal-a"), self.bytes("seal-b"), "{name} {case}");
        assert_eq!(*self.notices.lock().unwrap(), [Notice::Repaired(name)], "{name} {case}");
    }
}

fn secrets(generations: u32) -> DomainSecrets {
    let key = |generation| DomainKey { generation, key: Key::of([9; 32]) };
    DomainSecrets { id: [1; 16], host_root: Key::of([2; 32]), keys: (1..=generations).map(key).collect() }
}

fn check_refused(folder: &Folder, expected: fn(&SealError) -> bool) {
    let before: Vec<_> = COPIES.iter().map(|name| fs::symlink_metadata(folder.path(name)).ok()).collect();
    let error = folder.load().unwrap_err();
    assert!(expected(&error), "{error:?}");
    let after: Vec<_> = COPIES.iter().map(|name| fs::symlink_metadata(folder.path(name)).ok()).collect();
    let inode = |meta: &Option<fs::Metadata>| meta.as_ref().map(|meta| (meta.ino(), meta.len()));
    assert!(before.iter().map(inode).eq(after.iter().map(inode)), "a refused seal was touched");
}

#[test]
fn what_was_saved_is_loaded_without_a_word() {
    let folder = Folder::sealed(3);
    let loaded = folder.load().unwrap();
    assert_eq!((loaded.id, loaded.host_root.bytes(), loaded.keys.len()), ([1; 16], &[2; 32], 3));
    assert!(folder.notices.lock().unwrap().is_empty());
}

#[test]
fn no_key_stands_in_the_file_as_it_is() {
    let folder = Folder::sealed(3);
    assert!(!folder.bytes("seal-a").windows(32).any(|window| window == [9; 32] || window == [2; 32]));
}

#[test]
fn every_truncation_of_one_copy_is_survived() {
    for name in COPIES {
        let folder = Folder::sealed(3);
        let whole = folder.bytes(name);
        for length in 0..whole.len() {
            folder.write(name, &whole[..length]);
            folder.check_survives(name, &format!("cut to {length}"));
        }
    }
}

#[test]
fn bit_flips_nuls_extensions_and_absence_of_one_copy_are_survived() {
    for name in COPIES {
        let folder = Folder::sealed(3);
        let whole = folder.bytes(name);
        for bit in (0..whole.len() * 8).step_by(5) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            folder.write(name, &flipped);
            folder.check_survives(name, &format!("bit {bit}"));
        }
        folder.write(name, &vec![0; whole.len()]);
        folder.check_survives(name, "NULs");
        folder.write(name, &[&whole[..], &[0]].concat());
        folder.check_survives(name, "one byte longer");
        folder.write(name, &vec![0; MAX_FILE_LEN + 1]);
        folder.check_survives(name, "giant");
        fs::remove_file(folder.path(name)).unwrap();
        folder.check_survives(name, "missing");
    }
}

/// A crash between the two writes: the newer copy counts, whichever it is.
#[test]
fn the_newest_whole_copy_wins() {
    for name in COPIES {
        let folder = Folder::sealed(2);
        let old = folder.bytes(name);
        let mut seal = folder.open().unwrap();
        seal.load().unwrap();
        seal.save(&secrets(3)).unwrap();
        drop(seal);
        folder.write(name, &old);
        folder.check_survives(name, "older");
    }
}

#[test]
fn both_copies_bad_is_refused_and_nothing_is_made() {
    let folder = Folder::sealed(3);
    for bytes in [&[][..], &[0; 300], b"CLVGSEAL"] {
        COPIES.iter().for_each(|name| folder.write(name, bytes));
        check_refused(&folder, |error| matches!(error, SealError::Damaged));
        fs::remove_file(folder.path("seal-a")).unwrap();
        check_refused(&folder, |error| matches!(error, SealError::Damaged));
    }
    fs::remove_file(folder.path("seal-b")).unwrap();
    check_refused(&folder, |error| matches!(error, SealError::Missing));
}

#[test]
fn copies_that_contradict_each_other_are_refused() {
    let (one, other) = (Folder::sealed(3), Folder::sealed(3));
    one.write("seal-b", &other.bytes("seal-b"));
    check_refused(&one, |error| matches!(error, SealError::Conflict));

    let mut foreign = secrets(3);
    foreign.id = [8; 16];
    let mut seal = other.open().unwrap();
    seal.load().unwrap();
    seal.save(&foreign).unwrap();
    drop(seal);
    one.write("seal-b", &other.bytes("seal-b"));
    check_refused(&one, |error| matches!(error, SealError::Conflict));
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = Folder::sealed(3);
    let mut newer = folder.bytes("seal-a");
    newer.truncate(newer.len() - CHECKSUM_LEN);
    newer[9] = 2;
    let checksum = primitives::sha256(&newer);
    newer.extend_from_slice(&checksum);
    folder.write("seal-a", &newer);
    check_refused(&folder, |error| matches!(error, SealError::Newer(2)));
}

#[test]
fn links_pipes_folders_and_open_modes_are_refused() {
    let arrange: [fn(&Folder); 6] = [
        |folder| {
            fs::rename(folder.path("seal-b"), folder.path("elsewhere")).unwrap();
            symlink("elsewhere", folder.path("seal-b")).unwrap();
        },
        |folder| {
            fs::remove_file(folder.path("seal-b")).unwrap();
            fs::hard_link(folder.path("seal-a"), folder.path("seal-b")).unwrap();
        },
        |folder| {
            fs::remove_file(folder.path("seal-a")).unwrap();
            fs::create_dir(folder.path("seal-a")).unwrap();
        },
        |folder| {
            fs::remove_file(folder.path("seal-a")).unwrap();
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, folder.path("seal-a"), FileType::Fifo, mode, 0).unwrap();
        },
        |folder| fs::set_permissions(folder.path("seal-a"), fs::Permissions::from_mode(0o640)).unwrap(),
        |folder| fs::set_permissions(folder.path("seal-b"), fs::Permissions::from_mode(0o604)).unwrap(),
    ];
    for change in arrange {
        let folder = Folder::sealed(3);
        change(&folder);
        check_refused(&folder, |error| matches!(error, SealError::Unsafe(_)));
    }
}

#[test]
fn folders_that_are_links_or_that_others_may_write_to_are_refused() {
    let folder = Folder::sealed(1);
    let outer = tempfile::tempdir().unwrap();
    let link = outer.path().join("link");
    symlink(folder.dir.path(), &link).unwrap();
    let opened = FileSeal::open(&link, Box::new(SystemEntropy::default()), Box::new(|_| {}));
    assert!(matches!(opened, Err(SealError::Unsafe(_))));
    for mode in [0o770, 0o702] {
        fs::set_permissions(folder.dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(folder.open(), Err(SealError::Unsafe(_))), "{mode:o}");
    }
}

/// Attack H10: two programs on one seal would each add a domain key of the same number.
#[test]
fn a_seal_opens_once_at_a_time() {
    let folder = Folder::sealed(1);
    let first = folder.open().unwrap();
    assert!(matches!(folder.open(), Err(SealError::InUse)));
    drop(first);
    folder.open().unwrap();
}

#[test]
fn files_are_private_and_leftovers_of_a_crash_do_no_harm() {
    let folder = Folder::sealed(1);
    folder.write("seal-a.new", b"torn");
    let mut seal = folder.open().unwrap();
    seal.load().unwrap();
    seal.save(&secrets(2)).unwrap();
    for name in COPIES {
        assert_eq!(fs::metadata(folder.path(name)).unwrap().mode() & 0o7777, 0o600);
    }
    assert!(!folder.path("seal-a.new").exists());
    assert_eq!(seal.load().unwrap().keys.len(), 2);
}

#[test]
fn a_failed_write_uses_its_number_up() {
    let folder = Folder::sealed(1);
    let mut seal = folder.open().unwrap();
    seal.load().unwrap();
    // A folder in the place of the new file of the second copy: the first copy is written, the second is not.
    fs::create_dir(folder.path("seal-b.new")).unwrap();
    assert!(seal.save(&secrets(2)).is_err());
    fs::remove_dir(folder.path("seal-b.new")).unwrap();
    seal.save(&secrets(3)).unwrap();
    drop(seal);
    assert_eq!(folder.load().unwrap().keys.len(), 3);
}
