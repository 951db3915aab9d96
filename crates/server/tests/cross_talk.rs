//! Attack J5: nobody gets an answer that is not theirs, whoever hangs up and however often the HSM dies.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::client::{Answer, Broken, Client, Credentials, base64};
use support::dice::Dice;
use support::events::{self, Event};
use support::server::{Home, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

const CALLERS: u64 = 32;
/// How often the HSM is killed.
const KILLS: u64 = 16;
/// Of a hundred requests, those whose caller hangs up.
const HANG_UPS: u64 = 15;
/// How long a caller who hangs up waits before.
const PATIENCE: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(12));
/// How long everybody calls between two kills.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(150));
/// Requests whose callers are gone before they are carried out.
const ORPHANS: usize = 24;

/// What everybody saw together.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Tally>>);

#[derive(Default)]
struct Tally {
    request_ids: HashSet<String>,
    /// Random numbers and data keys, which nobody may get twice.
    secrets: HashSet<Vec<u8>>,
    matched: u64,
    hang_ups: u64,
    retryable: u64,
}

impl Seen {
    fn with(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.0.lock().unwrap());
    }
}

/// One who calls, on one connection at a time.
struct Caller {
    address: String,
    credentials: Credentials,
    client: Option<Client>,
    dice: Dice,
    seen: Seen,
    keys: [String; 2],
    name: String,
    number: u64,
    /// What this caller has sealed: blob, by plaintext.
    sealed: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Caller {
    async fn run(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.dice.roll(10) {
                0..4 => self.seal().await,
                4..6 => self.data_key().await,
                6..7 => self.random().await,
                _ => self.open_one().await,
            };
        }
        // What was sealed amid the trouble opens, each to its own.
        for (plaintext, blob) in std::mem::take(&mut self.sealed) {
            let answer = loop {
                if let Some(answer) = self.ask("Decrypt", &opening(&blob), false).await {
                    break answer;
                }
            };
            assert_eq!(answer.bytes("Plaintext"), plaintext);
        }
    }

    async fn seal(&mut self) -> Option<()> {
        self.number += 1;
        let plaintext = format!("{} {}", self.name, self.number).into_bytes();
        let key = self.keys[self.dice.place(2)].clone();
        let input = json!({"KeyId": key, "Plaintext": base64(&plaintext)});
        let answer = self.ask("Encrypt", &input, true).await?;
        assert_eq!(answer.text("KeyId"), key, "the answer is of another key");
        self.keep(plaintext, &answer).await
    }

    async fn data_key(&mut self) -> Option<()> {
        let key = self.keys[self.dice.place(2)].clone();
        let length = 32 + self.dice.place(64);
        let input = json!({"KeyId": key, "NumberOfBytes": length});
        let answer = self.ask("GenerateDataKey", &input, true).await?;
        assert_eq!(answer.text("KeyId"), key, "the answer is of another key");
        let plaintext = answer.bytes("Plaintext");
        assert_eq!(plaintext.len(), length, "the answer is of another request");
        self.seen
            .with(|tally| assert!(tally.secrets.insert(plaintext.clone()), "two callers got one data key"));
        self.keep(plaintext, &answer).await
    }

    async fn random(&mut self) -> Option<()> {
        let length = 16 + self.dice.place(512);
        let answer = self.ask("GenerateRandom", &json!({"NumberOfBytes": length}), true).await?;
        let bytes = answer.bytes("Plaintext");
        assert_eq!(bytes.len(), length, "the answer is of another request");
        self.seen.with(|tally| assert!(tally.secrets.insert(bytes), "two callers got one random number"));
        Some(())
    }

    async fn open_one(&mut self) -> Option<()> {
        if self.sealed.is_empty() {
            return None;
        }
        let (plaintext, blob) = self.sealed[self.dice.place(self.sealed.len())].clone();
        let answer = self.ask("Decrypt", &opening(&blob), true).await?;
        assert_eq!(answer.bytes("Plaintext"), plaintext, "somebody else's plaintext");
        self.seen.with(|tally| tally.matched += 1);
        Some(())
    }

    /// Opens what an answer gave at once, and keeps it.
    async fn keep(&mut self, plaintext: Vec<u8>, answer: &Answer) -> Option<()> {
        let blob = answer.bytes("CiphertextBlob");
        self.sealed.push((plaintext.clone(), blob.clone()));
        let opened = self.ask("Decrypt", &opening(&blob), false).await?;
        assert_eq!(opened.bytes("Plaintext"), plaintext, "the blob is of another request");
        self.seen.with(|tally| tally.matched += 1);
        Some(())
    }

    /// Asks, unless it hangs up before the answer; `None` also where a part is not there.
    async fn ask(&mut self, operation: &str, input: &Value, may_hang_up: bool) -> Option<Answer> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                Client::connect(&self.address, &self.credentials).await.expect("the host does not accept")
            }
        };
        let answer = if may_hang_up && self.dice.chance(HANG_UPS) {
            let patience = self.dice.between(PATIENCE.0, PATIENCE.1);
            match tokio::time::timeout(patience, client.call(operation, input)).await {
                Ok(answer) => answer,
                Err(_) => {
                    self.seen.with(|tally| tally.hang_ups += 1);
                    return None;
                }
            }
        } else {
            client.call(operation, input).await
        };
        let answer = answer.unwrap_or_else(|Broken| panic!("the host broke a connection"));
        self.client = Some(client);
        let request_id = answer.request_id.clone();
        self.seen
            .with(|tally| assert!(tally.request_ids.insert(request_id), "two answers have one request id"));
        match answer.error() {
            None => Some(answer),
            Some("DependencyTimeoutException") => {
                assert_eq!(answer.status, 500);
                self.seen.with(|tally| tally.retryable += 1);
                None
            }
            Some(_) => panic!("{operation} {input} {answer:?}"),
        }
    }
}

