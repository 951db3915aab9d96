//! What each command does.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::steps::{cargo, command, debian, is_there, python, root, run};

/// Version of the fuzzer's front end.
const CARGO_FUZZ: &str = "0.13.2";
/// The fuzz targets.
const FUZZ_TARGETS: &[&str] = &[
    "request_json",
    "sigv4",
    "policy_document",
    "ciphertext_blob",
    "hsm_command",
    "hsm_reply",
    "attestation",
];

fn build_release() -> Result<(), String> {
    debian("cc", "--version", &["build-essential"])?;
    run("build", &mut cargo(&["build", "--release", "-p", "claviger-server", "-p", "claviger-hsm"]))
}

/// Starts `claviger dev` in a folder of its own and does what it prints.
pub(crate) fn try_it() -> Result<(), String> {
    build_release()?;
    let bin = python()?;
    let data = root().join("claviger-data");
    let mut server = command(root().join("target/release/claviger"));
    server.args(["dev", "--no-request-log", "--data-dir"]).arg(&data).stdout(Stdio::piped());
    let mut server = Stopped(server.spawn().map_err(|error| error.to_string())?);
    let stdout = server.0.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = lines.next().and_then(Result::ok).unwrap_or_default();
    if !ready.starts_with("ready") {
        return Err("claviger did not start".to_owned());
    }
    println!("\n{ready}");
    let script = "set -eu\n\
        cd \"$(mktemp -d)\"\n\
        set -x\n\
        KEY=$(aws kms create-key --query KeyMetadata.KeyId --output text)\n\
        printf 'hello from your own KMS\\n' > hello.txt\n\
        aws kms encrypt --key-id $KEY --plaintext fileb://hello.txt --query CiphertextBlob --output text \
        | base64 -d > hello.enc\n\
        aws kms decrypt --ciphertext-blob fileb://hello.enc --query Plaintext --output text | base64 -d\n";
    let mut shell = command("bash");
    shell.args(["-c", script]).env("PATH", path_with(&bin)?);
    shell.env("AWS_CONFIG_FILE", data.join("aws/config"));
    shell.env("AWS_SHARED_CREDENTIALS_FILE", data.join("aws/credentials"));
    shell.env("AWS_PROFILE", "claviger");
    run("the AWS CLI", &mut shell)?;
    println!("\nIt works. Start it yourself: target/release/claviger dev");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "programs are found through PATH")]
fn path_with(bin: &std::path::Path) -> Result<std::ffi::OsString, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).map_err(|error| error.to_string())
}

/// A server that is asked to stop when it is no longer needed.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = command("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Runs all tests.
pub(crate) fn test() -> Result<(), String> {
    build_release()?;
    let bin = python()?;
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    // They take in some of the tests' files, and are otherwise built only to fuzz.
    debian("c++", "--version", &["build-essential"])?;
    let mut targets = cargo(&["check", "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    run("fuzz targets compile", targets.env("CARGO_TARGET_DIR", root().join("target/fuzz-check")))?;
    // Makes and checks what comes from elsewhere: keys to import, signatures.
    debian("openssl", "version", &["openssl"])?;
    run("unit and process tests", &mut cargo(&["test", "--workspace", "--no-fail-fast"]))?;
    let mut clients = command(bin.join("pytest"));
    clients.args(["clients/python"]).env("CLAVIGER_BIN", root().join("target/release/claviger"));
    run("AWS's clients for Python and the AWS CLI", &mut clients)?;
    let mut rust = cargo(&["test", "--manifest-path", "clients/rust/Cargo.toml"]);
    rust.env("CLAVIGER_BIN", root().join("target/release/claviger"));
    run("AWS's client for Rust", &mut rust)?;
    println!("\nall tests passed");
    Ok(())
}

/// Measures.
pub(crate) fn bench(options: &[String]) -> Result<(), String> {
    build_release()?;
    if options.iter().any(|option| option == "--decisions") {
        let example = ["run", "--release", "--quiet", "-p", "claviger-policy", "--example", "decision_cost"];
        run("what a decision costs", &mut cargo(&example))?;
    }
    run("build the benchmark", &mut cargo(&["build", "--release", "-p", "claviger-bench"]))?;
    run("benchmark", command(root().join("target/release/claviger-bench")).args(options))
}

/// Compares the policy engine with its reference model.
pub(crate) fn policy_model(pairs: u64, seed: u64) -> Result<(), String> {
    let mut model =
        cargo(&["run", "--release", "--quiet", "-p", "claviger-policy", "--example", "policy_model"]);
    model.args(["--", &pairs.to_string(), &seed.to_string()]);
    run("policy engine and reference model", &mut model)
}

/// Fuzzes every target for a while.
pub(crate) fn fuzz(seconds: u32) -> Result<(), String> {
    debian("c++", "--version", &["build-essential"])?;
    if !is_there("cargo-fuzz", "--version") {
        run(
            "install cargo-fuzz",
            &mut cargo(&["install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked"]),
        )?;
    }
    for target in FUZZ_TARGETS {
        let mut fuzz = cargo(&["fuzz", "run", target, "--"]);
        fuzz.arg(format!("-max_total_time={seconds}")).args([
            "-rss_limit_mb=2048",
            "-timeout=10",
            "-print_final_stats=1",
        ]);
        // The sanitizers are unstable options; this lets the pinned toolchain take them.
        fuzz.env("RUSTC_BOOTSTRAP", "1");
        run(&format!("fuzz {target}"), &mut fuzz)?;
    }
    println!("\n{} targets, {seconds} s each: nothing found", FUZZ_TARGETS.len());
    Ok(())
}
