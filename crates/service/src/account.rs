//! Accounts, as the operator of an installation makes, closes and reopens them, and the access keys of their root users.
//!
//! An account is a record; nobody is let in whose account has none, or a closed one, from the commit that closed it on
//! ([`Cache::account_is_open`](crate::cache::Cache::account_is_open)). Closing keeps everything the account has.
//!
//! Each change leaves one event, also one that is refused. The caller's side is the operator, whom the shell knows by the
//! process that asks; nothing here is reached through the API.

use claviger_store::{Commit, Precondition, Read, Record, Store, Write};
use claviger_wire::arn;
use claviger_wire::fault::Code;
use serde::Serialize;

use crate::audit::{self, Deed};
use crate::credential::{self, ACCESS_KEY_ID_LEN, NewCredential};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::moment::{Entropy, Moment};
use crate::outbox;
use crate::record::{self, AccountRecord, CredentialRecord, DeletedRootKeyRecord};

/// Longest name of an account in characters (AWS Organizations, `CreateAccountName`).
const MAX_NAME: usize = 50;
/// Most accounts of an installation.
const MAX_ACCOUNTS: usize = 10_000;
/// Most access keys of a root user (IAM quotas).
const MAX_ROOT_KEYS: usize = 2;
/// Most records read at once.
const PAGE: usize = 500;
/// How often a change is tried whose records others change meanwhile.
const MAX_ATTEMPTS: usize = 8;

/// Who asks: a process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// The user id of its process.
    pub uid: u32,
}

/// An account. Holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// What the operator calls it; none for one that was made by the configuration.
    pub name: Option<String>,
    /// When it was made, ISO 8601.
    pub created: String,
    /// When it was closed, if it is.
    pub closed: Option<String>,
    /// Access key ids of its root user.
    pub root_keys: Vec<String>,
}

impl Account {
    fn of(record: &AccountRecord) -> Self {
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            created: Moment(record.created_ms).iso(),
            closed: record.closed_ms.map(|ms| Moment(ms).iso()),
            root_keys: record.root_keys.clone(),
        }
    }
}

/// All accounts, by their ids.
///
/// # Errors
/// Where the store fails.
pub async fn list(service: &Service) -> Result<Vec<Account>> {
    let records = all(&*service.installation.store, record::accounts()).await?;
    records.iter().map(|found| Ok(Account::of(&record::decode(found)?))).collect()
}

/// One account.
///
/// # Errors
/// `NoSuchEntity`.
pub async fn show(service: &Service, id: &str) -> Result<Account> {
    Ok(Account::of(&find(service, id).await?.0))
}

/// Makes an account, with this id or a random one, and an access key of its root user.
///
/// # Errors
/// `ValidationException` for what is no id or no name, `EntityAlreadyExists`, `LimitExceeded`.
pub async fn create(
    service: &Service,
    operator: Operator,
    id: Option<&str>,
    name: &str,
    now: Moment,
) -> Result<(Account, NewCredential)> {
    let chosen = match id {
        Some(id) => id.to_owned(),
        None => random_account(&*service.entropy)?,
    };
    let shown = serde_json::json!({ "accountName": clip(name), "accountId": clip(&chosen) });
    let deed = Deed { parameters: &shown, ..deed(operator, ORGANIZATIONS, "CreateAccount", &chosen, now) };
    perform(service, &deed, async || {
        if !arn::is_account(&chosen) {
            return Err(Error::validation("an account id has twelve digits"));
        }
        let characters = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if name.trim().is_empty() || name.len() > MAX_NAME || !characters {
            let text = format!("an account name has 1 to {MAX_NAME} printable ASCII characters");
            return Err(Error::validation(text));
        }
        let others = all(&*service.installation.store, record::accounts()).await?;
        let account_name = record::account(&chosen);
        if others.iter().any(|other| other.name == account_name) {
            return Err(Error::new(Code::EntityAlreadyExists, format!("account {chosen} exists already")));
        }
        if others.len() >= MAX_ACCOUNTS {
            return Err(Error::new(
                Code::LimitExceeded,
                format!("there are {MAX_ACCOUNTS} accounts already"),
            ));
        }
        let (key, credential) = new_root_key(service, &chosen, now).await?;
        let made = AccountRecord {
            id: chosen.clone(),
            name: Some(name.to_owned()),
            created_ms: now.0,
            closed_ms: None,
            root_keys: vec![credential.access_key_id.clone()],
        };
        let mut commit =
            Commit { preconditions: vec![Precondition::Absent(account_name)], writes: vec![key] };
        commit.writes.push(put(&made)?);
        Ok((commit, (Account::of(&made), credential)))
    })
    .await
}

