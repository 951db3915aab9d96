//! `claviger-hsm`: the HSM engine behind a Unix socket, in a process that can do little else.
//!
//! Order of the start: harden the process, catch signals, open the seal, test the engine, bind the socket, confine it
//! to the seal's folder, start the workers, take all other system calls away. Only then is `ready` printed and the
//! first connection accepted.

mod confine;
mod line;
mod listen;
mod log;
mod pool;
mod serve;
mod sys;

use std::io::Write;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use claviger_hsm::seal::SealError;
use claviger_hsm::seal::file::{FileSeal, Notice};
use claviger_hsm::{DEFAULT_CACHE_LEN, Engine, SystemEntropy, create_domain};

use crate::listen::{Listener, Peers};
use crate::log::{Level, log};
use crate::serve::Server;

/// Most workers of a lane: as many as there may be connections.
const MAX_WORKERS: u16 = 256;

/// How often a seal is tried that another process uses, where this one was started by a host: the HSM of a host that was
/// killed ends by itself, once it has finished what it is doing.
const SEAL_TRIES: u32 = 100;
/// Time between two tries in milliseconds.
const SEAL_PAUSE_MS: u32 = 50;

/// The Claviger HSM: the only program that sees key material.
#[derive(Debug, Parser)]
#[command(
    name = "claviger-hsm",
    version,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    serve: Option<Serve>,
    #[command(subcommand)]
    hidden: Option<Hidden>,
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Unix socket to listen on. A socket left there by an earlier run is replaced.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Folder of the seal, which must belong to this user alone.
    #[arg(long, value_name = "DIR")]
    seal_dir: PathBuf,
    /// Make a new domain first. Refused if the folder holds a seal, whole or not.
    #[arg(long)]
    init: bool,
    /// Also accept connections of this user. The socket is then open to all and the peer's user decides.
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
    /// Workers for private-key operations, and about as many for making RSA keys [default: the number of cores].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    workers: Option<u16>,
    /// Stop when the process that started this one ends.
    #[arg(long)]
    exit_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    /// Confine this process as for serving, try what must not work, and print what was refused.
    #[command(hide = true)]
    ConfinementCheck {
        /// A folder to stand for the seal's.
        #[arg(long)]
        seal_dir: PathBuf,
        /// Try without confining, to show that the trials would work.
        #[arg(long)]
        unconfined: bool,
    },
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::set_panic_hook();
    let done = match (cli.hidden, cli.serve) {
        (Some(Hidden::ConfinementCheck { seal_dir, unconfined }), _) => {
            confine::check::run(&seal_dir, unconfined)
        }
        (None, Some(options)) => serve(&options),
        (None, None) => Err("`--socket` and `--seal-dir` are needed".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(Level::Error, "failed", &[("error", &error)]);
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Serve) -> Result<(), Failure> {
    let parent = options.exit_with_parent.then(sys::parent).transpose()?;
    confine::harden()?;
    let stop = sys::stop_signals()?;
    let seal = match &parent {
        Some(parent) => await_seal(options, &stop, parent)?,
        None => open_seal(options)?,
    };
    let engine = start_engine(options, seal)?;
    let listener = Listener::bind(&options.socket, Peers::new(&options.allow_uid))?;
    let cores = match options.workers {
        Some(count) => count.into(),
        // Asked before the confinement: a limit of the control group stands in a file.
        None => std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_WORKERS.into()),
    };
    confine::restrict_files(&options.seal_dir)?;
    let server = Server::new(engine);
    let reason = std::thread::scope(|scope| -> Result<_, Failure> {
        let workers = server.start_workers(scope, cores)?;
        confine::filter_calls()?;
        announce(&server)?;
        let reason = listener.run(&server, &stop, parent.as_ref())?;
        // No connection is left, so neither is work.
        drop(workers);
        Ok(reason)
    })?;
    log(Level::Info, "stopped", &[("reason", &reason)]);
    Ok(())
}

fn announce(server: &Server) -> Result<(), Failure> {
    log(Level::Info, "ready", &[("secrets", &format_args!("{:?}", server.engine().protection()))]);
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(b"ready\n")?;
    Ok(stdout.flush()?)
}

fn random() -> Box<SystemEntropy> {
    Box::new(SystemEntropy::default())
}

fn open_seal(options: &Serve) -> Result<FileSeal, SealError> {
    FileSeal::open(&options.seal_dir, random(), Box::new(tell))
}

/// Opens the seal, and waits a while for a predecessor to leave it; no longer than the parent lives, or until a signal.
fn await_seal(options: &Serve, stop: &OwnedFd, parent: &OwnedFd) -> Result<FileSeal, Failure> {
    let mut tries = 1;
    loop {
        match open_seal(options) {
            Err(SealError::InUse)
                if tries < SEAL_TRIES && !sys::ready_within(SEAL_PAUSE_MS, stop, parent)? =>
            {
                tries += 1;
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn start_engine(options: &Serve, mut seal: FileSeal) -> Result<Engine, Failure> {
    if options.init {
        create_domain(&mut seal, random())?;
        log(Level::Info, "domain made", &[]);
    }
    Ok(Engine::start(Box::new(seal), random(), DEFAULT_CACHE_LEN)?)
}

fn tell(notice: Notice) {
    match notice {
        Notice::Repaired(copy) => {
            log(Level::Warn, "seal copy repaired from the other one", &[("copy", &copy)])
        }
    }
}
