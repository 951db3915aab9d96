//! The processes that are measured.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use claviger_server::{certificate, shell};
use rustls::ClientConfig;

use crate::ceiling::Threads;
use crate::load::{self, Target};
use crate::machine;
use crate::parts::Which;
use crate::requests::Credentials;

/// A running `claviger dev` with its HSM.
pub(crate) struct Claviger {
    host: Child,
    hsm: u32,
    pub(crate) plain: Target,
    pub(crate) tls: Target,
    pub(crate) credentials: Credentials,
    pub(crate) start_up: Duration,
}

/// CPU time of host and HSM in microseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) host: u64,
    pub(crate) hsm: u64,
}

/// Longest wait for a process to be ready.
const READY: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "the benchmark starts what it measures")]
fn command(program: &Path) -> Command {
    Command::new(program)
}

impl Claviger {
    /// Starts it on a folder, which may hold the data of an earlier run.
    pub(crate) fn start(programs: &Path, dir: &Path, fsync: bool) -> Result<Self, String> {
        let port = free_ports()?;
        let started = shell::instant();
        let mut command = command(&programs.join("claviger"));
        command.arg("dev").arg("--data-dir").arg(dir).arg("--listen").arg(format!("127.0.0.1:{port}"));
        if !fsync {
            command.arg("--no-fsync-for-benchmark-only");
        }
        let log = std::fs::File::create(dir.with_extension("log")).map_err(|error| error.to_string())?;
        let mut host =
            command.stdout(Stdio::piped()).stderr(log).spawn().map_err(|error| error.to_string())?;
        let mut line = String::new();
        let stdout = host.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        if !line.starts_with("ready") {
            return Err(format!("claviger did not start: {}", dir.with_extension("log").display()));
        }
        let start_up = started.elapsed();
        let credentials = Credentials::read(&dir.join("aws/credentials"))?;
        let hsm = child_of(host.id()).ok_or("no HSM process")?;
        let config = load::client_config(&certificate::Paths::inside(&dir.join("tls")).ca)?;
        let (plain, tls) = (target(port, None), target(port + 1, Some(config)));
        Ok(Self { host, hsm, plain, tls, credentials, start_up })
    }

    pub(crate) fn cpu(&self) -> Cpu {
        Cpu { host: machine::cpu_micros(self.host.id()), hsm: machine::cpu_micros(self.hsm) }
    }

    /// Resident memory of host and HSM, in KiB.
    pub(crate) fn resident_kib(&self) -> (u64, u64) {
        (machine::resident_kib(self.host.id()), machine::resident_kib(self.hsm))
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        terminate(self.host.id());
        self.host.wait().map(|_| ()).map_err(|error| error.to_string())
    }
}

impl Drop for Claviger {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
    }
}

/// A running ceiling server.
pub(crate) struct Ceiling {
    process: Child,
    pub(crate) plain: Target,
    pub(crate) tls: Target,
}

impl Ceiling {
    pub(crate) fn start(
        dir: &Path,
        threads: Threads,
        (which, programs): (Which, &Path),
    ) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let threads = match threads {
            Threads::Same => "same",
            Threads::Stock => "stock",
        };
        let mut command = command(&this);
        command.arg("--ceiling").arg(dir).args(["--ceiling-threads", threads]);
        let which = which.to_possible_value().map(|value| value.get_name().to_owned());
        command.arg("--programs").arg(programs).arg("--ceiling-parts").arg(which.unwrap_or_default());
        let process = command.spawn().map_err(|error| error.to_string())?;
        let ports = dir.join("ports");
        let deadline = shell::instant() + READY;
        while !machine::exists(&ports) {
            if shell::instant() > deadline {
                return Err("the ceiling did not start".to_owned());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let text = std::fs::read_to_string(&ports).map_err(|error| error.to_string())?;
        let (plain, tls) = text.split_once(' ').ok_or("no ports")?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|error| error.to_string());
        let config = load::client_config(&certificate::Paths::inside(&dir.join("tls")).ca)?;
        let (plain, tls) = (target(port(plain)?, None), target(port(tls)?, Some(config)));
        Ok(Self { process, plain, tls })
    }

    pub(crate) fn cpu(&self) -> Cpu {
        let hsm = child_of(self.process.id()).map_or(0, machine::cpu_micros);
        Cpu { host: machine::cpu_micros(self.process.id()), hsm }
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn target(port: u16, tls: Option<Arc<ClientConfig>>) -> Target {
    Target { address: SocketAddr::from(([127, 0, 0, 1], port)), tls }
}

/// Three free ports in a row.
fn free_ports() -> Result<u16, String> {
    use std::net::TcpListener;
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = first.local_addr().map_err(|error| error.to_string())?.port();
        let next = |offset: u16| TcpListener::bind(("127.0.0.1", port.saturating_add(offset)));
        if next(1).is_ok() && next(2).is_ok() {
            return Ok(port);
        }
    }
    Err("no free ports".to_owned())
}

/// The first child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks.flatten().find_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })
}

fn terminate(pid: u32) {
    let kill = command(&PathBuf::from("kill")).arg(pid.to_string()).status();
    // Dropping the process kills it in any case.
    drop(kill);
}

/// Time that a piece of work takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started: Instant = shell::instant();
    let value = work();
    (value, started.elapsed())
}
