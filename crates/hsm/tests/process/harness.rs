//! Starts the program in a folder of its own and speaks to it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;

use claviger_hsm_proto::{Binding, Command, Disclosed, MaterialId, Refusal, Reply, VERSION, frame};

/// A binding of a key.
pub(crate) const A: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};
/// Another key of the same account.
pub(crate) const B: Binding<'static> = Binding { key_id: "0987dcba-09fe-87dc-65ba-ab0987654321", ..A };

/// The program, without arguments.
pub(crate) fn program() -> Process {
    Process::new(env!("CARGO_BIN_EXE_claviger-hsm"))
}

/// A folder with a seal's folder and a socket.
#[derive(Clone)]
pub(crate) struct Home {
    /// The folder.
    pub(crate) dir: Arc<tempfile::TempDir>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { dir: Arc::new(tempfile::tempdir().unwrap()) };
        std::fs::create_dir(home.seal_dir()).unwrap();
        home
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn seal_dir(&self) -> PathBuf {
        self.dir.path().join("seal")
    }

    pub(crate) fn command(&self, extra: &[&str]) -> Process {
        let mut command = program();
        command.arg("--socket").arg(self.socket()).arg("--seal-dir").arg(self.seal_dir()).args(extra);
        command
    }

    /// Makes a domain and starts.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&["--init"])
    }

    /// Starts with the domain that is there.
    pub(crate) fn restart(&self) -> Running {
        self.run(&[])
    }

    /// Makes a domain and starts with more arguments.
    pub(crate) fn start_with(&self, extra: &[&str]) -> Running {
        let with_init: Vec<&str> =
            if extra.contains(&"--init") { extra.to_vec() } else { [&["--init"], extra].concat() };
        self.run(&with_init)
    }

    /// Makes a domain and starts as this user, to whom the folders are given.
    pub(crate) fn start_as(&self, uid: u32) -> Running {
        for folder in [self.dir.path(), &self.seal_dir()] {
            std::os::unix::fs::chown(folder, Some(uid), Some(uid)).unwrap();
        }
        // By its descriptor: the path to the program may lead through folders that are closed to this user.
        let file = std::fs::File::open(env!("CARGO_BIN_EXE_claviger-hsm")).unwrap();
        let mut command = Process::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        command.args(self.command(&["--init"]).get_args()).uid(uid).gid(uid);
        self.spawn(command)
    }

    fn run(&self, arguments: &[&str]) -> Running {
        self.spawn(self.command(arguments))
    }

    fn spawn(&self, mut command: Process) -> Running {
        let log = self.dir.path().join("log");
        let mut child =
            command.stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        let mut ready = [0; 6];
        if child.stdout.as_mut().unwrap().read_exact(&mut ready).is_err() {
            panic!("did not start: {}", std::fs::read_to_string(&log).unwrap());
        }
        assert_eq!(&ready, b"ready\n");
        Running { child, socket: self.socket(), log, _home: self.clone() }
    }
}

/// The program, running. Killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) socket: PathBuf,
    log: PathBuf,
    _home: Home,
}

impl Running {
    /// A connection that said hello.
    pub(crate) fn connect(&self) -> Connection {
        let mut host = self.dial();
        assert!(host.greets());
        host
    }

    /// A connection that said nothing yet.
    pub(crate) fn dial(&self) -> Connection {
        Connection { stream: UnixStream::connect(&self.socket).unwrap(), input: Vec::new() }
    }

    /// Ends the program with SIGTERM and gives its log.
    pub(crate) fn stop(mut self) -> String {
        signal(&self.child, "-TERM");
        assert!(self.child.wait().unwrap().success());
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Ends the program with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the program:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Process::new("kill").arg(name).arg(child.id().to_string()).status().unwrap().success());
}

/// What a reply holds, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Refused(Refusal),
    Key(MaterialId, Vec<u8>),
    Bytes(Vec<u8>),
    Parameters { public: Vec<u8>, token: Vec<u8> },
    Generation(u32),
    Verified(bool),
    Evicted,
    Other,
}

