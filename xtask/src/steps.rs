//! Small steps that commands are made of.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).to_owned()
}

/// A command that runs in the root of the repository.
#[expect(clippy::disallowed_methods, reason = "starting programs is what these commands are for")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// `cargo` with arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = command(env!("CARGO"));
    cargo.args(arguments);
    cargo
}

/// Runs a step and says so; an error when it does not succeed.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<(), String> {
    println!("\n== {what}");
    let status = command.status().map_err(|error| format!("{what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}")) }
}

/// Whether a program can be started.
pub(crate) fn is_there(program: &str, argument: &str) -> bool {
    command(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// Installs Debian packages, where a program of theirs is missing.
pub(crate) fn debian(program: &str, argument: &str, packages: &[&str]) -> Result<(), String> {
    if is_there(program, argument) {
        return Ok(());
    }
    run("apt-get update", command("apt-get").args(["update", "-qq"]))?;
    let mut install = command("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    run(&format!("apt-get install {}", packages.join(" ")), &mut install)
}

/// Makes the Python environment with AWS's clients, or brings it up to date. Answers its folder of programs.
pub(crate) fn python() -> Result<PathBuf, String> {
    debian("python3", "--version", &["python3"])?;
    let environment = root().join(".venv");
    let bin = environment.join("bin");
    if !bin.join("pip").exists() {
        // The module that makes environments is a package of its own in Debian.
        if !command("python3")
            .args(["-c", "import venv, ensurepip"])
            .output()
            .is_ok_and(|o| o.status.success())
        {
            debian("python3-venv-is-missing", "", &["python3-venv"])?;
        }
        run("python3 -m venv", command("python3").args(["-m", "venv", ".venv"]))?;
    }
    let mut install = command(bin.join("pip"));
    install.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        "clients/python/requirements.txt",
    ]);
    run("pip install", &mut install)?;
    Ok(bin)
}