/// Closes an account: no credential of it is good for anything from now on, and nobody else reaches its keys. They are
/// kept, and what is due of them (rotation, deletion) goes on.
///
/// # Errors
/// `NoSuchEntity`, `InvalidInput` for one that is closed.
pub async fn close(service: &Service, operator: Operator, id: &str, now: Moment) -> Result<Account> {
    set_closed(service, deed(operator, ORGANIZATIONS, "CloseAccount", id, now), Some(now)).await
}

/// Opens a closed account again, with everything that it had.
///
/// # Errors
/// `NoSuchEntity`, `InvalidInput` for one that is open.
pub async fn reopen(service: &Service, operator: Operator, id: &str, now: Moment) -> Result<Account> {
    set_closed(service, deed(operator, ORGANIZATIONS, "ReopenAccount", id, now), None).await
}

async fn set_closed(service: &Service, deed: Deed<'_>, closed: Option<Moment>) -> Result<Account> {
    let shown = serde_json::json!({ "accountId": clip(deed.account) });
    let deed = Deed { parameters: &shown, ..deed };
    perform(service, &deed, async || {
        let (mut found, unchanged) = find(service, deed.account).await?;
        if found.closed_ms.is_some() == closed.is_some() {
            let state = if closed.is_some() { "closed" } else { "open" };
            return Err(Error::new(Code::InvalidInput, format!("account {} is {state} already", found.id)));
        }
        found.closed_ms = closed.map(|moment| moment.0);
        let commit = Commit { preconditions: vec![unchanged], writes: vec![put(&found)?] };
        Ok((commit, Account::of(&found)))
    })
    .await
}

/// Makes an access key of an account's root user.
///
/// # Errors
/// `NoSuchEntity`, `LimitExceeded`.
pub async fn create_root_key(
    service: &Service,
    operator: Operator,
    id: &str,
    now: Moment,
) -> Result<NewCredential> {
    let deed = deed(operator, IAM, "CreateAccessKey", id, now);
    perform(service, &deed, async || {
        let (mut found, unchanged) = find(service, id).await?;
        if found.root_keys.len() >= MAX_ROOT_KEYS {
            let text = format!("the root user of account {id} has {MAX_ROOT_KEYS} access keys already");
            return Err(Error::new(Code::LimitExceeded, text));
        }
        let (key, credential) = new_root_key(service, id, now).await?;
        found.root_keys.push(credential.access_key_id.clone());
        Ok((Commit { preconditions: vec![unchanged], writes: vec![key, put(&found)?] }, credential))
    })
    .await
}

/// Deletes an access key of an account's root user: it is good for nothing from now on.
///
/// # Errors
/// `NoSuchEntity`.
pub async fn delete_root_key(
    service: &Service,
    operator: Operator,
    id: &str,
    access_key_id: &str,
    now: Moment,
) -> Result<()> {
    let shown = serde_json::json!({ "accessKeyId": clip(access_key_id) });
    let deed = Deed { parameters: &shown, ..deed(operator, IAM, "DeleteAccessKey", id, now) };
    perform(service, &deed, async || {
        let (mut found, unchanged) = find(service, id).await?;
        if !found.root_keys.iter().any(|key| key == access_key_id) {
            let text = format!("the root user of account {id} has no access key {}", clip(access_key_id));
            return Err(Error::new(Code::NoSuchEntity, text));
        }
        found.root_keys.retain(|key| key != access_key_id);
        let gone = [record::credential(access_key_id), record::iam::last_used(access_key_id)];
        let deleted = DeletedRootKeyRecord { account: id.to_owned(), deleted_ms: now.0 };
        let deleted =
            Write::Put { name: record::deleted_root_key(access_key_id), value: record::encode(&deleted)? };
        let writes = gone.into_iter().map(Write::Delete).chain([put(&found)?, deleted]).collect();
        Ok((Commit { preconditions: vec![unchanged], writes }, ()))
    })
    .await
}

const ORGANIZATIONS: &str = "organizations.amazonaws.com";
const IAM: &str = "iam.amazonaws.com";

fn deed<'a>(
    operator: Operator,
    source: &'static str,
    name: &'static str,
    id: &'a str,
    now: Moment,
) -> Deed<'a> {
    // What is no account id must not stand for one in the trail.
    let account = if arn::is_account(id) { id } else { clip(id) };
    Deed { uid: operator.uid, source, name, account, now, parameters: &serde_json::Value::Null }
}

/// The beginning of a text that an operator gave.
fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(128)).unwrap_or_default()
}

fn random_account(entropy: &dyn Entropy) -> Result<String> {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes)?;
    Ok(format!("{:012}", u64::from_le_bytes(bytes) % 1_000_000_000_000))
}

