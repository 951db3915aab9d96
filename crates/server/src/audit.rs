//! `claviger audit`: reads the ledger, also while it is being written.

use std::io::Write;
use std::path::{Path, PathBuf};

use claviger_service::audit;

use crate::cli::{Audit, LedgerDir};
use crate::ledger::{self, FirstBad};

/// Carries out the command.
///
/// # Errors
/// What to tell the operator; for `verify` the first bad record.
pub fn run(command: &Audit) -> Result<(), String> {
    match command {
        Audit::Verify(dir) => verify(&present(folder(dir))?),
        Audit::Show { ledger, from } => show(&present(folder(ledger))?, *from),
    }
}

/// The folder of a ledger, if there is one.
pub(crate) fn present(dir: PathBuf) -> Result<PathBuf, String> {
    if dir.is_dir() {
        Ok(dir)
    } else {
        Err(format!("there is no audit ledger: {} is no folder", dir.display()))
    }
}

fn folder(dir: &LedgerDir) -> PathBuf {
    data_folder(&dir.data_dir).join("ledger")
}

/// The folder of the store and the ledger inside a data folder of `serve` or `dev`.
pub(crate) fn data_folder(dir: &Path) -> PathBuf {
    let of_dev = dir.join("data");
    if of_dev.join("ledger").is_dir() { of_dev } else { dir.to_owned() }
}

/// What is bad, and in which ledger.
pub(crate) fn named(dir: &Path, bad: &FirstBad) -> String {
    format!("{}: {bad}", dir.display())
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn verify(dir: &Path) -> Result<(), String> {
    let verified = ledger::verify(dir).map_err(|bad| named(dir, &bad))?;
    let chain: String = verified.chain.iter().map(|byte| format!("{byte:02x}")).collect();
    println!(
        "ok: {} events, {} to {}, in {} segments; chain {chain}",
        verified.records, verified.first, verified.last, verified.segments
    );
    if verified.first > 1 {
        println!("older events, up to {}, were removed by the retention limit", verified.first - 1);
    }
    Ok(())
}

fn show(dir: &Path, from: u64) -> Result<(), String> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for record in ledger::read(dir, from).map_err(|bad| named(dir, &bad))? {
        let record = record.map_err(|bad| named(dir, &bad))?;
        let (event, _) = audit::split(&record.payload);
        let written = out.write_all(event).and_then(|()| out.write_all(b"\n"));
        if written.is_err() {
            // Whoever was reading has read enough.
            return Ok(());
        }
    }
    out.flush().map_err(|error| error.to_string())
}
