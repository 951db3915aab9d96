//! The engine against the reference model: `policy_model [pairs] [seed]`. `cargo xtask policy-model` runs it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test that runs for long; it fails by panicking and says what it met"
)]

#[path = "../tests/model/all.rs"]
mod model;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap());
    let (pairs, seed) = (arguments.next().unwrap_or(1_000_000), arguments.next().unwrap_or(1));
    match model::run::run(seed, pairs) {
        Err(disagreement) => {
            println!("{disagreement}");
            ExitCode::FAILURE
        }
        Ok(report) => {
            println!("{report} (seed {seed})");
            let vacuous = report.vacuous();
            println!("hardly met: {vacuous:?}");
            if vacuous.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}
