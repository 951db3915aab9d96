//! Canary keys are made, imported and used; then their bytes are searched for wherever the host could have left them.
//!
//! The host's memory, both programs' environment and arguments, every file, every log and all that went over the
//! socket between host and HSM: none may hold a key's material, the domain key or the root of the host's keys. Each
//! search is shown to find what must be there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

#[path = "residue/image.rs"]
mod image;
#[path = "residue/imported.rs"]
mod imported;
#[cfg(test)]
#[path = "residue/needles.rs"]
mod needles;
#[path = "residue/secrets.rs"]
mod secrets;
#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;
#[path = "residue/wire.rs"]
mod wire;

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use imported::Imported;
use needles::{Hits, Needles};
use rustix::process::Signal;
use secrets::Secrets;
use serde_json::{Value, json};
use support::client::{Client, base64};
use support::process::Process;
use support::served::{Service, Site};
use wire::Recorder;

const ACCOUNT: &str = "111122223333";
const REGION: &str = support::client::REGION;
/// How often the canary is used in each way.
const USES: usize = 20;

/// Host, recorder and HSM, with canaries that were used.
struct World {
    site: Site,
    hsm: Service,
    host: Service,
    recorder: Recorder,
    key_id: String,
    imported: Imported,
    /// A data key that the host has handed out: it went over the socket.
    data_key: Vec<u8>,
}