async fn new_root_key(service: &Service, account: &str, now: Moment) -> Result<(Write, NewCredential)> {
    let access_key_id = credential::random_id(&*service.entropy, "AKIA", ACCESS_KEY_ID_LEN)?;
    let (token, secret_access_key) = credential::create(&*service.vault, account, &access_key_id).await?;
    let value = record::encode(&CredentialRecord::of_root(account, token, now))?;
    let write = Write::Put { name: record::credential(&access_key_id), value };
    Ok((write, NewCredential { access_key_id, secret_access_key }))
}

fn put(account: &AccountRecord) -> Result<Write> {
    Ok(Write::Put { name: record::account(&account.id), value: record::encode(account)? })
}

/// An account, and that it is as it was read.
async fn find(service: &Service, id: &str) -> Result<(AccountRecord, Precondition)> {
    let missing = || Error::new(Code::NoSuchEntity, format!("there is no account {}", clip(id)));
    if !arn::is_account(id) {
        return Err(missing());
    }
    let name = record::account(id);
    let snapshot = service.installation.store.read(vec![Read::One(name.clone())]).await?;
    let found = snapshot.found.into_iter().flatten().next().ok_or_else(missing)?;
    Ok((record::decode(&found)?, Precondition::Unchanged { name, revision: found.revision }))
}

/// Every record under a prefix.
async fn all(store: &dyn Store, prefix: Vec<u8>) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map(|last| last.name.clone());
        let read = Read::Range { prefix: prefix.clone(), after, limit: PAGE };
        let page: Vec<_> = store.read(vec![read]).await?.found.into_iter().flatten().collect();
        let more = page.len() == PAGE;
        records.extend(page);
        if !more {
            return Ok(records);
        }
    }
}

/// Carries out a change: its commit together with its event, or the event of its refusal.
async fn perform<T>(
    service: &Service,
    deed: &Deed<'_>,
    plan: impl AsyncFn() -> Result<(Commit, T)>,
) -> Result<T> {
    let event_id = service.entropy.uuid()?;
    let room = audit::MAX_DEED;
    let reservation = service.ledger.reserve(room).await.map_err(outbox::ledger_failed)?;
    let mut attempt = 1;
    let outcome = loop {
        match commit(service, deed, &event_id, &plan).await {
            Err(error) if error.conflict && attempt < MAX_ATTEMPTS => attempt += 1,
            outcome => break outcome,
        }
    };
    let event = match &outcome {
        Ok((event, _)) => event.clone(),
        Err(error) => audit::deed(deed, &event_id, Some(error)),
    };
    let appended = service.ledger.append(reservation, event).await;
    appended.map_err(outbox::ledger_failed)?;
    let (_, value) = outcome?;
    service.installation.outbox.add(&event_id);
    Ok(value)
}

async fn commit<T>(
    service: &Service,
    deed: &Deed<'_>,
    event_id: &str,
    plan: &impl AsyncFn() -> Result<(Commit, T)>,
) -> Result<(Vec<u8>, T)> {
    let (mut commit, value) = plan().await?;
    let event = audit::deed(deed, event_id, None);
    commit.writes.push(outbox::put(service, event_id, &event)?);
    service.installation.store.commit(commit).await?;
    Ok((event, value))
}

/// Makes the records of accounts in a store of an older release, which had none: every account has a credential.
pub(crate) async fn adopt(store: &dyn Store, now: Moment) -> Result<()> {
    let read = Read::Range { prefix: record::accounts(), after: None, limit: 1 };
    if store.read(vec![read]).await?.found.into_iter().flatten().next().is_some() {
        return Ok(());
    }
    let mut accounts: Vec<AccountRecord> = Vec::new();
    for found in all(store, record::credentials()).await? {
        let held: CredentialRecord = record::decode(&found)?;
        let place = accounts.iter().position(|account| account.id == held.account);
        let place = place.unwrap_or_else(|| {
            accounts.push(AccountRecord::unnamed(&held.account, now));
            accounts.len() - 1
        });
        if let Some(account) = accounts.get_mut(place).filter(|_| held.principal == "root") {
            account.created_ms = account.created_ms.min(held.created_ms);
            account.root_keys.push(record::rest(&found.name, &record::credentials()).to_owned());
        }
    }
    if accounts.is_empty() {
        return Ok(());
    }
    let preconditions = accounts.iter().map(|it| Precondition::Absent(record::account(&it.id))).collect();
    let writes = accounts.iter().map(put).collect::<Result<_>>()?;
    store.commit(Commit { preconditions, writes }).await?;
    Ok(())
}
