//! Starts `claviger-hsm` and starts it again when it ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::stop::stopped;

/// How to start the HSM.
#[derive(Debug, Clone)]
pub struct HsmProgram {
    /// The program.
    pub program: PathBuf,
    /// Unix socket it listens on.
    pub socket: PathBuf,
    /// Folder of its seal.
    pub seal_dir: PathBuf,
}

/// First pause before a restart; doubled up to [`MAX_PAUSE`] while restarts fail.
const MIN_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause before a restart.
const MAX_PAUSE: Duration = Duration::from_secs(5);

impl HsmProgram {
    /// The program next to this one.
    ///
    /// # Errors
    /// When the path of this program is not known.
    pub fn beside_this() -> std::io::Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name("claviger-hsm"))
    }

    /// Starts it and waits until it is ready. It ends when this process does.
    ///
    /// # Errors
    /// What to tell the operator.
    pub async fn start(&self, init: bool) -> Result<Child, String> {
        let mut command = command(&self.program);
        command
            .arg("--socket")
            .arg(&self.socket)
            .arg("--seal-dir")
            .arg(&self.seal_dir)
            .arg("--exit-with-parent");
        if init {
            command.arg("--init");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let started = command.spawn();
        let mut child =
            started.map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        let Some(stdout) = child.stdout.take() else { return Err("the HSM has no output".to_owned()) };
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line).await;
        if read.is_ok() && line.trim_end().starts_with("ready") {
            return Ok(child);
        }
        let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        Err(format!("the HSM did not start ({status}); its own log says why"))
    }

    /// Waits for the child to end, and starts another one each time, until `stop` says so.
    pub async fn supervise(self, mut child: Child, mut stop: watch::Receiver<bool>) {
        let mut pause = MIN_PAUSE;
        loop {
            tokio::select! {
                status = child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    tracing::error!(status, "the HSM ended; starting it again");
                }
                () = stopped(&mut stop) => return end(child).await,
            }
            child = loop {
                match self.start(false).await {
                    Ok(child) => break child,
                    Err(cause) => {
                        tracing::error!(cause, "the HSM cannot be started");
                        tokio::select! {
                            () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                            () = stopped(&mut stop) => return,
                        }
                    }
                }
            };
            pause = MIN_PAUSE;
        }
    }
}

/// Asks the HSM to end, and waits until it has.
async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok()
    {
        let _ = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts a process")]
fn command(program: &Path) -> Command {
    Command::from(std::process::Command::new(program))
}
