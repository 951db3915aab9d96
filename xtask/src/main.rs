//! The project's own commands: `cargo xtask <command>`. Run from anywhere inside the repository.

#![expect(clippy::print_stdout, reason = "commands say what they do")]

mod codegen;
mod commands;
mod steps;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, start `claviger dev`, and encrypt and decrypt with the AWS CLI.
    Try,
    /// Run all tests: format, lints, unit and process tests, AWS's clients.
    Test,
    /// Measure. Options after `--` go to the benchmark.
    Bench {
        /// Options of the benchmark.
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Fuzz every target.
    Fuzz {
        /// Seconds for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Ask the policy engine and its reference model so many random questions, and compare.
    PolicyModel {
        /// Pairs of policies and a request.
        #[arg(long, default_value_t = 10_000_000)]
        pairs: u64,
        /// Where the random numbers begin.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write the generated files anew.
    Codegen,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Try => commands::try_it(),
        Command::Test => commands::test(),
        Command::Bench { options } => commands::bench(&options),
        Command::Fuzz { seconds } => commands::fuzz(seconds),
        Command::PolicyModel { pairs, seed } => commands::policy_model(pairs, seed),
        Command::Codegen => codegen::write(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            println!("\nxtask: {cause}");
            ExitCode::FAILURE
        }
    }
}