impl World {
    async fn new() -> Self {
        let site = Site::new(1);
        let hsm = site.start_hsm().await;
        let recorder = Recorder::start(&site.dir().join("between.sock"), &site.socket());
        let host = start_host(&site, &recorder).await;
        let mut client = connect(&site).await;
        let made = client.call("CreateKey", &json!({"Description": "canary"})).await.unwrap().succeeded();
        let key_id = made.body["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let data_key = use_key(&mut client, &key_id).await;
        let imported = Imported::new(&mut client).await;
        Self { site, hsm, host, recorder, key_id, imported, data_key }
    }

    /// The secrets, read from the files while the host stands still.
    fn secrets(&self) -> Secrets {
        let store = self.site.data_dir().join("store.redb");
        let (seal, key_id) = (self.site.seal_dir(), self.key_id.clone());
        // A runtime of its own is needed, and there is one on this thread already.
        std::thread::spawn(move || secrets::read(&seal, &store, ACCOUNT, REGION, &key_id)).join().unwrap()
    }
}

async fn start_host(site: &Site, recorder: &Recorder) -> Service {
    let listener = |port| format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\n");
    site.start_host(recorder.socket(), listener).await
}

async fn connect(site: &Site) -> Client {
    Client::connect(&format!("127.0.0.1:{}", site.port()), &site.credentials()).await.unwrap()
}

/// Uses a key in every way there is. Gives the last data key.
async fn use_key(client: &mut Client, key_id: &str) -> Vec<u8> {
    let mut data_key = Vec::new();
    for use_number in 0..USES {
        let plaintext = base64(format!("plaintext {use_number}").as_bytes());
        let sealed = ask(client, "Encrypt", json!({"KeyId": key_id, "Plaintext": plaintext})).await;
        let blob = sealed["CiphertextBlob"].clone();
        let opened = ask(client, "Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened["Plaintext"], plaintext);
        ask(client, "ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key_id})).await;
        let made = ask(client, "GenerateDataKey", json!({"KeyId": key_id, "KeySpec": "AES_256"})).await;
        data_key = support::client::unbase64(made["Plaintext"].as_str().unwrap());
        // It leaves the cache of unwrapped keys and comes back.
        ask(client, "DisableKey", json!({"KeyId": key_id})).await;
        ask(client, "EnableKey", json!({"KeyId": key_id})).await;
    }
    data_key
}

async fn ask(client: &mut Client, operation: &str, input: Value) -> Value {
    client.call(operation, &input).await.unwrap().succeeded().body
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn canaries<'s>(secrets: &'s Secrets, imported: impl Iterator<Item = (&'s str, &'s [u8])>) -> Needles {
    let read = [
        ("material", secrets.material.as_slice()),
        ("domain key", secrets.domain_key.as_slice()),
        ("host root", secrets.host_root.as_slice()),
    ];
    Needles::new(read.into_iter().chain(imported))
}

fn one(name: &str, secret: &[u8]) -> Needles {
    Needles::new([(name, secret)])
}

fn hits_in(needles: &Needles, haystack: &[u8]) -> u64 {
    let mut hits = Hits::new();
    needles.search(haystack, &mut hits);
    hits.values().sum()
}

/// Attack J7: the host's memory, as a core dump would show it.
#[test]
fn the_hosts_memory_holds_no_key() {
    block_on(async {
        let world = World::new().await;
        let host = world.host.process();
        host.signal(Signal::STOP);
        let secrets = world.secrets();
        let canaries = canaries(&secrets, world.imported.secrets());
        let searched = image::search(host, &canaries).unwrap();
        assert_eq!(searched.hits, Hits::new());
        assert_eq!(searched.withheld, Vec::<String>::new(), "parts of the host were not searched");
        // The search sees the host's heap: the wrapped key is in its cache.
        let wrapped = image::search(host, &one("token", &secrets.token)).unwrap();
        assert!(!wrapped.hits.is_empty(), "the search does not see the host's cache");
        // It would have found the canaries: this process has them.
        let this = Process::find(std::process::id()).unwrap();
        let found = image::search(&this, &canaries).unwrap();
        let imported = world.imported.secrets().map(|(name, _)| name);
        for name in ["material", "domain key", "host root"].into_iter().chain(imported) {
            let whole = format!("{name} first half");
            assert!(found.hits.keys().any(|hit| hit.starts_with(&whole)), "{name}: {found:?}");
        }
        println!("searched {} bytes of the host; wrapped key found {:?}", searched.bytes, wrapped.hits);
        let secret = world.site.credentials().secret_access_key;
        let credential = image::search(host, &one("secret access key", secret.as_bytes())).unwrap();
        println!("secret access key in the memory of the host that made it: {:?}", credential.hits);
        host.signal(Signal::CONT);
        world.host.stop().await;
    });
}

/// A host that starts with credentials that exist never sees a secret access key.
#[test]
fn a_host_that_did_not_make_the_credentials_never_has_them() {
    block_on(async {
        let world = World::new().await;
        world.host.stop().await;
        let host = start_host(&world.site, &world.recorder).await;
        drop(use_key(&mut connect(&world.site).await, &world.key_id).await);
        let secret = world.site.credentials().secret_access_key;
        let needles = one("secret access key", secret.as_bytes());
        let searched = image::search(host.process(), &needles).unwrap();
        assert_eq!(searched.hits, Hits::new());
        let this = Process::find(std::process::id()).unwrap();
        assert!(!image::search(&this, &needles).unwrap().hits.is_empty(), "the search finds nothing at all");
    });
}

/// Attack J3: the line between host and HSM, in both directions, from its first byte.
#[test]
fn the_line_to_the_hsm_carries_no_key() {
    block_on(async {
        let world = World::new().await;
        let secrets = world.secrets();
        let canaries = canaries(&secrets, world.imported.secrets());
        let tapes = world.recorder.tapes();
        assert!(tapes.len() >= 4, "the host's threads connect each");
        for tape in &tapes {
            assert_eq!(hits_in(&canaries, tape), 0);
        }
        // What the line does carry is found on it: the wrapped key, and the data key that was asked for.
        let count = |needles: &Needles| tapes.iter().map(|tape| hits_in(needles, tape)).sum::<u64>();
        assert!(count(&one("token", &secrets.token)) > 0, "the wrapped key is not on the tapes");
        assert!(count(&one("data key", &world.data_key)) > 0, "the data key is not on the tapes");
    });
}

/// Every file that host and HSM write, and what others can read of how they were started.
#[test]
fn files_logs_and_arguments_hold_no_key() {
    block_on(async {
        let world = World::new().await;
        let secrets = world.secrets();
        let canaries = canaries(&secrets, world.imported.secrets());
        for process in [world.host.process(), world.hsm.process()] {
            for name in ["environ", "cmdline"] {
                match std::fs::read(process.proc(name)) {
                    Ok(bytes) => {
                        assert_eq!(hits_in(&canaries, &bytes), 0, "{name}");
                        let secret = world.site.credentials().secret_access_key;
                        assert_eq!(hits_in(&one("secret", secret.as_bytes()), &bytes), 0, "{name}");
                    }
                    // The kernel shows them to nobody, which is better still.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
                }
            }
        }
        world.host.stop().await;
        world.hsm.stop().await;
        let mut files = 0;
        let data_key = one("data key", &world.data_key);
        each_file(world.site.dir(), &mut |path, bytes| {
            assert_eq!(hits_in(&canaries, bytes), 0, "{}", path.display());
            assert_eq!(hits_in(&data_key, bytes), 0, "{}", path.display());
            files += 1;
        });
        assert!(files >= 8, "store, ledger, seal, logs and the rest, not {files} files");
        // The search reads what is written: the host's own file with the credentials has the secret.
        let credentials = std::fs::read(world.site.data_dir().join("root-credentials")).unwrap();
        let secret = world.site.credentials().secret_access_key;
        assert!(hits_in(&one("secret", secret.as_bytes()), &credentials) > 0);
    });
}

fn each_file(dir: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            each_file(&entry.path(), look);
        } else if kind.is_file() {
            look(&entry.path(), &std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Attack J7 on the HSM itself: root reads its memory, and finds no key outside the part that nobody can read.
#[test]
fn the_hsms_keys_are_where_not_even_root_can_read() {
    block_on(async {
        let world = World::new().await;
        let hsm = world.hsm.process();
        for process in [world.host.process(), hsm] {
            check_core_limit(process);
        }
        let maps = match image::mappings(hsm) {
            Ok(maps) => maps,
            // Who is not root is not even shown where its memory is.
            Err(error) => return assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        };
        let secret = maps.iter().find(|mapping| mapping.name.starts_with("/secretmem"));
        let says = world.site.log("hsm").contains("SecretMemory");
        assert_eq!(secret.is_some(), says, "the HSM says otherwise than the kernel");
        let Some(secret) = secret else { return println!("this kernel has no secret memory") };
        let memory = std::fs::File::open(hsm.proc("mem")).unwrap();
        for at in (secret.start..secret.end).step_by(4096) {
            assert!(memory.read_at(&mut [0; 32], at).is_err(), "secret memory was read");
        }
        // Asymmetric keys in use are not promised to be there (SECURITY.md), and the search does see them.
        let secrets = world.secrets();
        let searched = image::search(hsm, &canaries(&secrets, world.imported.kept_whole())).unwrap();
        assert_eq!(searched.withheld, [secret.name.as_str()]);
        println!("searched {} bytes of the HSM", searched.bytes);
        assert_eq!(searched.hits, Hits::new());
        // The search sees what the HSM has in its ordinary memory, such as the path of its socket.
        let socket = world.site.socket();
        let ordinary = image::search(hsm, &one("socket", socket.as_os_str().as_encoded_bytes())).unwrap();
        assert!(!ordinary.hits.is_empty(), "the search does not see the HSM's memory");
    });
}

fn check_core_limit(process: &Process) {
    let limits = std::fs::read_to_string(process.proc("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
}
