//! What is there after a crash, compared with what was acknowledged and with what the events say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::record::{Change, Journal, KeyState, Replay, sid};
use super::worker::{Worker, opening};
use crate::support::client::Client;

/// How many older ciphertexts each check opens again.
const OLDER: usize = 4;

/// How much of what was acknowledged is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What may have changed since the last check.
    Changed,
    /// Everything.
    All,
}

impl Worker {
    /// Compares what is there with what was acknowledged. Answers how many things were compared.
    pub(crate) async fn check(mut self, mut client: Client, extent: Extent) -> (Self, u64) {
        let mut compared = 0;
        let names: Vec<String> = match extent {
            Extent::Changed => {
                self.touched.iter().filter(|name| self.ids.contains_key(*name)).cloned().collect()
            }
            Extent::All => self.acknowledged.keys.keys().cloned().collect(),
        };
        for name in names {
            let visible = look(&self.journal, &mut client, &self.ids[&name]).await;
            self.adopt(&name, visible);
            compared += 1;
        }
        // What was in doubt was found done or not done; from here on it is as it is.
        self.in_doubt = None;
        self.touched.clear();
        compared += self.open(&mut client, extent).await;
        (self, compared)
    }

    /// Takes what is there for acknowledged: it must be what was, or what the mutation in doubt would have made.
    fn adopt(&mut self, name: &str, visible: KeyState) {
        let must = self.acknowledged.keys.get(name);
        let may = match &self.in_doubt {
            Some(Change::Key(changed, state)) if changed == name => Some(state),
            _ => None,
        };
        assert!(
            must == Some(&visible) || may == Some(&visible),
            "{name} is {visible:?}; acknowledged was {must:?}, in doubt {may:?}"
        );
        self.acknowledged.keys.insert(name.to_owned(), visible);
    }

    /// Opens what was encrypted.
    async fn open(&mut self, client: &mut Client, extent: Extent) -> u64 {
        let mut places: BTreeSet<usize> = match extent {
            Extent::Changed => (self.opened..self.sealed.len()).collect(),
            Extent::All => (0..self.sealed.len()).collect(),
        };
        if self.opened > 0 {
            places.extend((0..OLDER).map(|_| self.dice.place(self.opened)));
        }
        self.opened = self.sealed.len();
        let compared = places.len() as u64;
        for sealed in places.into_iter().map(|place| self.sealed[place].clone()) {
            let answer = self.journal.insist(client, "Decrypt", &opening(&sealed)).await;
            assert_eq!(answer.error(), self.refusal(&sealed.key), "{sealed:?} {answer:?}");
            if answer.status == 200 {
                assert_eq!(answer.bytes("Plaintext"), sealed.plaintext, "another plaintext came out");
            }
        }
        compared
    }

    /// Makes every key usable again.
    pub(crate) async fn enable_all(&mut self, client: &mut Client) {
        let names: Vec<String> = self.acknowledged.keys.keys().cloned().collect();
        for name in names {
            let before = self.acknowledged.keys[&name].clone();
            let input = json!({"KeyId": self.ids[&name]});
            let with = |state: &str| {
                Change::Key(name.clone(), KeyState { state: state.to_owned(), ..before.clone() })
            };
            if before.state == "PendingDeletion" {
                let done = self.mutate(client, "CancelKeyDeletion", input.clone(), with("Disabled")).await;
                drop(done.unwrap());
            }
            if before.state != "Enabled" {
                drop(self.mutate(client, "EnableKey", input, with("Enabled")).await.unwrap());
            }
        }
    }

    /// Whether the events tell the same of this worker's keys and aliases as the service shows.
    pub(crate) fn compare(&self, replay: &Replay) {
        for (name, state) in &self.acknowledged.keys {
            assert_eq!(replay.keys.get(&self.ids[name]), Some(state), "{name}: the events tell otherwise");
        }
        let told = replay.aliases.iter().filter(|(alias, _)| self.owns(alias));
        let told: BTreeMap<_, _> = told.map(|(alias, id)| (alias.as_str(), id.as_str())).collect();
        let shown = self.acknowledged.aliases.iter();
        let shown: BTreeMap<_, _> =
            shown.map(|(alias, key)| (alias.as_str(), self.ids[key].as_str())).collect();
        assert_eq!(told, shown, "the events tell otherwise");
    }

