//! What earlier releases have written is read (invariant I8): each folder of `corpus` holds a seal and what was made under
//! it. `examples/corpus.rs` makes the folder of a release and says what its lines mean.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use claviger_hsm::seal::file::FileSeal;
use claviger_hsm::{Engine, Session, SystemEntropy};
use claviger_hsm_proto::{
    Binding, Command, CredentialBinding, HostKeyLabel, ImportTerms, MaterialId, MessageKind, Refusal, Reply,
    VERSION, WrappedCredential, WrappedKey,
};

const HOME: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "mrk-1234abcd12ab34cd56ef1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

fn material(hex: &str) -> MaterialId {
    MaterialId(bytes(hex).try_into().unwrap())
}

/// What of a reply must be the same in every release.
#[derive(Debug, PartialEq)]
enum Given {
    Bytes(Vec<u8>),
    Valid(bool),
    Key(MaterialId),
    Refused(Refusal),
}

fn ask(session: &mut Session<'_>, command: &Command<'_>) -> Given {
    match session.answer(Duration::ZERO, command) {
        Reply::Plaintext { plaintext } => Given::Bytes(plaintext.0.to_vec()),
        Reply::SharedSecret { secret } => Given::Bytes(secret.0.to_vec()),
        Reply::SigningKey { key } | Reply::HostKey { key } => Given::Bytes(key.0.to_vec()),
        Reply::Verified { valid } => Given::Valid(valid),
        Reply::KeyWrapped { material, .. } => Given::Key(material),
        Reply::Refused(refusal) => Given::Refused(refusal),
        other => panic!("{other:?}"),
    }
}

/// A key of the corpus: the one that the lines after it are about.
#[derive(Default)]
struct Kept {
    spec: String,
    usage: String,
    material: String,
    token: Vec<u8>,
}

impl Kept {
    fn binding(&self) -> Binding<'_> {
        Binding { spec: &self.spec, usage: &self.usage, ..HOME }
    }

    fn key(&self) -> WrappedKey<'_> {
        WrappedKey { binding: self.binding(), material: material(&self.material), token: &self.token }
    }
}

/// Reads one line; answers what was given, and what must be.
fn read(session: &mut Session<'_>, kept: &Kept, words: &[&str]) -> (Given, Given) {
    let key = kept.key();
    let (kind, last) = (MessageKind::Raw, *words.last().unwrap());
    match words[0] {
        "decrypt" => {
            let (context, blob) = (bytes(words[2].strip_prefix('x').unwrap()), bytes(words[3]));
            let (algorithm, recipient) = (words[1], None);
            let command = Command::Decrypt { key, context: &context, blob: &blob, algorithm, recipient };
            (ask(session, &command), Given::Bytes(bytes(last)))
        }
        "verify" => {
            let (message, signature) = (bytes(words[2]), bytes(last));
            let (algorithm, message, signature) = (words[1], &*message, &*signature);
            let command = Command::Verify { key, algorithm, kind, message, signature };
            (ask(session, &command), Given::Valid(true))
        }
        "mac" => {
            let (message, mac) = (bytes(words[2]), bytes(last));
            let command = Command::VerifyMac { key, algorithm: words[1], message: &message, mac: &mac };
            (ask(session, &command), Given::Valid(true))
        }
        "agree" => {
            let command = Command::DeriveSharedSecret { key, peer: &bytes(words[1]), recipient: None };
            (ask(session, &command), Given::Bytes(bytes(last)))
        }
        "decapsulate" => {
            let command = Command::Decapsulate { key, ciphertext: &bytes(words[1]) };
            (ask(session, &command), Given::Bytes(bytes(last)))
        }
        "transfer" => {
            let binding = Binding { region: words[1], ..kept.binding() };
            let material = material(&kept.material);
            let command = Command::TransferIn { binding, from: HOME.region, material, package: &bytes(last) };
            (ask(session, &command), Given::Key(material))
        }
        _ => read_keyless(session, words),
    }
}

