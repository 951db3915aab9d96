//! `claviger account`: asks the running server, through the operator's socket in its data folder.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::admin::{Answer, Ask, SOCKET, Shown};
use crate::cli::{Account, AccountCommand, RootKey};
use crate::config::Config;
use crate::shell::say;
use crate::{audit, files};

/// Longest wait for the server's answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Carries out the command.
///
/// # Errors
/// What to tell the operator.
pub fn run(options: Account) -> Result<(), String> {
    let data = match &options.config {
        Some(config) => Config::read(config)?.data_dir,
        None => audit::data_folder(&options.data_dir),
    };
    let (ask, file) = match options.command {
        AccountCommand::Create { name, id, credentials_file } => {
            (Ask::CreateAccount { id, name }, credentials_file)
        }
        AccountCommand::List => (Ask::ListAccounts {}, None),
        AccountCommand::Show { id } => (Ask::ShowAccount { id }, None),
        AccountCommand::Close { id } => (Ask::CloseAccount { id }, None),
        AccountCommand::Reopen { id } => (Ask::ReopenAccount { id }, None),
        AccountCommand::RootKey { command: RootKey::Create { id, credentials_file } } => {
            (Ask::CreateRootKey { id }, credentials_file)
        }
        AccountCommand::RootKey { command: RootKey::Delete { id, access_key_id } } => {
            (Ask::DeleteRootKey { id, access_key_id }, None)
        }
    };
    // Before anything is made: a secret that cannot be written down would be lost.
    if let Some(file) = file.as_deref().filter(|file| file.exists()) {
        return Err(format!("{} exists already", file.display()));
    }
    if let Some(file) = &file {
        files::check_private(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let answer = ask_server(&data, &ask)?;
    let text = show(answer, options.json, file.as_deref())?;
    say(&text);
    Ok(())
}

fn ask_server(data: &Path, ask: &Ask) -> Result<Answer, String> {
    let path = data.join(SOCKET);
    let stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("no server runs on {}: start it first", data.display())
        }
        _ => format!("{}: {error}", path.display()),
    })?;
    let exchanged = exchange(stream, ask).map_err(|error| format!("{}: {error}", path.display()))?;
    if exchanged.is_empty() {
        return Err(format!("the server on {} did not answer; is it run by another user?", data.display()));
    }
    serde_json::from_slice(&exchanged).map_err(|error| format!("the server's answer cannot be read: {error}"))
}

fn exchange(mut stream: UnixStream, ask: &Ask) -> io::Result<Zeroizing<Vec<u8>>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Zeroizing::new(Vec::new());
    BufReader::new(stream).read_until(b'\n', &mut answer)?;
    Ok(answer)
}

fn show(answer: Answer, json: bool, file: Option<&Path>) -> Result<Zeroizing<String>, String> {
    let as_json = |value: &serde_json::Value| Ok(Zeroizing::new(format!("{value}\n")));
    match answer {
        Answer::Refused(why) => Err(why),
        Answer::Done {} if json => as_json(&serde_json::json!({})),
        Answer::Done {} => Ok(Zeroizing::new("done\n".to_owned())),
        Answer::Accounts(accounts) if json => as_json(&serde_json::json!({ "accounts": accounts })),
        Answer::Accounts(accounts) => Ok(Zeroizing::new(accounts.iter().map(line).collect())),
        Answer::Key { account, access_key_id, secret_access_key } => {
            let key = Zeroizing::new(format!(
                "aws_access_key_id = {access_key_id}\naws_secret_access_key = {}\n",
                secret_access_key.as_str()
            ));
            let made = account.as_ref().map(line).unwrap_or_default();
            if let Some(file) = file {
                let profile = Zeroizing::new(format!("[default]\n{}", key.as_str()));
                let written = files::write_private(file, profile.as_bytes());
                // It cannot be asked for again, so it is shown rather than lost.
                if let Err(error) = written {
                    say(&key);
                    return Err(format!("{}: {error}", file.display()));
                }
                return match json {
                    true => as_json(&serde_json::json!({ "account": account, "accessKeyId": access_key_id })),
                    false => Ok(Zeroizing::new(format!("{made}{access_key_id} is in {}\n", file.display()))),
                };
            }
            match json {
                true => as_json(&serde_json::json!({
                    "account": account, "accessKeyId": access_key_id,
                    "secretAccessKey": secret_access_key.as_str(),
                })),
                false => {
                    Ok(Zeroizing::new(format!("{made}{}The secret is not shown again.\n", key.as_str())))
                }
            }
        }
    }
}

/// An account on a line of its own.
fn line(account: &Shown) -> String {
    let Shown { id, name, created, closed, root_keys } = account;
    let state = closed.as_ref().map_or_else(|| "open".to_owned(), |when| format!("closed since {when}"));
    let name = name.as_deref().unwrap_or("-");
    format!("{id}  {name}  made {created}  {state}  root keys: {}\n", root_keys.join(" "))
}
