//! The independent record: what was asked, what was answered, and what must therefore be there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use crate::support::client::{Answer, Broken, Client};
use crate::support::events::Event;

/// The only error that a failing part may cause. Whoever gets it tries again.
pub(crate) const RETRYABLE: &str = "DependencyTimeoutException";

/// What a key looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyState {
    pub(crate) state: String,
    /// `Sid` of the policy's statement, which is different in each policy.
    pub(crate) policy: String,
    /// Value of the one tag.
    pub(crate) tag: Option<String>,
}

/// Keys and aliases by their names; the name of a key is its description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) keys: BTreeMap<String, KeyState>,
    /// Which key an alias points at.
    pub(crate) aliases: BTreeMap<String, String>,
}

/// What one mutation does to the world, all of it or nothing.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Key(String, KeyState),
    Alias(String, Option<String>),
}

impl World {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Key(name, state) => drop(self.keys.insert(name, state)),
            Change::Alias(name, Some(target)) => drop(self.aliases.insert(name, target)),
            Change::Alias(name, None) => drop(self.aliases.remove(&name)),
        }
    }
}

/// Something that was encrypted, as acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) key: String,
    pub(crate) context: String,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) blob: Vec<u8>,
}

/// Requests and answers of everybody. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    /// Answered since the events were last compared, by request id.
    answered: HashMap<String, Noted>,
    /// Requests whose answer never came.
    cut_off: u64,
    event_ids: HashSet<String>,
    counts: Counts,
}

struct Noted {
    operation: String,
    error: Option<String>,
}

/// What happened so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) retryable: u64,
    pub(crate) cut_off: u64,
    pub(crate) events: u64,
    /// Events of requests whose answer never came.
    pub(crate) unanswered_events: u64,
}

impl Journal {
    /// Sends a request, noting it before, and its answer after.
    pub(crate) async fn ask(
        &self,
        client: &mut Client,
        operation: &str,
        input: &Value,
    ) -> Result<Answer, Broken> {
        self.notes().counts.sent += 1;
        let answer = client.call(operation, input).await;
        let mut notes = self.notes();
        let Ok(answer) = answer else {
            notes.cut_off += 1;
            notes.counts.cut_off += 1;
            return Err(Broken);
        };
        match answer.error() {
            None => notes.counts.acknowledged += 1,
            Some(RETRYABLE) => notes.counts.retryable += 1,
            Some(_) => notes.counts.refused += 1,
        }
        let noted = Noted { operation: operation.to_owned(), error: answer.error().map(str::to_owned) };
        let before = notes.answered.insert(answer.request_id.clone(), noted);
        assert!(before.is_none(), "two answers carry the request id {}", answer.request_id);
        Ok(answer)
    }

    /// The same, again while a part is not back yet.
    pub(crate) async fn insist(&self, client: &mut Client, operation: &str, input: &Value) -> Answer {
        for _ in 0..20 {
            let answer = self.ask(client, operation, input).await.expect("the host broke a connection");
            if answer.error() != Some(RETRYABLE) {
                return answer;
            }
        }
        panic!("{operation} is not served again");
    }

    /// Compares the events that are new with the answers that are. No request may be under way.
    pub(crate) fn settle(&self, events: &[Event]) {
        let mut notes = self.notes();
        for event in events {
            let (id, request_id) = (event.text("eventID"), event.request_id());
            assert!(notes.event_ids.insert(id.to_owned()), "the event id {id} stands twice");
            match notes.answered.remove(request_id) {
                Some(noted) => {
                    assert_eq!(event.text("eventName"), noted.operation, "{event:?}");
                    // A change may be made and the HSM be gone before it has forgotten the key: the event tells of the
                    // change, and the caller is told to ask again.
                    let done = noted.error.as_deref() == Some(RETRYABLE) && event.0["readOnly"] == false;
                    let agree = event.error().is_some() == noted.error.is_some();
                    assert!(agree || done, "{event:?} {:?}", noted.error);
                }
                // Of a request whose answer never came; or the second event of one request, which this finds too,
                // because there are no more of them than answers that never came.
                None => {
                    notes.counts.unanswered_events += 1;
                    notes.cut_off = notes.cut_off.checked_sub(1).unwrap_or_else(|| {
                        panic!("an event of no request, or a second one: {event:?}");
                    });
                }
            }
            notes.counts.events += 1;
        }
        // A request that failed before its signature could be checked is nobody's, and has no event.
        let missing = notes.answered.drain().find(|(_, noted)| noted.error.as_deref() != Some(RETRYABLE));
        if let Some((request_id, noted)) = missing {
            panic!("{} {request_id} was answered ({:?}) and has no event", noted.operation, noted.error);
        }
        // What was cut off before now either has its event by now or never will.
        notes.cut_off = 0;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.notes().counts.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap()
    }
}

/// The world as the events tell it, from the first one on.
#[derive(Default)]
pub(crate) struct Replay {
    /// By key id.
    pub(crate) keys: HashMap<String, KeyState>,
    /// Alias, `alias/` included, to key id.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Replay {
    /// Goes on by one event.
    pub(crate) fn apply(&mut self, event: &Event) {
        if event.error().is_some() {
            return;
        }
        let parameters = &event.0["requestParameters"];
        let of = |member: &str| {
            parameters[member].as_str().unwrap_or_else(|| panic!("no {member}: {event:?}")).to_owned()
        };
        match event.text("eventName") {
            "CreateKey" => {
                let id = event.0["responseElements"]["keyMetadata"]["keyId"].as_str().unwrap();
                let state = KeyState { state: "Enabled".to_owned(), policy: sid(&of("policy")), tag: None };
                self.keys.insert(id.to_owned(), state);
            }
            "CreateAlias" | "UpdateAlias" => drop(self.aliases.insert(of("aliasName"), of("targetKeyId"))),
            "DeleteAlias" => drop(self.aliases.remove(&of("aliasName"))),
            "EnableKey" => self.key(event).state = "Enabled".to_owned(),
            "DisableKey" | "CancelKeyDeletion" => self.key(event).state = "Disabled".to_owned(),
            "ScheduleKeyDeletion" => self.key(event).state = "PendingDeletion".to_owned(),
            "PutKeyPolicy" => self.key(event).policy = sid(&of("policy")),
            "TagResource" => {
                let value = parameters["tags"][0]["tagValue"].as_str().unwrap().to_owned();
                self.key(event).tag = Some(value);
            }
            _ => {}
        }
    }

    fn key(&mut self, event: &Event) -> &mut KeyState {
        let id = event.0["requestParameters"]["keyId"].as_str().unwrap();
        self.keys.get_mut(id).unwrap_or_else(|| panic!("an event before its key's: {event:?}"))
    }
}

/// The `Sid` of a policy's first statement.
pub(crate) fn sid(policy: &str) -> String {
    let policy: Value = serde_json::from_str(policy).unwrap();
    policy["Statement"][0]["Sid"].as_str().unwrap().to_owned()
}

/// A policy that lets the account do everything, told apart by its `Sid`.
pub(crate) fn policy(sid: &str) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}
