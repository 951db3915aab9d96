//! `claviger explain`: why a past request was answered as it was. Reads the ledger, also while it is being written.

use std::io::BufRead;
use std::path::Path;

use claviger_service::explain::{Basis, Explanation, Ids};
use serde::{Deserialize, Serialize};

use crate::audit::{self, named};
use crate::cli::Explain;
use crate::config::Config;
use crate::ledger;
use crate::shell::say;

/// Carries out the command.
///
/// # Errors
/// What to tell the operator, also where nothing of this id is there.
pub fn run(options: &Explain) -> Result<(), String> {
    let data = match &options.config {
        Some(config) => Config::read(config)?.data_dir,
        None => audit::data_folder(&options.data_dir),
    };
    let ledger = audit::present(data.join("ledger"))?;
    let text = match (&options.event, &options.request) {
        (Some(id), _) => show(&event(&ledger, id)?, options.json)?,
        (None, Some(id)) => match find(&ledger, |ids| ids.request_id == *id)? {
            Some(found) => show(&found, options.json)?,
            None => match nobody(&data, id) {
                Some(refused) => refused.show(options.json)?,
                None => return Err(missing(&data, "request", id)),
            },
        },
        (None, None) => return Err("`--event` or `--request` says what to explain".to_owned()),
    };
    say(&text);
    Ok(())
}

/// The event of this id; for the part of a call in another Region, the call's.
fn event(dir: &Path, id: &str) -> Result<Explanation, String> {
    let absent = |id: &str| missing(dir, "event", id);
    let found = find(dir, |ids| ids.event_id == *id)?.ok_or_else(|| absent(id))?;
    match &found.basis {
        Basis::See(call) => find(dir, |ids| ids.event_id == *call)?.ok_or_else(|| absent(call)),
        _ => Ok(found),
    }
}

fn missing(dir: &Path, what: &str, id: &str) -> String {
    format!("{}: there is no {what} `{}`", dir.display(), id.escape_default())
}

/// The first record that is meant.
fn find(dir: &Path, is_meant: impl Fn(&Ids<'_>) -> bool) -> Result<Option<Explanation>, String> {
    for record in ledger::read(dir, 1).map_err(|bad| named(dir, &bad))? {
        let record = record.map_err(|bad| named(dir, &bad))?;
        let unreadable = |error| format!("{}: event {}: {error}", dir.display(), record.sequence);
        if is_meant(&Ids::of(&record.payload).map_err(unreadable)?) {
            return Explanation::of(&record.payload).map(Some).map_err(unreadable);
        }
    }
    Ok(None)
}

fn show(explanation: &Explanation, json: bool) -> Result<String, String> {
    if json { as_json(explanation) } else { Ok(explanation.to_string()) }
}

fn as_json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map(|line| line + "\n").map_err(|error| error.to_string())
}

/// A line of the security log: a request that authenticated nobody.
#[derive(Debug, Deserialize)]
struct Refused {
    time: String,
    request_id: String,
    peer: String,
    operation: String,
    error: String,
}

/// That line of the security log, which has two files.
fn nobody(data: &Path, request_id: &str) -> Option<Refused> {
    ["security.log", "security.log.1"].iter().find_map(|name| {
        let file = std::fs::File::open(data.join(name)).ok()?;
        let lines = std::io::BufReader::new(file).lines().map_while(Result::ok);
        let mut refused = lines.filter_map(|line| serde_json::from_str::<Refused>(&line).ok());
        refused.find(|refused| refused.request_id == request_id)
    })
}

impl Refused {
    fn show(&self, json: bool) -> Result<String, String> {
        let Self { time, request_id, peer, operation, error } = self;
        if json {
            return as_json(&serde_json::json!({
                "requestId": request_id, "eventTime": time, "eventName": operation, "sourceIPAddress": peer,
                "error": {"code": error}, "basis": {"kind": "nobodyAuthenticated"}, "decisions": [],
            }));
        }
        Ok(format!(
            "{} at {time} from {peer}\n  request {}\n\nIt was refused: {error}\nNo policy was asked: the request \
             authenticated nobody.\n",
            operation.escape_default(),
            request_id.escape_default()
        ))
    }
}
