//! Decoded records, as fresh as the store: a cached read is linearizable.
//!
//! Before a request reads anything, [`Cache::freshen`] asks the store for a barrier (a revision at or above every
//! commit acknowledged so far) and drops what changed up to it. What is then found in the cache was current at or
//! after the barrier, so a change that was acknowledged before the request began is always seen. With the embedded
//! engine the barrier is one atomic load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use claviger_store::{Changes, Read, Record, Revision, Store};
use quick_cache::sync::Cache as Bounded;

use crate::error::{Error, Result};
use crate::iam::identity::Identity;
use crate::iam::managed::ManagedPolicy;
use crate::iam::provider::Provider;
use crate::kms::grant::Grant;
use crate::kms::key::Key;
use crate::kms::key_policy::Policies;
use crate::quota::ALIASES_LIMIT;
use crate::record::iam::PrincipalRecord;
use crate::record::{self, AccountRecord, AliasRecord, CredentialRecord, Kind, MaterialOwner, Name};

/// Bounds of the cache, in entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Keys, each about 1 KiB.
    pub keys: usize,
    /// Aliases, materials, credentials and principals, each of them.
    pub others: usize,
    /// Users, groups and roles; and managed policies. Each a few KiB.
    pub identities: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { keys: 131_072, others: 131_072, identities: 16_384 }
    }
}

/// Most accounts and Regions of which one copy is kept.
const MAX_SHARED: usize = 1024;

type Table<T> = Bounded<Name, Arc<T>>;

/// The cache of one host, shared by its threads.
pub(crate) struct Cache {
    store: Arc<dyn Store>,
    policies: Policies,
    shared: Bounded<Arc<str>, Arc<str>>,
    keys: Table<Key>,
    aliases: Table<AliasRecord>,
    materials: Table<Owner>,
    credentials: Table<Credential>,
    accounts: Table<Account>,
    identities: Table<Identity>,
    managed_policies: Table<ManagedPolicy>,
    principals: Table<PrincipalRecord>,
    grants: Bounded<Vec<u8>, Arc<GrantPage>, Weight>,
    providers: Table<Provider>,
    /// Everything changed up to this revision has been dropped.
    applied: AtomicU64,
    /// Held while entries are dropped and while one is added, so that neither overtakes the other.
    change: Mutex<()>,
}

/// A credential with the revision that wrote it: what is derived from it is bound to that revision.
pub(crate) struct Credential {
    pub(crate) record: CredentialRecord,
    pub(crate) revision: Revision,
}

/// An account with the revision that wrote it.
pub(crate) struct Account {
    is_open: bool,
    pub(crate) revision: Revision,
}

/// Which key a material belongs to.
pub(crate) struct Owner {
    /// The key's account.
    pub(crate) account: Arc<str>,
    /// The name of the key's record.
    pub(crate) key: Name,
}

/// Grants on a key that are for one grantee, one of each that give the same.
pub(crate) struct GrantPage {
    pub(crate) grants: Vec<Grant>,
    /// Where they go on, if they do.
    pub(crate) next: Option<Vec<u8>>,
    /// Bytes of their records.
    size: usize,
}

/// Most grants of a page, so that a grantee with very many takes no more memory than others.
const MAX_GRANTS: usize = 64;
/// Most bytes of grants kept.
const MAX_GRANT_BYTES: u64 = 64 * 1024 * 1024;

/// What a page of grants takes, in bytes.
#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<Vec<u8>, Arc<GrantPage>> for Weight {
    fn weight(&self, name: &Vec<u8>, page: &Arc<GrantPage>) -> u64 {
        u64::try_from(name.len() + page.size).unwrap_or(u64::MAX)
    }
}

impl Cache {
    pub(crate) fn new(store: Arc<dyn Store>, capacity: Capacity) -> Self {
        Self {
            store,
            policies: Policies::new(),
            shared: Bounded::new(MAX_SHARED),
            keys: Bounded::new(capacity.keys),
            aliases: Bounded::new(capacity.others),
            materials: Bounded::new(capacity.others),
            credentials: Bounded::new(capacity.others),
            accounts: Bounded::new(MAX_SHARED),
            identities: Bounded::new(capacity.identities),
            managed_policies: Bounded::new(capacity.identities),
            principals: Bounded::new(capacity.others),
            grants: Bounded::with_weighter(capacity.others, MAX_GRANT_BYTES, Weight),
            providers: Bounded::new(capacity.identities),
            applied: AtomicU64::new(0),
            change: Mutex::new(()),
        }
    }

    /// Makes sure that nothing older than what is acknowledged now will be found.
    pub(crate) async fn freshen(&self) -> Result<()> {
        let barrier = match self.store.barrier_now() {
            Some(revision) => revision,
            None => self.store.barrier().await?,
        };
        let applied = self.applied.load(Ordering::Acquire);
        if applied >= barrier {
            return Ok(());
        }
        let changes = self.store.changes(applied).await?;
        self.apply(applied, &changes);
        if self.applied.load(Ordering::Acquire) >= barrier {
            Ok(())
        } else {
            Err(Error::unavailable("the store's feed of changes lags behind its barrier"))
        }
    }

