//! One who uses the service: one request at a time, and a memory of what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::record::{Change, Journal, KeyState, RETRYABLE, Sealed, World, policy};
use crate::support::client::{Answer, Client, base64};
use crate::support::dice::Dice;

/// How many of its newest keys a worker changes and encrypts under.
const LIVE_KEYS: usize = 3;
/// How many aliases a worker has at most.
const ALIASES: u64 = 3;

/// Why a worker stopped before it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The connection broke.
    Broken,
    /// A mutation was neither acknowledged nor refused; whether it was done is for the check to find out.
    InDoubt,
}

/// The worker.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) dice: Dice,
    pub(crate) journal: Journal,
    /// What must be there.
    pub(crate) acknowledged: World,
    /// What may also have been done.
    pub(crate) in_doubt: Option<Change>,
    /// Ids of keys by their names.
    pub(crate) ids: BTreeMap<String, String>,
    /// Keys changed since the last check.
    pub(crate) touched: BTreeSet<String>,
    pub(crate) sealed: Vec<Sealed>,
    /// How many of `sealed` were already opened by a check.
    pub(crate) opened: usize,
    number: u64,
}

impl Worker {
    pub(crate) fn new(name: String, dice: Dice, journal: Journal) -> Self {
        Self {
            name,
            dice,
            journal,
            acknowledged: World::default(),
            in_doubt: None,
            ids: BTreeMap::new(),
            touched: BTreeSet::new(),
            sealed: Vec::new(),
            opened: 0,
            number: 0,
        }
    }

    /// Works until it is told to stop, or must.
    pub(crate) async fn run(
        mut self,
        mut client: Client,
        stop: watch::Receiver<bool>,
    ) -> (Self, Option<Stopped>) {
        while !*stop.borrow() {
            if let Err(stopped) = self.step(&mut client).await {
                return (self, Some(stopped));
            }
        }
        (self, None)
    }

    async fn step(&mut self, client: &mut Client) -> Result<(), Stopped> {
        let roll = self.dice.roll(100);
        match roll {
            _ if self.acknowledged.keys.is_empty() => self.create_key(client).await,
            0..2 => self.create_key(client).await,
            2..25 => self.change_key(client).await,
            25..35 => self.change_alias(client).await,
            35..60 => self.encrypt(client).await,
            60..75 => self.data_key(client).await,
            75..85 => self.reencrypt(client).await,
            _ => self.decrypt(client).await,
        }
    }

    async fn create_key(&mut self, client: &mut Client) -> Result<(), Stopped> {
        let (name, sid) = (self.unique("k"), self.unique("p"));
        let state = KeyState { state: "Enabled".to_owned(), policy: sid.clone(), tag: None };
        let input = json!({"Description": name, "Policy": policy(&sid)});
        let answer = self.mutate(client, "CreateKey", input, Change::Key(name.clone(), state)).await?;
        let id = answer.body["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        self.ids.insert(name, id);
        Ok(())
    }

    async fn change_key(&mut self, client: &mut Client) -> Result<(), Stopped> {
        let name = self.live_key();
        let before = self.acknowledged.keys[&name].clone();
        let id = self.ids[&name].clone();
        let with = |state: &str| KeyState { state: state.to_owned(), ..before.clone() };
        let (operation, input, after) = match (before.state.as_str(), self.dice.roll(10)) {
            ("PendingDeletion", _) => ("CancelKeyDeletion", json!({"KeyId": id}), with("Disabled")),
            ("Disabled", 0..7) => ("EnableKey", json!({"KeyId": id}), with("Enabled")),
            (_, 0..1) => ("DisableKey", json!({"KeyId": id}), with("Disabled")),
            (_, 1) => (
                "ScheduleKeyDeletion",
                json!({"KeyId": id, "PendingWindowInDays": 7}),
                with("PendingDeletion"),
            ),
            (_, 2..6) => {
                let sid = self.unique("p");
                (
                    "PutKeyPolicy",
                    json!({"KeyId": id, "Policy": policy(&sid)}),
                    KeyState { policy: sid, ..before },
                )
            }
            _ => {
                let value = self.unique("t");
                let input = json!({"KeyId": id, "Tags": [{"TagKey": "n", "TagValue": value}]});
                ("TagResource", input, KeyState { tag: Some(value), ..before })
            }
        };
        self.mutate(client, operation, input, Change::Key(name, after)).await.map(drop)
    }

    async fn change_alias(&mut self, client: &mut Client) -> Result<(), Stopped> {
        let alias = format!("alias/{}-{}", self.name, self.dice.roll(ALIASES));
        let target = self.live_key();
        if self.acknowledged.keys[&target].state == "PendingDeletion" {
            return Ok(());
        }
        let input = json!({"AliasName": alias, "TargetKeyId": self.ids[&target]});
        let (operation, input, after) = match self.acknowledged.aliases.contains_key(&alias) {
            false => ("CreateAlias", input, Some(target)),
            true if self.dice.chance(60) => ("UpdateAlias", input, Some(target)),
            true => ("DeleteAlias", json!({"AliasName": alias}), None),
        };
        self.mutate(client, operation, input, Change::Alias(alias, after)).await.map(drop)
    }

    async fn encrypt(&mut self, client: &mut Client) -> Result<(), Stopped> {
        let (key, context) = (self.live_key(), self.unique("c"));
        let length = 1 + self.dice.place(64);
        let plaintext = [context.as_bytes(), &self.dice.bytes(length)].concat();
        let input = json!({
            "KeyId": self.ids[&key], "Plaintext": base64(&plaintext), "EncryptionContext": {"n": context},
        });
        if let Some(answer) = self.use_key(client, "Encrypt", input, &[&key]).await? {
            let blob = answer.bytes("CiphertextBlob");
            self.sealed.push(Sealed { key, context, plaintext, blob });
        }
        Ok(())
    }

    async fn data_key(&mut self, client: &mut Client) -> Result<(), Stopped> {
        let (key, context) = (self.live_key(), self.unique("c"));
        let input =
            json!({"KeyId": self.ids[&key], "KeySpec": "AES_256", "EncryptionContext": {"n": context}});
        if let Some(answer) = self.use_key(client, "GenerateDataKey", input, &[&key]).await? {
            let (plaintext, blob) = (answer.bytes("Plaintext"), answer.bytes("CiphertextBlob"));
            assert_eq!(plaintext.len(), 32);
            self.sealed.push(Sealed { key, context, plaintext, blob });
        }
        Ok(())
    }

    async fn reencrypt(&mut self, client: &mut Client) -> Result<(), Stopped> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        let place = self.dice.place(self.sealed.len());
        let (key, context) = (self.live_key(), self.unique("c"));
        let from = self.sealed[place].clone();
        let input = json!({
            "CiphertextBlob": base64(&from.blob), "SourceEncryptionContext": {"n": from.context},
            "DestinationKeyId": self.ids[&key], "DestinationEncryptionContext": {"n": context},
        });
        if let Some(answer) = self.use_key(client, "ReEncrypt", input, &[&from.key, &key]).await? {
            let blob = answer.bytes("CiphertextBlob");
            self.sealed.push(Sealed { key, context, plaintext: from.plaintext, blob });
        }
        Ok(())
    }

