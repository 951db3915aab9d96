//! The operator's door: a Unix socket in the data folder, through which `claviger account` asks the running server.
//!
//! The store belongs to the server while it runs, so a command cannot write it by itself. The socket is for the server's
//! own user: its folder has mode 0700, it has mode 0600, and the peer's user id is checked on every connection. A
//! connection carries one request and one answer, each a line of JSON.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use claviger_service::account::{self, Account, Operator};
use claviger_service::credential::NewCredential;
use claviger_service::{Error, Moment, Service};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use zeroize::Zeroizing;

use crate::shell;

/// Name of the socket in the data folder.
pub const SOCKET: &str = "admin.sock";
/// Longest request in bytes.
const MAX_REQUEST: u64 = 16 * 1024;
/// Longest time for a request to arrive, and for its answer to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What an operator may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Makes an account.
    CreateAccount {
        /// Twelve digits; random when absent.
        id: Option<String>,
        /// What to call it.
        name: String,
    },
    /// All accounts.
    ListAccounts {},
    /// One account.
    ShowAccount {
        /// Its id.
        id: String,
    },
    /// Closes an account.
    CloseAccount {
        /// Its id.
        id: String,
    },
    /// Opens it again.
    ReopenAccount {
        /// Its id.
        id: String,
    },
    /// Makes an access key of the root user.
    CreateRootKey {
        /// Id of the account.
        id: String,
    },
    /// Deletes one.
    DeleteRootKey {
        /// Id of the account.
        id: String,
        /// Which.
        access_key_id: String,
    },
}

/// An answer. What holds a secret does not print.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Accounts that were asked for, made or changed.
    Accounts(Vec<Shown>),
    /// A new access key, with the account where that is new too.
    Key {
        /// The account.
        account: Option<Shown>,
        /// Its access key id.
        access_key_id: String,
        /// Its secret access key; shown this once.
        #[serde(with = "secret")]
        secret_access_key: Zeroizing<String>,
    },
    /// It is done.
    Done {},
    /// It was refused, and why.
    Refused(String),
}

/// How a secret access key crosses the socket, the one place where one is written.
mod secret {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(secret: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(from).map(Zeroizing::new)
    }
}

/// An account, as [`Account`] shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Twelve digits.
    pub id: String,
    /// What the operator calls it.
    pub name: Option<String>,
    /// When it was made.
    pub created: String,
    /// When it was closed, while it is.
    pub closed: Option<String>,
    /// Access key ids of its root user.
    pub root_keys: Vec<String>,
}

impl From<Account> for Shown {
    fn from(account: Account) -> Self {
        let Account { id, name, created, closed, root_keys } = account;
        Self { id, name, created, closed, root_keys }
    }
}

/// The bound socket. Gone from the folder when dropped.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Binds the socket in a data folder whose store this process has locked: a socket that stands there is abandoned.
    ///
    /// # Errors
    /// What to tell the operator, also where something that is no socket stands in its place.
    pub fn bind(data_dir: &Path) -> Result<Self, String> {
        let path = data_dir.join(SOCKET);
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(&path).map_err(failed)?,
            Ok(_) => return Err(format!("{} is in the way: it is no socket", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Answers one connection after the other, for ever.
    pub async fn serve(&self, service: &Service) -> std::convert::Infallible {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => converse(stream, service).await,
                Err(error) => {
                    tracing::warn!(cause = error.to_string(), "cannot accept an operator's connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads a request, carries it out, and answers it. Who is another user, or says nothing, gets nothing.
async fn converse(stream: UnixStream, service: &Service) {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    let uid = match peer {
        Ok(uid) if uid == rustix::process::geteuid().as_raw() => uid,
        _ => {
            tracing::warn!(
                uid = peer.ok(),
                "another user's process was turned away from the operator's socket"
            );
            return;
        }
    };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut limited = (&mut stream).take(MAX_REQUEST);
    let read = limited.read_until(b'\n', &mut line);
    if !matches!(tokio::time::timeout(PATIENCE, read).await, Ok(Ok(_))) {
        return;
    }
    let answer = match serde_json::from_slice(&line) {
        Ok(ask) => carry_out(service, Operator { uid }, ask, shell::now()).await,
        Err(error) => Answer::Refused(format!("this server does not understand the request: {error}")),
    };
    let Ok(text) = serde_json::to_vec(&answer) else { return };
    let mut text = Zeroizing::new(text);
    text.push(b'\n');
    let written = async {
        stream.get_mut().write_all(&text).await?;
        stream.get_mut().shutdown().await
    };
    let _ = tokio::time::timeout(PATIENCE, written).await;
}

async fn carry_out(service: &Service, operator: Operator, ask: Ask, now: Moment) -> Answer {
    let one = |outcome: Result<Account, Error>| outcome.map(|account| Answer::Accounts(vec![account.into()]));
    let outcome = match ask {
        Ask::CreateAccount { id, name } => account::create(service, operator, id.as_deref(), &name, now)
            .await
            .map(|(account, credential)| key(credential, Some(account))),
        Ask::ListAccounts {} => account::list(service)
            .await
            .map(|all| Answer::Accounts(all.into_iter().map(Shown::from).collect())),
        Ask::ShowAccount { id } => one(account::show(service, &id).await),
        Ask::CloseAccount { id } => one(account::close(service, operator, &id, now).await),
        Ask::ReopenAccount { id } => one(account::reopen(service, operator, &id, now).await),
        Ask::CreateRootKey { id } => {
            account::create_root_key(service, operator, &id, now).await.map(|made| key(made, None))
        }
        Ask::DeleteRootKey { id, access_key_id } => {
            let deleted = account::delete_root_key(service, operator, &id, &access_key_id, now);
            deleted.await.map(|()| Answer::Done {})
        }
    };
    outcome.unwrap_or_else(|error| {
        let why = error.message.or(error.cause).unwrap_or_else(|| "the server failed".to_owned());
        Answer::Refused(why)
    })
}

fn key(made: NewCredential, account: Option<Account>) -> Answer {
    let NewCredential { access_key_id, secret_access_key } = made;
    Answer::Key { account: account.map(Shown::from), access_key_id, secret_access_key }
}