impl Answer {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
}

impl From<Reply<'_>> for Answer {
    fn from(reply: Reply<'_>) -> Self {
        match reply {
            Reply::Refused(refusal) => Self::Refused(refusal),
            Reply::KeyWrapped { material, token, .. } => Self::Key(material, token.to_vec()),
            Reply::ImportParameters { public, token } => {
                Self::Parameters { public: public.to_vec(), token: token.to_vec() }
            }
            Reply::Ciphertext { blob: bytes }
            | Reply::Enveloped { content: bytes }
            | Reply::Plaintext { plaintext: Disclosed(bytes) }
            | Reply::Random { bytes: Disclosed(bytes) }
            | Reply::HostKey { key: Disclosed(bytes) }
            | Reply::SharedSecret { secret: Disclosed(bytes) }
            | Reply::Signature { signature: bytes }
            | Reply::Mac { mac: bytes } => Self::Bytes(bytes.to_vec()),
            Reply::Verified { valid } => Self::Verified(valid),
            Reply::DomainKeyRotated { generation } => Self::Generation(generation),
            Reply::Evicted => Self::Evicted,
            _ => Self::Other,
        }
    }
}

/// A host's end of a connection.
pub(crate) struct Connection {
    pub(crate) stream: UnixStream,
    input: Vec<u8>,
}

impl Connection {
    /// Sends a command.
    pub(crate) fn write(&mut self, id: u64, command: &Command<'_>) {
        let mut out = Vec::new();
        frame::write(&mut out, id, command).unwrap();
        // The HSM may have ended the connection already; the reading side tells.
        let _ = self.stream.write_all(&out);
    }

    /// Reads the next reply; `None` where the connection has ended.
    pub(crate) fn read(&mut self) -> Option<(u64, Answer)> {
        loop {
            if let Some(found) = frame::next(&self.input).unwrap() {
                let answer = (found.id, Answer::from(frame::read::<Reply<'_>>(found.body).unwrap()));
                let length = found.len;
                self.input.drain(..length);
                return Some(answer);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
            }
        }
    }

    /// Reads the next reply, which must be to this command.
    pub(crate) fn read_of(&mut self, id: u64) -> Answer {
        let (answered, answer) = self.read().expect("the connection ended");
        assert_eq!(answered, id);
        answer
    }

    /// Sends all commands without waiting for answers, and gives the answers in the order of the commands. Another
    /// thread sends, so that neither side waits for the other to read.
    pub(crate) fn pipeline(&mut self, commands: Vec<Command<'_>>) -> Vec<Answer> {
        let mut sender = Self { stream: self.stream.try_clone().unwrap(), input: Vec::new() };
        let count = u64::try_from(commands.len()).unwrap();
        let mut answers = std::thread::scope(|scope| {
            scope.spawn(move || (0..).zip(&commands).for_each(|(id, command)| sender.write(id, command)));
            (0..count).map(|_| self.read().expect("the connection ended")).collect::<BTreeMap<u64, Answer>>()
        });
        (0..count).map(|id| answers.remove(&id).expect("each command is answered once")).collect()
    }

    pub(crate) fn ask(&mut self, command: &Command<'_>) -> Answer {
        self.write(77, command);
        self.read_of(77)
    }

    pub(crate) fn create(&mut self, binding: Binding<'_>) -> (MaterialId, Vec<u8>) {
        match self.ask(&Command::CreateKey { binding }) {
            Answer::Key(material, token) => (material, token),
            other => panic!("{other:?}"),
        }
    }

    /// Says hello; whether that was answered.
    pub(crate) fn greets(&mut self) -> bool {
        self.write(1, &Command::Hello { version: VERSION });
        matches!(self.read(), Some((1, Answer::Other)))
    }

    /// Whether the HSM has ended the connection. Waits for it.
    pub(crate) fn is_ended(&mut self) -> bool {
        self.read().is_none()
    }
}
