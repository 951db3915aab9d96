//! How many KMS keys an account has in a Region: counted as they come and go, so that nobody has to look at all of them.
//!
//! The count is a record of its own, written with each key that is made or deleted: whoever makes two keys at once makes
//! them one after the other. Customer managed keys count, in every state, and replicas in their own Region.

use claviger_store::{Precondition, Read, Revision, Write};
use claviger_wire::fault::Code;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::record::{self, KeyCountRecord, KeyRecord};

/// How often the making of a key is tried again because another was made or deleted meanwhile. One of those that try
/// succeeds each time, so it is as many as may be made at once.
const MAX_ATTEMPTS: usize = 256;
/// Most names read at once while keys are counted that nobody has counted yet.
const PAGE: usize = 1000;

/// How many keys there are, as the store has it.
#[derive(Debug)]
pub(crate) struct KeyCount {
    name: Vec<u8>,
    /// `None` where no record holds it yet.
    revision: Option<Revision>,
    count: u64,
}

impl KeyCount {
    /// Reads the count. Stores of older programs do not hold it; there the keys are counted once.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) async fn read(service: &Service, account: &str, region: &str) -> Result<Self> {
        let name = record::key_count(account, region);
        let found = service.installation.store.read(vec![Read::One(name.clone())]).await?.found;
        match found.iter().flatten().next() {
            Some(held) => {
                let KeyCountRecord { count } = record::decode(held)?;
                Ok(Self { name, revision: Some(held.revision), count })
            }
            // Whoever makes or deletes a key meanwhile writes the record, so what is counted here is not used then.
            None => Ok(Self { name, revision: None, count: count(service, account, region).await? }),
        }
    }

    /// Checks that there may be one key more.
    ///
    /// # Errors
    /// `LimitExceededException`.
    pub(crate) fn check(&self, service: &Service, account: &str) -> Result<()> {
        let (quota, count) = (service.installation.quotas.max_keys(account), self.count);
        if count < quota {
            return Ok(());
        }
        let message = format!(
            "Key quota for this account in this region is {quota} but the current number of keys is {count}."
        );
        Err(Error::new(Code::LimitExceeded, message))
    }

    /// What makes the count follow a commit, as part of it.
    fn follow(self, count: u64, change: &mut Change) -> Result<()> {
        let value = record::encode(&KeyCountRecord { count })?;
        change.preconditions.push(match self.revision {
            Some(revision) => Precondition::Unchanged { name: self.name.clone(), revision },
            None => Precondition::Absent(self.name.clone()),
        });
        change.writes.push(Write::Put { name: self.name, value });
        Ok(())
    }

    /// Has the count follow the deletion of a key.
    ///
    /// # Errors
    /// Where the count cannot be written.
    pub(crate) fn without_one(self, change: &mut Change) -> Result<()> {
        let count = self.count.saturating_sub(1);
        self.follow(count, change)
    }
}

/// Counts the keys one by one.
async fn count(service: &Service, account: &str, region: &str) -> Result<u64> {
    let (prefix, mut after, mut count) = (record::keys(account, region), None, 0_u64);
    loop {
        let read = Read::Range { prefix: prefix.clone(), after: after.take(), limit: PAGE };
        let found = service.installation.store.read(vec![read]).await?.found;
        for record in found.iter().flatten() {
            let key: KeyRecord = record::decode(record)?;
            // AWS managed keys do not count.
            count = count.saturating_add(u64::from(key.managed_by.is_none()));
        }
        match found.into_iter().flatten().last() {
            Some(last) => after = Some(last.name),
            None => return Ok(count),
        }
    }
}

/// Checks that an account may have one key more in a Region, before anything is made.
///
/// # Errors
/// `LimitExceededException`.
pub(crate) async fn check(service: &Service, account: &str, region: &str) -> Result<()> {
    KeyCount::read(service, account, region).await?.check(service, account)
}

/// Commits the change that makes a key, and counts the key.
///
/// # Errors
/// `LimitExceededException`; what [`Call::commit`] answers.
pub(crate) async fn commit(service: &Service, call: &mut Call<'_>, key: &Key, change: Change) -> Result<()> {
    let (account, region) = (&*key.account, &*key.region);
    let _turn = service.installation.count_turns.at(account).await;
    let mut count = KeyCount::read(service, account, region).await?;
    for _ in 0..MAX_ATTEMPTS {
        count.check(service, account)?;
        let (revision, next) = (count.revision, count.count.saturating_add(1));
        let mut counted = change.clone();
        count.follow(next, &mut counted)?;
        let outcome = call.commit(service, counted.preconditions, counted.writes).await;
        let Some(error) = outcome.err() else { return Ok(()) };
        count = KeyCount::read(service, account, region).await?;
        // Where it is not the count that has changed, the call has to be decided anew.
        if !error.conflict || count.revision == revision {
            return Err(error);
        }
    }
    Err(Error::unavailable("too many keys are made at once"))
}