/// The same for what is of no key.
fn read_keyless(session: &mut Session<'_>, words: &[&str]) -> (Given, Given) {
    let last = *words.last().unwrap();
    match words[0] {
        "import" => {
            let terms = ImportTerms {
                wrapping_key: words[1],
                algorithm: words[2],
                valid_to_ms: words[3].parse().unwrap(),
            };
            let (token, wrapped) = (bytes(words[4]), bytes(words[5]));
            let command = Command::ImportKey { binding: HOME, terms, token: &token, material: &wrapped };
            (ask(session, &command), Given::Key(material(last)))
        }
        "credential" => {
            let binding = CredentialBinding { account: HOME.account, access_key_id: words[1] };
            let credential = WrappedCredential { binding, token: &bytes(words[2]) };
            let (date, region, service) = ("20261124", "us-east-1", "kms");
            let command = Command::SigningKey { credential, date, region, service };
            (ask(session, &command), Given::Bytes(bytes(last)))
        }
        "host" => {
            let label = match words[1] {
                "records" => HostKeyLabel::Records,
                "markers" => HostKeyLabel::Markers,
                "sessions" => HostKeyLabel::Sessions,
                "grant-tokens" => HostKeyLabel::GrantTokens,
                "seeds" => HostKeyLabel::Seeds,
                "passwords" => HostKeyLabel::Passwords,
                other => panic!("{other}"),
            };
            (ask(session, &Command::HostKey { label }), Given::Bytes(bytes(last)))
        }
        other => panic!("an unknown line: {other}"),
    }
}

/// A copy of a corpus' seal in a folder as the seal wants it: a checkout keeps neither owner nor mode.
fn seal(from: &Path, to: &Path) -> FileSeal {
    for copy in ["seal-a", "seal-b"] {
        std::fs::copy(from.join(copy), to.join(copy)).unwrap();
        std::fs::set_permissions(to.join(copy), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    FileSeal::open(to, Box::new(SystemEntropy::default()), Box::new(|_| {})).unwrap()
}

/// Reads a release's corpus; answers how many lines of each kind there were.
fn check(folder: &Path) -> BTreeMap<String, usize> {
    let scratch = tempfile::tempdir().unwrap();
    let seal = Box::new(seal(folder, scratch.path()));
    let engine = Engine::start(seal, Box::new(SystemEntropy::default()), 16).unwrap();
    let mut session = engine.session();
    session.answer(Duration::ZERO, &Command::Hello { version: VERSION });
    let (mut kept, mut counts) = (Kept::default(), BTreeMap::new());
    for (number, line) in std::fs::read_to_string(folder.join("corpus.txt")).unwrap().lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        *counts.entry(words[0].to_owned()).or_default() += 1;
        if words[0] == "key" {
            let owned = |at: usize| words[at].to_owned();
            kept = Kept { spec: owned(1), usage: owned(2), material: owned(3), token: bytes(words[4]) };
            continue;
        }
        let what = format!("{} line {}: {:.60}", folder.display(), number + 1, line);
        let of_key = ["import", "credential", "host"].iter().all(|kind| *kind != words[0]);
        let none = Kept { material: "00".repeat(32), ..Kept::default() };
        let (given, expected) = read(&mut session, if of_key { &kept } else { &none }, &words);
        assert_eq!(given, expected, "{what}");
    }
    counts
}

/// The releases, and how many lines of each kind their corpora have.
const RELEASES: &[(&str, &[(&str, usize)])] = &[(
    "0.1.0",
    &[
        ("agree", 8),
        ("credential", 2),
        ("decapsulate", 6),
        ("decrypt", 8),
        ("host", 6),
        ("import", 10),
        ("key", 50),
        ("mac", 8),
        ("transfer", 50),
        ("verify", 24),
    ],
)];

#[test]
fn what_earlier_releases_wrote_is_read() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    assert_eq!(std::fs::read_dir(&corpus).unwrap().count(), RELEASES.len());
    for (release, expected) in RELEASES {
        let counts = check(&corpus.join(release));
        assert!(
            counts.iter().map(|(kind, count)| (&**kind, *count)).eq(expected.iter().copied()),
            "{counts:?}"
        );
    }
}