    fn owns(&self, alias: &str) -> bool {
        alias
            .strip_prefix("alias/")
            .and_then(|name| name.strip_prefix(self.name.as_str()))
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// Compares aliases, and keys that were made without the answer having come.
    fn compare_lists(&mut self, unknown: &mut BTreeMap<String, String>, aliases: &BTreeMap<String, String>) {
        if let Some(Change::Key(name, _)) = &self.in_doubt
            && let Some(id) = unknown.remove(name)
        {
            self.ids.insert(name.clone(), id);
        }
        let named = |id: &str| self.ids.iter().find(|(_, known)| *known == id).map(|(name, _)| name.clone());
        let visible: BTreeMap<String, String> = aliases
            .iter()
            .filter(|(alias, _)| self.owns(alias))
            .map(|(alias, id)| (alias.clone(), named(id).unwrap_or_else(|| panic!("{alias} points at {id}"))))
            .collect();
        let mut may = self.acknowledged.clone();
        if let Some(change @ Change::Alias(..)) = self.in_doubt.clone() {
            may.apply(change);
        }
        let must = &self.acknowledged.aliases;
        assert!(
            visible == *must || visible == may.aliases,
            "{visible:?}; acknowledged was {must:?}, or {may:?}"
        );
        self.acknowledged.aliases = visible;
    }
}

/// Compares the lists of keys and aliases with what everybody knows: nothing is missing, nothing came from nowhere.
pub(crate) async fn lists(journal: &Journal, client: &mut Client, workers: &mut [Worker]) {
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for key in list(journal, client, "ListKeys", "Keys").await {
        assert!(ids.insert(key["KeyId"].as_str().unwrap().to_owned()), "ListKeys repeats {key}");
    }
    for (name, id) in workers.iter().flat_map(|worker| &worker.ids) {
        assert!(ids.remove(id), "the key {name} is lost");
    }
    let mut unknown = BTreeMap::new();
    for id in ids {
        let answer = journal.insist(client, "DescribeKey", &json!({"KeyId": id})).await.succeeded();
        unknown.insert(answer.body["KeyMetadata"]["Description"].as_str().unwrap().to_owned(), id);
    }
    let mut aliases = BTreeMap::new();
    for alias in list(journal, client, "ListAliases", "Aliases").await {
        let member = |name: &str| alias[name].as_str().unwrap().to_owned();
        assert!(aliases.insert(member("AliasName"), member("TargetKeyId")).is_none(), "{alias} stands twice");
    }
    workers.iter_mut().for_each(|worker| worker.compare_lists(&mut unknown, &aliases));
    assert!(unknown.is_empty(), "keys that nobody asked for: {unknown:?}");
}

/// All pages of a list.
async fn list(journal: &Journal, client: &mut Client, operation: &str, member: &str) -> Vec<Value> {
    let (mut all, mut input) = (Vec::new(), json!({"Limit": 100}));
    loop {
        let mut answer = journal.insist(client, operation, &input).await.succeeded();
        let Value::Array(page) = answer.body[member].take() else { panic!("no {member}") };
        all.extend(page);
        if answer.body["Truncated"] != true {
            return all;
        }
        input["Marker"] = answer.body["NextMarker"].take();
    }
}

/// What a key looks like.
async fn look(journal: &Journal, client: &mut Client, id: &str) -> KeyState {
    let key = json!({"KeyId": id});
    let described = journal.insist(client, "DescribeKey", &key).await.succeeded();
    let policy = journal.insist(client, "GetKeyPolicy", &key).await.succeeded();
    let tags = journal.insist(client, "ListResourceTags", &key).await.succeeded();
    KeyState {
        state: described.body["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned(),
        policy: sid(policy.text("Policy")),
        tag: tags.body["Tags"][0]["TagValue"].as_str().map(str::to_owned),
    }
}
