//! `claviger serve` and a `claviger-hsm` of its own, as two services of one machine.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use claviger_server::certificate::{self, Paths};
use claviger_server::shell;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::client::Credentials;
use super::process::Process;
use super::server::{command, free_ports, host_program, hsm_program, ready};

/// The folder of both.
pub(crate) struct Site {
    dir: TempDir,
    listeners: u16,
    port: Cell<u16>,
}

impl Site {
    /// A new folder, and ports for this many listeners.
    pub(crate) fn new(listeners: u16) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), listeners, port: Cell::new(free_ports(listeners)) }
    }

    /// The first of the ports of the listeners.
    pub(crate) fn port(&self) -> u16 {
        self.port.get()
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The HSM's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("hsm.sock")
    }

    /// The seal's folder.
    pub(crate) fn seal_dir(&self) -> PathBuf {
        self.dir().join("seal")
    }

    /// The host's folder.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.data_dir().join("ledger")
    }

    /// A certificate for the loopback names, and the authority to trust.
    pub(crate) fn certificates(&self) -> Paths {
        certificate::ensure(&self.dir().join("tls"), shell::now()).unwrap()
    }

    /// Starts the HSM, with a new domain where there is none.
    pub(crate) async fn start_hsm(&self) -> Service {
        let seal = self.seal_dir();
        let mut command = command(&hsm_program());
        command.arg("--socket").arg(self.socket()).arg("--seal-dir").arg(&seal);
        if !seal.exists() {
            std::fs::create_dir(&seal).unwrap();
            command.arg("--init");
        }
        self.start("hsm", command).await.unwrap_or_else(|log| panic!("no start: {log}"))
    }

    /// Writes the host's configuration: the HSM behind a socket, with these `[[listener]]`s.
    pub(crate) fn configure(&self, socket: &Path, listeners: &str) -> PathBuf {
        let (data_dir, socket) = (self.data_dir(), socket.display());
        let config = format!(
            "account = \"111122223333\"\nregions = [\"us-east-1\"]\ndata_dir = \"{}\"\n{listeners}\n\
             [hsm]\nsocket = \"{socket}\"\n[audit]\nsegment_bytes = 1048576\n",
            data_dir.display()
        );
        let file = self.dir().join("claviger.toml");
        std::fs::write(&file, config).unwrap();
        file
    }

    /// Starts the host against the HSM behind a socket, with the `[[listener]]`s from this port on.
    pub(crate) async fn start_host(&self, socket: &Path, listeners: impl Fn(u16) -> String) -> Service {
        for _ in 0..3 {
            let mut command = command(&host_program());
            command.arg("serve").arg("--config").arg(self.configure(socket, &listeners(self.port())));
            match self.start("host", command).await {
                Ok(host) => return host,
                // Another program may have taken a port since it was found free.
                Err(log) if log.contains("cannot listen") => self.port.set(free_ports(self.listeners)),
                Err(log) => panic!("no start: {log}"),
            }
        }
        panic!("found no free ports");
    }

    /// The root user's credentials, which the host's first start made.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::read(&self.data_dir().join("root-credentials"))
    }

    /// What a service has logged.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir().join(format!("{name}.log"))).unwrap()
    }

    /// Starts one of the two, or gives what it has logged about why it did not start.
    async fn start(&self, name: &str, mut command: tokio::process::Command) -> Result<Service, String> {
        let path = self.dir().join(format!("{name}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let before = self.log(name).len();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdout = ready(stdout).await.map_err(|()| self.log(name).split_off(before))?;
        let process = Process::find(child.id().unwrap()).unwrap();
        Ok(Service { child, process, _stdout: stdout })
    }
}

/// One of the two, running. Killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    process: Process,
    /// Kept open, so that the program can write to it.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Service {
    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Asks it to end, and waits until it has; it must end well.
    pub(crate) async fn stop(mut self) {
        self.process.signal(Signal::TERM);
        assert!(self.child.wait().await.unwrap().success(), "a program did not end well");
    }
}