    async fn decrypt(&mut self, client: &mut Client) -> Result<(), Stopped> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        let place = self.dice.place(self.sealed.len());
        let sealed = self.sealed[place].clone();
        let answer = self.use_key(client, "Decrypt", opening(&sealed), &[&sealed.key]).await?;
        if let Some(answer) = answer {
            assert_eq!(answer.bytes("Plaintext"), sealed.plaintext, "another plaintext came out");
        }
        Ok(())
    }

    /// Uses keys: they are all enabled, and it succeeds; or one is not, and it is refused; or a part is not there.
    async fn use_key(
        &self,
        client: &mut Client,
        operation: &str,
        input: Value,
        keys: &[&str],
    ) -> Result<Option<Answer>, Stopped> {
        let answer = self.journal.ask(client, operation, &input).await.map_err(|_| Stopped::Broken)?;
        if answer.error() == Some(RETRYABLE) {
            return Ok(None);
        }
        let expected = keys.iter().map(|key| self.refusal(key)).find(Option::is_some).flatten();
        assert_eq!(answer.error(), expected, "{operation} {keys:?} {answer:?}");
        Ok((answer.status == 200).then_some(answer))
    }

    /// How the use of a key is refused in the state in which it is.
    pub(crate) fn refusal(&self, key: &str) -> Option<&'static str> {
        match self.acknowledged.keys[key].state.as_str() {
            "Enabled" => None,
            "Disabled" => Some("DisabledException"),
            _ => Some("KMSInvalidStateException"),
        }
    }

    /// Asks for a change; it is acknowledged, or it is in doubt.
    pub(crate) async fn mutate(
        &mut self,
        client: &mut Client,
        operation: &str,
        input: Value,
        change: Change,
    ) -> Result<Answer, Stopped> {
        if let Change::Key(name, _) = &change {
            self.touched.insert(name.clone());
        }
        self.in_doubt = Some(change.clone());
        let answer = self.journal.ask(client, operation, &input).await.map_err(|_| Stopped::Broken)?;
        if answer.error() == Some(RETRYABLE) {
            return Err(Stopped::InDoubt);
        }
        assert_eq!(answer.error(), None, "{operation} {input} {answer:?}");
        self.in_doubt = None;
        self.acknowledged.apply(change);
        Ok(answer)
    }

    fn live_key(&mut self) -> String {
        let back = self.dice.place(self.acknowledged.keys.len().min(LIVE_KEYS));
        self.acknowledged.keys.keys().nth_back(back).unwrap().clone()
    }

    /// A name that sorts behind those before it.
    fn unique(&mut self, kind: &str) -> String {
        self.number += 1;
        format!("{}{kind}{:06}", self.name, self.number)
    }
}

/// The request that opens something.
pub(crate) fn opening(sealed: &Sealed) -> Value {
    json!({"CiphertextBlob": base64(&sealed.blob), "EncryptionContext": {"n": sealed.context}})
}