fn opening(blob: &[u8]) -> Value {
    json!({"CiphertextBlob": base64(blob)})
}

async fn create_key(client: &mut Client) -> String {
    let answer = client.call("CreateKey", &json!({})).await.unwrap().succeeded();
    answer.body["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn each_answer_is_its_callers() {
    block_on(async {
        let (mut home, mut dice, seen) = (Home::new(false), Dice::of_this_run(), Seen::default());
        let mut server = home.start().await;
        let mut client = server.connect().await;
        let keys = [create_key(&mut client).await, create_key(&mut client).await];
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for number in 0..CALLERS {
            let caller = Caller {
                address: server.address(),
                credentials: server.credentials().clone(),
                client: None,
                dice: dice.split(),
                seen: seen.clone(),
                keys: keys.clone(),
                name: format!("caller {number}"),
                number: 0,
                sealed: Vec::new(),
            };
            running.spawn(caller.run(stopped.clone()));
        }
        for kill in 0..KILLS {
            tokio::time::sleep(dice.between(PAUSE.0, PAUSE.1)).await;
            kill_hsm(&server, &mut dice, kill % 2 == 0).await;
        }
        tokio::time::sleep(PAUSE.1).await;
        stop.send_replace(true);
        running.join_all().await;
        assert!(server.is_alive());
        server.stop().await;
        seen.with(|tally| {
            println!(
                "{KILLS} kills; {} answers, {} matched, {} hang-ups, {} to be tried again",
                tally.request_ids.len(),
                tally.matched,
                tally.hang_ups,
                tally.retryable
            );
            assert!(tally.matched > 0 && tally.hang_ups > 0 && tally.retryable > 0);
        });
        check_events(&home, &seen);
    });
}

async fn kill_hsm(server: &Server, dice: &mut Dice, freeze: bool) {
    let hsm = server.next_hsm(None).await;
    if freeze {
        hsm.signal(Signal::STOP);
        tokio::time::sleep(dice.between(PATIENCE.0, PATIENCE.1)).await;
    }
    assert!(hsm.signal(Signal::KILL), "the HSM ended by itself");
    hsm.ended().await;
    drop(server.next_hsm(Some(hsm.pid())).await);
}

/// Every id stands once, and every answer that somebody saw has its event, unless it was nobody's.
fn check_events(home: &Home, seen: &Seen) {
    let (events, _) = events::read(&home.ledger(), 1);
    let mut by_request: HashMap<&str, u64> = HashMap::new();
    let mut event_ids = HashSet::new();
    for event in &events {
        *by_request.entry(event.request_id()).or_default() += 1;
        assert!(event_ids.insert(event.text("eventID")), "an event id stands twice");
    }
    assert!(by_request.values().all(|count| *count == 1), "a request has two events");
    seen.with(|tally| {
        let without =
            tally.request_ids.iter().filter(|id| !by_request.contains_key(id.as_str())).count() as u64;
        assert!(
            without <= tally.retryable,
            "{without} answers without an event, {} retryable",
            tally.retryable
        );
    });
}

/// Who sends a request and goes away has made it all the same: its event is written, and so is that of its effect.
#[test]
fn a_request_outlives_its_caller() {
    block_on(async {
        let mut home = Home::new(false);
        let server = home.start().await;
        let mut client = server.connect().await;
        let key = create_key(&mut client).await;
        let hsm = server.hsm().unwrap();
        // While the HSM stands still the requests cannot be answered, so their callers are gone before they are.
        hsm.signal(Signal::STOP);
        for number in 0..ORPHANS {
            let context = json!({"orphan": number.to_string()});
            let input = json!({"KeyId": key, "Plaintext": base64(b"x"), "EncryptionContext": context});
            let mut stream = TcpStream::connect(server.address()).await.unwrap();
            stream.write_all(&client.bytes("Encrypt", &input)).await.unwrap();
            stream.shutdown().await.unwrap();
            drop(stream);
            let alias = json!({"AliasName": format!("alias/orphan-{number}"), "TargetKeyId": key});
            let mut stream = TcpStream::connect(server.address()).await.unwrap();
            stream.write_all(&client.bytes("CreateAlias", &alias)).await.unwrap();
        }
        // Each thread has taken up everything before when it answers these.
        for _ in 0..4 {
            server.connect().await.call("ListKeys", &json!({})).await.unwrap().succeeded();
        }
        hsm.signal(Signal::CONT);
        server.stop().await;
        let server = home.start().await;
        let listed =
            server.connect().await.call("ListAliases", &json!({"Limit": 100})).await.unwrap().succeeded();
        let made = listed.body["Aliases"].as_array().unwrap().len();
        let (events, _) = events::read(&home.ledger(), 1);
        let orphans = |name: &str, is: &dyn Fn(&Value) -> bool| -> Vec<&Event> {
            events
                .iter()
                .filter(|event| event.text("eventName") == name && is(&event.0["requestParameters"]))
                .collect()
        };
        let encrypts =
            orphans("Encrypt", &|parameters| parameters["encryptionContext"]["orphan"].is_string());
        let aliases = orphans("CreateAlias", &|parameters| parameters["aliasName"].is_string());
        assert_eq!((encrypts.len(), aliases.len()), (ORPHANS, ORPHANS));
        // All of them change one key, so some may have been told to try again; the event says so.
        assert_eq!(aliases.iter().filter(|event| event.error().is_none()).count(), made);
        assert!(made > 0);
    });
}