    fn apply(&self, since: Revision, changes: &Changes) {
        let guard = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = match changes {
            Changes::Names { revision, names } => {
                names.iter().for_each(|name| self.drop_entry(name));
                *revision
            }
            Changes::Forgotten { revision } => {
                self.keys.clear();
                self.aliases.clear();
                self.materials.clear();
                self.credentials.clear();
                self.accounts.clear();
                self.identities.clear();
                self.managed_policies.clear();
                self.principals.clear();
                self.grants.clear();
                self.providers.clear();
                *revision
            }
        };
        // Another thread may have applied more meanwhile; names since `since` are dropped in either case.
        debug_assert!(revision >= since);
        self.applied.fetch_max(revision, Ordering::Release);
        drop(guard);
    }

    fn drop_entry(&self, name: &[u8]) {
        match record::kind(name) {
            Kind::Key => drop(self.keys.remove(name)),
            // A key is kept with the names of its aliases.
            Kind::AliasOf => drop(self.keys.remove(record::key_of_alias(name).as_slice())),
            Kind::Alias => drop(self.aliases.remove(name)),
            Kind::Material => drop(self.materials.remove(name)),
            Kind::Credential => drop(self.credentials.remove(name)),
            Kind::Account => drop(self.accounts.remove(name)),
            Kind::Identity => drop(self.identities.remove(name)),
            Kind::ManagedPolicy => drop(self.managed_policies.remove(name)),
            Kind::Principal => drop(self.principals.remove(name)),
            Kind::Grant => drop(self.grants.remove(record::grant::grants_beside(name))),
            Kind::Provider => drop(self.providers.remove(name)),
            Kind::Due | Kind::Other => {}
        }
    }

    /// A key by the name of its record, with the names of its aliases.
    pub(crate) async fn key(&self, name: &Name) -> Result<Option<Arc<Key>>> {
        if let Some(key) = self.keys.get(name) {
            return Ok(Some(key));
        }
        let prefix = record::aliases_of_key(name);
        let aliases = Read::Range { prefix: prefix.clone(), after: None, limit: ALIASES_LIMIT + 1 };
        let decode = |record: &Record, aliases: &[Record]| {
            let mut key = self.decode_key(record)?;
            let names = aliases.iter().map(|alias| record::rest(&alias.name, &prefix));
            key.aliases = names.map(|name| format!("alias/{name}")).collect();
            Ok(key)
        };
        self.read(&self.keys, name.clone(), vec![aliases], decode).await
    }

    /// Decodes a key's record with its policy compiled.
    pub(crate) fn decode_key(&self, record: &Record) -> Result<Key> {
        let mut key = Key::decode(record, |text, bound| self.policies.compiled(text, bound))?;
        // Many keys share few accounts and Regions; each would otherwise hold a copy of its own.
        key.account = self.shared(&key.account);
        key.region = self.shared(&key.region);
        Ok(key)
    }

    /// The one copy of a text that many records repeat.
    fn shared(&self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.shared.get(text) {
            return known;
        }
        self.shared.insert(Arc::clone(text), Arc::clone(text));
        Arc::clone(text)
    }

    /// An alias by the name of its record.
    pub(crate) async fn alias(&self, name: Vec<u8>) -> Result<Option<Arc<AliasRecord>>> {
        self.entry(&self.aliases, name.into(), |record| record::decode(record)).await
    }

    /// The owner of a material in a Region, by the material's id in hexadecimal.
    pub(crate) async fn material(&self, region: &str, id: &str) -> Result<Option<Arc<Owner>>> {
        let decode = |record: &Record| {
            let MaterialOwner { account, key_id } = record::decode(record)?;
            let key = record::key_name(&account, region, &key_id);
            Ok(Owner { account: self.shared(&account.into()), key })
        };
        self.entry(&self.materials, record::material_name(region, id), decode).await
    }

    /// A credential.
    pub(crate) async fn credential(&self, access_key_id: &str) -> Result<Option<Arc<Credential>>> {
        let decode =
            |record: &Record| Ok(Credential { record: record::decode(record)?, revision: record.revision });
        self.entry(&self.credentials, record::credential_name(access_key_id), decode).await
    }

    /// Whether there is such an account, and it is not closed.
    pub(crate) async fn account_is_open(&self, account: &str) -> Result<bool> {
        self.open_account(account).await.map(|found| found.is_some())
    }

