//! The benchmark: what a request costs, beside the ceiling measured in the same run.
//!
//! Everything runs on one machine: the server under test with its HSM, the ceiling (the same HTTP and TLS stack that
//! answers the same bytes with no work), and the load. The load is light: its requests are signed before the clock
//! starts, and it parses nothing but response heads. See docs/benchmark.md for how to read the table.

#![expect(clippy::print_stdout, reason = "a program whose answer is a table")]

mod asymmetric;
mod ceiling;
mod crypto;
mod library;
mod load;
mod machine;
mod parts;
mod principals;
mod report;
mod requests;
mod sm2;
mod subject;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Claviger.
#[derive(Debug, Parser)]
struct Cli {
    /// Folder of the programs; that of this one when absent.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Where the data of the run goes: on the disk to be measured.
    #[arg(long, default_value = "target")]
    work_dir: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Also measure with this many keys.
    #[arg(long, default_value_t = 100_000)]
    many_keys: usize,
    /// Only the symmetric operations over TLS, shortly: for a look while working on the hot path.
    #[arg(long)]
    quick: bool,
    /// With `--quick`: also the asymmetric operations.
    #[arg(long)]
    asymmetric: bool,
    /// Only this operation; with `--asymmetric` also this operation and key spec, as "Sign RSA_2048".
    #[arg(long, value_name = "OPERATION")]
    only: Option<String>,
    /// Only this part.
    #[arg(long, value_enum, conflicts_with_all = ["quick", "asymmetric", "only", "decisions"])]
    just: Option<report::Part>,
    /// Only the symmetric operations by who calls: the root user, a user, a session of a role.
    #[arg(long)]
    decisions: bool,
    /// With `--decisions`: also beside this many other users.
    #[arg(long, default_value_t = 100_000)]
    principals: usize,
    /// Serve the ceiling instead of measuring.
    #[arg(long, hide = true)]
    ceiling: Option<PathBuf>,
    /// What threads the ceiling has.
    #[arg(long, hide = true, value_enum, default_value = "same")]
    ceiling_threads: ceiling::Threads,
    /// What else the ceiling does.
    #[arg(long, hide = true, value_enum, default_value = "none", requires = "programs")]
    ceiling_parts: parts::Which,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match (runtime, &cli.ceiling) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(runtime), Some(dir)) => {
            let parts = (cli.ceiling_parts, cli.programs.as_deref().unwrap_or_else(|| Path::new(".")));
            runtime.block_on(ceiling::serve(dir, cli.ceiling_threads, parts))
        }
        (Ok(runtime), None) => runtime.block_on(report::run(&report::Plan {
            programs: cli.programs.clone(),
            work_dir: cli.work_dir.clone(),
            window: Duration::from_secs(cli.seconds),
            connections: cli.connections,
            many_keys: cli.many_keys,
            quick: cli.quick,
            asymmetric: cli.asymmetric,
            only: cli.only.clone(),
            just: cli.just,
            by_caller: cli.decisions,
            principals: cli.principals,
        })),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            println!("the benchmark stopped: {cause}");
            ExitCode::FAILURE
        }
    }
}
