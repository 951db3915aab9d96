//! What every request has to pass, without what Claviger decides about it: the HSM's process and the ledger.
//!
//! A ceiling that has these parts shows how far the server could come if all else cost nothing.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use claviger_hsm_proto::{Binding, Command, MaterialId, Reply, WrappedKey, frame};
use claviger_server::files;
use claviger_server::hsm_link::Link;
use claviger_server::hsm_process::HsmProgram;
use claviger_server::ledger::{Delivery, Lane, Ledger, Options};
use claviger_service::Vault;
use tokio::process::Child;

use crate::ceiling::Threads;
use crate::report::{self, PLAINTEXT, Plan, Windows, measure};
use crate::requests;
use crate::subject::{Ceiling, Claviger};

/// Which parts a ceiling has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Which {
    /// None.
    #[default]
    None,
    /// Each request has the HSM encrypt.
    Hsm,
    /// Each request is a record, and waits until it is durable.
    Ledger,
    /// Both, one after the other.
    Both,
}

/// Length of a record: about that of the event of an Encrypt, in bytes.
const RECORD_LEN: usize = 1_400;
/// Where the only key stands.
const BINDING: Binding<'static> = Binding {
    account: "000000000000",
    region: "us-east-1",
    key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};

/// The parts that all threads share.
pub(crate) struct Shared {
    hsm: Option<(HsmProgram, Child, Arc<Key>)>,
    ledger: Option<Ledger>,
}

/// A key as the HSM wrapped it.
struct Key {
    material: MaterialId,
    token: Vec<u8>,
}

/// The parts of one thread.
#[derive(Default)]
pub(crate) struct Parts {
    hsm: Option<(Link, Arc<Key>)>,
    lane: Option<Lane>,
}

/// What drives the parts of one thread, on its runtime.
#[derive(Default)]
pub(crate) struct Drivers {
    link: Option<Link>,
    delivery: Option<Delivery>,
}

impl Shared {
    /// Starts the parts, with what they keep in this folder.
    pub(crate) async fn start(which: Which, programs: &Path, dir: &Path) -> Result<Self, String> {
        let hsm = match which {
            Which::Hsm | Which::Both => Some(hsm(programs, dir).await?),
            Which::None | Which::Ledger => None,
        };
        let ledger = match which {
            Which::Ledger | Which::Both => Some(ledger(dir)?),
            Which::None | Which::Hsm => None,
        };
        Ok(Self { hsm, ledger })
    }

    /// The parts of another thread.
    pub(crate) fn parts(&self) -> (Parts, Drivers) {
        let (mut parts, mut drivers) = (Parts::default(), Drivers::default());
        if let Some((program, _, key)) = &self.hsm {
            let link = Link::new(program.socket.clone());
            drivers.link = Some(link.clone());
            parts.hsm = Some((link, Arc::clone(key)));
        }
        if let Some(ledger) = &self.ledger {
            let (lane, delivery) = ledger.lane();
            (parts.lane, drivers.delivery) = (Some(lane), Some(delivery));
        }
        (parts, drivers)
    }
}

impl Drivers {
    /// Sets them going; to be called on the thread's runtime.
    pub(crate) fn spawn(self) {
        self.link.map(|link| tokio::spawn(link.run()));
        self.delivery.map(tokio::spawn);
    }
}

impl Parts {
    /// Passes them all; answers whether each did what it should.
    pub(crate) async fn pass(&self) -> bool {
        self.encrypt().await && self.record().await
    }

    async fn encrypt(&self) -> bool {
        let Some((link, key)) = &self.hsm else { return true };
        let key = WrappedKey { binding: BINDING, material: key.material, token: &key.token };
        let command = Command::Encrypt {
            key,
            context: &[],
            plaintext: &[9; PLAINTEXT],
            algorithm: "SYMMETRIC_DEFAULT",
        };
        let Ok(body) = link.send(&command).await else { return false };
        matches!(frame::read::<Reply<'_>>(&body), Ok(Reply::Ciphertext { .. }))
    }

    async fn record(&self) -> bool {
        let Some(lane) = &self.lane else { return true };
        let Ok(room) = lane.reserve(RECORD_LEN).await else { return false };
        lane.append(room, &[b'x'; RECORD_LEN]).await.is_ok()
    }
}

async fn hsm(programs: &Path, dir: &Path) -> Result<(HsmProgram, Child, Arc<Key>), String> {
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    files::create_private_dir(&dir.join("seal")).map_err(|error| error.to_string())?;
    let program = HsmProgram {
        program: programs.join("claviger-hsm"),
        socket: dir.join("hsm.socket"),
        seal_dir: dir.join("seal"),
    };
    let child = program.start(true).await?;
    let link = Link::new(program.socket.clone());
    let running = tokio::spawn(link.clone().run());
    let body = link.send(&Command::CreateKey { binding: BINDING }).await.map_err(|error| error.0)?;
    running.abort();
    match frame::read::<Reply<'_>>(&body) {
        Ok(Reply::KeyWrapped { material, token, .. }) => {
            Ok((program, child, Arc::new(Key { material, token: token.to_vec() })))
        }
        Ok(other) => Err(format!("the HSM answered {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn ledger(dir: &Path) -> Result<Ledger, String> {
    let options = Options::new(*b"benchmark ledger");
    Ledger::open(&dir.join("ledger"), options).map(|(ledger, _)| ledger).map_err(|error| error.to_string())
}

/// Encrypt over TLS beside ceilings that have none of the parts, each, and both.
pub(crate) async fn run(
    plan: &Plan,
    subject: &Claviger,
    signed: Vec<Bytes>,
    (programs, dir): (&Path, &Path),
) -> Result<(), String> {
    let length = report::answer_length(&subject.tls, signed.first().ok_or("no request")?).await?;
    let idle: Vec<_> = signed.iter().map(|request| requests::for_ceiling(request, length)).collect();
    let steps = [
        ("nothing", Which::None),
        ("the HSM's encryption", Which::Hsm),
        ("a durable record in the ledger", Which::Ledger),
        ("both", Which::Both),
    ];
    let mut rows = Vec::new();
    for (place, (name, which)) in steps.into_iter().enumerate() {
        let ceiling = Ceiling::start(&dir.join(format!("part-{place}")), Threads::Same, (which, programs))?;
        rows.push((name, ceiling, Windows::default()));
    }
    let mut whole = Windows::default();
    for _ in 0..report::ROUNDS {
        for (_, ceiling, windows) in &mut rows {
            let (idle, tls) = (idle.clone(), ceiling.tls.clone());
            windows.add(measure(&tls, idle, plan.connections, plan.slice(), || ceiling.cpu()).await?);
        }
        let signed = signed.clone();
        whole.add(measure(&subject.tls, signed, plan.connections, plan.slice(), || subject.cpu()).await?);
    }
    println!(
        "| what a request over TLS passes beside HTTP, {} connections | req/s | host us | HSM us | of nothing |",
        plan.connections
    );
    println!("|---|---|---|---|---|");
    let least = rows.first().map_or(f64::NAN, |(_, _, windows)| windows.cost());
    let rows = rows.iter().map(|(name, _, windows)| (*name, windows));
    for (name, windows) in rows.chain([("all that Encrypt is", &whole)]) {
        let (host, hsm) = windows.parts();
        println!("| {name} | {:.0} | {host:.1} | {hsm:.1} | {:.2} |", windows.rate(), windows.cost() / least);
    }
    Ok(())
}
