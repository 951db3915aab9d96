//! `claviger dev` in a folder of its own, to be started, killed and started again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use claviger_server::shell;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::client::{Client, Credentials};
use super::dice::Dice;
use super::process::Process;

/// Longest wait for a program to say that it is ready, on a machine that is busy otherwise.
const READY_WAIT: Duration = Duration::from_secs(30);
/// Where ports are looked for: below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// The host's program.
pub(crate) fn host_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_claviger"))
}

/// The HSM's program, which Cargo does not build for the tests of this package. One that is older than its sources would
/// be tested in place of what they say.
pub(crate) fn hsm_program() -> PathBuf {
    let program = host_program().with_file_name("claviger-hsm");
    let profile =
        if program.components().any(|part| part.as_os_str() == "release") { " --release" } else { "" };
    let built = program.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    for package in ["hsm", "hsm-proto"] {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(package).join("src");
        assert!(
            newest_source(&sources) <= built,
            "{} is missing or older than its sources; build it with: cargo build -p claviger-hsm{profile}",
            program.display()
        );
    }
    program
}

/// When a source was last changed. Those of tests are no part of the program, and are not built again with it.
fn newest_source(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = entries.filter(|path| path.file_stem().is_some_and(|name| name != "tests"));
    let changed = |path: PathBuf| {
        if path.is_dir() { newest_source(&path) } else { path.metadata().unwrap().modified().unwrap() }
    };
    sources.map(changed).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A command for a program.
#[expect(clippy::disallowed_methods, reason = "these tests are about processes")]
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::from(std::process::Command::new(program));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The first of `count` ports in a row on which nobody listens.
pub(crate) fn free_ports(count: u16) -> u16 {
    /// Tells the tests of one process apart, which may look at the same moment.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed) << 56 | u64::from(std::process::id()) << 32;
    let mut dice = Dice::new(shell::now().0.cast_unsigned() ^ call);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let span = u64::from(PORTS.end - PORTS.start - count);
    loop {
        let first = PORTS.start + u16::try_from(dice.roll(span)).unwrap();
        if (first..first + count).all(free) {
            return first;
        }
    }
}

/// The folder that everything is in.
pub(crate) struct Home {
    dir: Arc<TempDir>,
    port: u16,
    request_log: bool,
}

impl Home {
    /// A new folder.
    pub(crate) fn new(request_log: bool) -> Self {
        Self { dir: Arc::new(tempfile::tempdir().unwrap()), port: free_ports(3), request_log }
    }

    /// What `--data-dir` names.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("claviger")
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.data_dir().join("data/ledger")
    }

    /// The log of all starts.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Starts, and waits until requests are served.
    pub(crate) async fn start(&mut self) -> Server {
        for _ in 0..3 {
            match self.try_start().await {
                Ok(server) => return server,
                // Another program may have taken a port since it was found free.
                Err(log) if log.contains("cannot listen") => self.port = free_ports(3),
                Err(log) => panic!("did not start:\n{log}"),
            }
        }
        panic!("found no free ports");
    }

    /// Starts, and kills what was started after a while, ready or not.
    pub(crate) async fn start_and_kill(&self, after: Duration) {
        let mut child = self.spawn();
        let host = Process::find(child.id().unwrap()).unwrap();
        tokio::time::sleep(after).await;
        let hsms = host.children();
        host.signal(Signal::KILL);
        child.wait().await.unwrap();
        for hsm in hsms {
            hsm.ended().await;
        }
    }

    async fn try_start(&self) -> Result<Server, String> {
        let mut child = self.spawn();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdout = ready(stdout).await.map_err(|()| self.last_words())?;
        let host = Process::find(child.id().unwrap()).unwrap();
        let credentials = Credentials::read(&self.data_dir().join("aws/credentials"));
        let dir = Arc::clone(&self.dir);
        Ok(Server { child, host, _dir: dir, _stdout: stdout, port: self.port, credentials })
    }

    fn spawn(&self) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = command(&host_program());
        command.arg("dev").arg("--data-dir").arg(self.data_dir());
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        command.arg("--threads").arg("2").arg("--hsm-program").arg(hsm_program());
        if !self.request_log {
            command.arg("--no-request-log");
        }
        command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
    }

    /// The end of the log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Waits for the line that says that requests are served; fails where the program ends before it.
pub(crate) async fn ready(
    mut stdout: Lines<BufReader<ChildStdout>>,
) -> Result<Lines<BufReader<ChildStdout>>, ()> {
    let line = tokio::time::timeout(READY_WAIT, stdout.next_line()).await.expect("the program says nothing");
    match line {
        Ok(Some(line)) if line.starts_with("ready") => Ok(stdout),
        _ => Err(()),
    }
}

/// A running program. Killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    host: Process,
    /// Stays for as long as the program runs in it, also where its [`Home`] is gone.
    _dir: Arc<TempDir>,
    /// Kept open, so that the program can write to it.
    _stdout: Lines<BufReader<ChildStdout>>,
    port: u16,
    credentials: Credentials,
}

impl Server {
    /// Where plain HTTP is served.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where TLS is served.
    pub(crate) fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.port + 1)
    }

    /// The root user's credentials.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A new connection. The program must be there.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.address(), &self.credentials).await.expect("the host does not accept")
    }

    /// The host's process.
    pub(crate) fn host(&self) -> &Process {
        &self.host
    }

    /// The HSM's process, unless it is just being started again.
    pub(crate) fn hsm(&self) -> Option<Process> {
        self.host.children().into_iter().next()
    }

    /// The HSM's process, once there is one other than `but`.
    pub(crate) async fn next_hsm(&self, but: Option<u32>) -> Process {
        let found = async {
            loop {
                match self.hsm() {
                    Some(hsm) if Some(hsm.pid()) != but => return hsm,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        tokio::time::timeout(READY_WAIT, found).await.expect("no HSM is started again")
    }

    /// Whether the host is there.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills the host. Its HSM must end by itself.
    pub(crate) async fn kill_host(mut self) {
        let hsm = self.hsm();
        self.host.signal(Signal::KILL);
        self.child.wait().await.unwrap();
        if let Some(hsm) = hsm {
            hsm.ended().await;
        }
    }

    /// Kills host and HSM in one moment.
    pub(crate) async fn kill_both(mut self) {
        let hsm = self.hsm();
        self.host.signal(Signal::KILL);
        if let Some(hsm) = hsm {
            hsm.signal(Signal::KILL);
            hsm.ended().await;
        }
        self.child.wait().await.unwrap();
    }

    /// Asks the program to end, and waits until it has; it must end well.
    pub(crate) async fn stop(mut self) {
        self.host.signal(Signal::TERM);
        assert!(self.child.wait().await.unwrap().success(), "the host did not end well");
    }
}
