//! The schedule of domain keys with a real HSM process: its seal keeps the new key, and what was wrapped before still opens.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claviger_hsm_proto::{
    Binding, Command, Disclosed, MaterialId, Reply, SYMMETRIC_DEFAULT, WrappedKey, frame,
};
use claviger_server::hsm_link::Link;
use claviger_server::hsm_process::HsmProgram;
use claviger_server::ledger::{Ledger, Options};
use claviger_server::ledger_lane::ServiceLane;
use claviger_server::shell::SystemEntropy;
use claviger_service::schedule::{self, DomainKeys};
use claviger_service::{BoxFuture, Clock, Installation, Moment, Regions, Service, Vault};
use claviger_store::{Memory, Store};
use tokio::sync::watch;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BINDING: Binding<'static> = Binding {
    account: "111122223333",
    region: "eu-central-1",
    key_id: "11111111-2222-4333-8444-555555555555",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};

/// A clock that is moved by hand.
struct ManualClock(watch::Sender<Moment>);

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.0.borrow()
    }

    fn at(&self, moment: Moment) -> BoxFuture<'_, ()> {
        let mut changes = self.0.subscribe();
        Box::pin(async move {
            changes.wait_for(|now| *now >= moment).await.unwrap();
        })
    }
}

async fn ask<T>(link: &Link, command: Command<'_>, read: impl FnOnce(Reply<'_>) -> T) -> T {
    let body = link.send(&command).await.unwrap();
    read(frame::read::<Reply<'_>>(&body).unwrap())
}

async fn create(link: &Link) -> (MaterialId, Vec<u8>) {
    ask(link, Command::CreateKey { binding: BINDING }, |reply| match reply {
        Reply::KeyWrapped { material, token, .. } => (material, token.to_vec()),
        other => panic!("{other:?}"),
    })
    .await
}

/// Encrypts and decrypts under a wrapped key.
async fn check_usable(link: &Link, (material, token): &(MaterialId, Vec<u8>)) {
    let key = WrappedKey { binding: BINDING, material: *material, token };
    let encrypt = Command::Encrypt { key, context: &[], plaintext: b"x", algorithm: SYMMETRIC_DEFAULT };
    let blob = ask(link, encrypt, |reply| match reply {
        Reply::Ciphertext { blob } => blob.to_vec(),
        other => panic!("{other:?}"),
    });
    let blob = blob.await;
    let key = WrappedKey { binding: BINDING, material: *material, token };
    let decrypt =
        Command::Decrypt { key, context: &[], blob: &blob, algorithm: SYMMETRIC_DEFAULT, recipient: None };
    ask(link, decrypt, |reply| match reply {
        Reply::Plaintext { plaintext: Disclosed(bytes) } => assert_eq!(bytes, b"x"),
        other => panic!("{other:?}"),
    })
    .await;
}

/// A host from its start to its end: until there is the newest domain key, and the trail tells of each after the first.
async fn run(store: &Arc<dyn Store>, link: &Link, dir: &Path, clock: &Arc<ManualClock>, newest: u32) {
    let domain = link.greeting().await.unwrap().domain;
    let (ledger, _) = Ledger::open(dir, Options::new(domain)).unwrap();
    let ledger = Arc::new(ledger);
    let (lane, delivery) = ledger.lane();
    let delivery = tokio::spawn(delivery);
    let opened = Installation::open(Arc::clone(store), link, domain, Regions::Any, clock.now());
    let (account, region) = (BINDING.account.to_owned(), BINDING.region.to_owned());
    let domain_keys = DomainKeys { period_days: Some(7), account, region };
    let installation = Arc::new(opened.await.unwrap().with_domain_keys(domain_keys));
    let lane = Arc::new(ServiceLane::new(Arc::clone(&ledger), lane));
    let (vault, entropy) = (Arc::new(link.clone()), Arc::new(SystemEntropy::default()));
    let service = Service::new(Arc::clone(&installation), vault, lane, entropy);
    let scheduling = Arc::clone(clock);
    let scheduler = tokio::spawn(async move { schedule::run(&service, scheduling).await });
    let told = u64::from(newest) - 1;
    let known = async {
        while installation.domain_key() != newest || ledger.durable_sequence() != told {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), known).await.unwrap();
    scheduler.abort();
    delivery.abort();
    let _ = (scheduler.await, delivery.await);
}

#[tokio::test]
async fn a_real_hsm_keeps_each_periods_key() {
    let home = tempfile::tempdir().unwrap();
    let seal_dir = home.path().join("seal");
    claviger_server::files::create_private_dir(&seal_dir).unwrap();
    let socket = home.path().join("hsm.sock");
    let hsm = HsmProgram { program: support::server::hsm_program(), socket: socket.clone(), seal_dir };
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let clock = Arc::new(ManualClock(watch::Sender::new(Moment(1_795_176_000_000))));
    let mut made = Vec::new();
    for newest in 1..=3 {
        let mut child = hsm.start(newest == 1).await.unwrap();
        let link = Link::new(socket.clone());
        let linked = tokio::spawn(link.clone().run());
        run(&store, &link, &home.path().join("ledger"), &clock, newest).await;
        made.push(create(&link).await);
        let (_, token) = made.last().unwrap();
        assert_eq!(token.get(1..5), Some(&newest.to_be_bytes()[..]), "wrapped under the newest domain key");
        for key in &made {
            check_usable(&link, key).await;
        }
        linked.abort();
        child.kill().await.unwrap();
        clock.0.send_modify(|now| now.0 += 7 * DAY_MS);
    }
}
