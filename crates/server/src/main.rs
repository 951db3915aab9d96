//! `claviger`: the host.

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use claviger_server::cli::{Cli, Command};
use claviger_server::config::Config;
use claviger_server::{account, audit, dev, explain, log, serve, shell, status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            complain(cause);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        Command::Audit { command } => audit::run(&command),
        Command::Account(options) => account::run(options),
        Command::Explain(options) => explain::run(&options),
        Command::Dev(options) => {
            let _log = log::set_up("info");
            on_runtime(dev::run(options))
        }
        Command::Serve(options) => {
            let config = Config::read(&options.config)?;
            if options.check_config {
                return Ok(());
            }
            let _log = log::set_up(&config.log.filter);
            on_runtime(serve::run(config, options.accept_lost_events))
        }
    }
}

/// The main thread's runtime: it accepts connections, watches over the HSM and deletes keys that are due. Requests are
/// carried out on threads of their own.
fn on_runtime(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    // Errors of the disk must end the process; a half-written core file could hold what it should not.
    rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    )
    .map_err(|error| format!("cannot switch core files off: {error}"))?;
    shell::raise_descriptors();
    // Keys in use are very many small allocations, of which huge pages would waste a part: a ninth of the memory at
    // 100,000 keys, for no gain that can be measured. A kernel that knows no huge pages loses nothing.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    status::install_recorder()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot make a runtime: {error}"))?.block_on(work)
}

/// Longest wait for whoever reads the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Says why the program ends. It ends also where nobody reads that.
#[expect(clippy::print_stderr, reason = "the last words of a program that ends")]
fn complain(cause: String) {
    let (done, said) = mpsc::channel();
    let say = move || {
        eprintln!("claviger: {cause}");
        let _ = done.send(());
    };
    // Where no thread can be started, nobody has sent and nobody is waited for.
    let _saying = std::thread::Builder::new().spawn(say);
    let _ = said.recv_timeout(LAST_WORDS);
}