    /// An account, if there is such a one and it is not closed.
    pub(crate) async fn open_account(&self, account: &str) -> Result<Option<Arc<Account>>> {
        let found = self.entry(&self.accounts, record::account_name(account), |record| {
            let read: AccountRecord = record::decode(record)?;
            // A row that was copied over another must not stand for it (invariant I7).
            match record.name == record::account(&read.id) {
                true => Ok(Account { is_open: read.closed_ms.is_none(), revision: record.revision }),
                false => Err(Error::internal(format!("account {} stands in another's place", read.id))),
            }
        });
        Ok(found.await?.filter(|account| account.is_open))
    }

    /// A user, group or role by the name of its record.
    pub(crate) async fn identity(&self, name: Vec<u8>) -> Result<Option<Arc<Identity>>> {
        self.entry(&self.identities, name.into(), Identity::decode).await
    }

    /// A managed policy by the name of its record.
    pub(crate) async fn managed_policy(&self, name: Vec<u8>) -> Result<Option<Arc<ManagedPolicy>>> {
        self.entry(&self.managed_policies, name.into(), ManagedPolicy::decode).await
    }

    /// Whom a unique id names, by the name of its record.
    pub(crate) async fn principal(&self, name: Vec<u8>) -> Result<Option<Arc<PrincipalRecord>>> {
        self.entry(&self.principals, name.into(), |record| record::decode(record)).await
    }

    /// What is granted to one grantee on a key, by the prefix of its grants: the first page.
    pub(crate) async fn grants(&self, prefix: &[u8]) -> Result<Arc<GrantPage>> {
        if let Some(page) = self.grants.get(prefix) {
            return Ok(page);
        }
        let (page, revision) = self.read_grants(prefix, None).await?;
        let guard = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        // As in `entry`.
        if self.applied.load(Ordering::Acquire) <= revision {
            self.grants.insert(prefix.to_vec(), Arc::clone(&page));
        }
        drop(guard);
        Ok(page)
    }

    /// A further page. Few grantees have one; it is read each time.
    pub(crate) async fn more_grants(&self, prefix: &[u8], after: &[u8]) -> Result<Arc<GrantPage>> {
        self.read_grants(prefix, Some(after.to_vec())).await.map(|(page, _)| page)
    }

    /// Reads on until a page is full or there are no more. Answers also the oldest revision that it read.
    async fn read_grants(
        &self,
        prefix: &[u8],
        mut after: Option<Vec<u8>>,
    ) -> Result<(Arc<GrantPage>, Revision)> {
        let (mut grants, mut size, mut oldest): (Vec<Grant>, _, _) = (Vec::new(), 0, Revision::MAX);
        loop {
            let read = Read::Range { prefix: prefix.to_vec(), after, limit: MAX_GRANTS };
            let snapshot = self.store.read(vec![read]).await?;
            oldest = oldest.min(snapshot.revision);
            let found = snapshot.found.into_iter().next().unwrap_or_default();
            let mut seen = Vec::new();
            for record in &found {
                if !record.name.starts_with(&seen) || seen.is_empty() {
                    seen = record::grant::alike(&record.name).to_vec();
                    grants.push(Grant::decode(record)?);
                    size += record.value.len() + record.name.len();
                }
            }
            after = found
                .last()
                .filter(|_| found.len() == MAX_GRANTS)
                .map(|last| record::grant::after_alike(&last.name));
            if after.is_none() || grants.len() >= MAX_GRANTS {
                return Ok((Arc::new(GrantPage { grants, next: after, size }), oldest));
            }
        }
    }

    /// An identity provider by the name of its record.
    pub(crate) async fn provider(&self, name: Vec<u8>) -> Result<Option<Arc<Provider>>> {
        self.entry(&self.providers, name.into(), Provider::decode).await
    }

    async fn entry<T>(
        &self,
        table: &Table<T>,
        name: Name,
        decode: impl Fn(&Record) -> Result<T>,
    ) -> Result<Option<Arc<T>>> {
        if let Some(entry) = table.get(&name) {
            return Ok(Some(entry));
        }
        self.read(table, name, Vec::new(), |record, _| decode(record)).await
    }

    /// Reads an entry that is made of a record and of others, all of the same revision, and keeps it.
    async fn read<T>(
        &self,
        table: &Table<T>,
        name: Name,
        more: Vec<Read>,
        decode: impl Fn(&Record, &[Record]) -> Result<T>,
    ) -> Result<Option<Arc<T>>> {
        let reads = std::iter::once(Read::One(name.to_vec())).chain(more).collect();
        let snapshot = self.store.read(reads).await?;
        let mut found = snapshot.found.into_iter();
        let Some(record) = found.next().into_iter().flatten().next() else { return Ok(None) };
        let others: Vec<Record> = found.flatten().collect();
        let entry = Arc::new(decode(&record, &others)?);
        let guard = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        // A change newer than the snapshot may already have been applied; the entry would then outlive it.
        if self.applied.load(Ordering::Acquire) <= snapshot.revision {
            table.insert(name, Arc::clone(&entry));
        }
        drop(guard);
        Ok(Some(entry))
    }
}
