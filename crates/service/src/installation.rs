//! What all hosts of an installation share: the store, and what is derived from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use claviger_hsm_proto::HostKeyLabel;
use claviger_store::{Commit, Precondition, Read, Store, Write};
use claviger_wire::arn;
use quick_cache::sync::Cache as Bounded;

use crate::account;
use crate::attestation::Roots;
use crate::authn::last_used::LastUsed;
use crate::authn::session::Sessions;
use crate::authn::{GLOBAL_REGION, Scoped, ScopedName};
use crate::cache::{Cache, Capacity};
use crate::endpoint::Endpoints;
use crate::error::{Error, Result};
use crate::iam::hashing::Hashing;
use crate::iam::mfa::{guesses::Guesses, seed::Seeds};
use crate::iam::password::Pepper;
use crate::kms::grant::token::Tokens;
use crate::kms::marker::Markers;
use crate::moment::Moment;
use crate::oidc::{Fetcher, issuers::Issuers};
use crate::quota::Quotas;
use crate::record::{self, FORMAT, InstallationRecord, UsageSinceRecord};
use crate::schedule::DomainKeys;
use crate::services::Services;
use crate::turns::Turns;
use crate::usage::Noted;
use crate::vault::{self, Vault};

/// Which Regions are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regions {
    /// Every name of the form of a Region, as `claviger dev` does.
    Any,
    /// Only these.
    Only(Vec<String>),
}

impl Regions {
    /// Whether requests for the Region are served.
    pub fn serve(&self, region: &str) -> bool {
        match self {
            Self::Any => arn::is_region(region),
            Self::Only(regions) => regions.iter().any(|served| served == region),
        }
    }
}

/// Why an installation cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// The store belongs to another HSM domain: its keys would not open.
    ForeignDomain,
    /// The store was written by a newer program.
    Newer(u32),
    /// The store or the HSM failed.
    Failed(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ForeignDomain => f.write_str("the store belongs to another HSM domain"),
            Self::Newer(found) => write!(f, "the store has format {found}, this program knows {FORMAT}"),
            Self::Failed(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Failed(error.cause.or(error.message).unwrap_or_else(|| "unknown fault".to_owned()))
    }
}

/// Most signing keys kept. One day of one credential in one Region of one service takes one.
const MAX_SIGNING_KEYS: usize = 65_536;

/// The shared part of a service. One for each process.
pub struct Installation {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Cache,
    pub(crate) regions: Regions,
    /// The HSM's domain.
    pub(crate) domain: [u8; 16],
    pub(crate) markers: Markers,
    pub(crate) grant_tokens: Tokens,
    pub(crate) scoped: Bounded<ScopedName, Arc<Scoped>>,
    pub(crate) sessions: Sessions,
    pub(crate) last_used: LastUsed,
    /// When it was made.
    pub(crate) created: Moment,
    pub(crate) outbox: crate::outbox::Delivered,
    /// Wakes the scheduler.
    pub(crate) schedule: tokio::sync::Notify,
    /// The latest moment at which something that expires was looked at, milliseconds since the epoch.
    latest_ms: AtomicI64,
    /// The latest expiry that a request has met.
    expired_ms: AtomicI64,
    attestation: Roots,
    /// Held by a call that is decided anew because records changed under it.
    pub(crate) turns: Turns,
    /// Held while a key is counted: all of an account and Region write one record.
    pub(crate) count_turns: Turns,
    pub(crate) quotas: Quotas,
    /// `None` leaves domain keys alone.
    pub(crate) domain_keys: Option<DomainKeys>,
    domain_key: AtomicU32,
    /// The VPC endpoints that requests may come through.
    pub(crate) endpoints: Endpoints,
    /// The services that may call on behalf of users.
    pub(crate) services: Services,
    pub(crate) issuers: Issuers,
    pub(crate) seeds: Seeds,
    pub(crate) guesses: Guesses,
    pub(crate) hashing: Hashing,
    pub(crate) noted: Noted,
    /// Since when the uses of keys are tracked.
    pub(crate) usage_since: Moment,
}

impl Installation {
    /// Opens the installation in a store, making it where the store is empty.
    ///
    /// # Errors
    /// [`OpenError`]: nothing was changed.
    pub async fn open(
        store: Arc<dyn Store>,
        vault: &dyn Vault,
        domain: [u8; 16],
        regions: Regions,
        now: Moment,
    ) -> Result<Self, OpenError> {
        let (created, usage_since) = check_records(&*store, domain, now).await?;
        account::adopt(&*store, now).await?;
        let markers = Markers::new(&*vault::host_key(vault, HostKeyLabel::Markers).await?);
        let grant_tokens = Tokens::new(&*vault::host_key(vault, HostKeyLabel::GrantTokens).await?)?;
        let sessions = Sessions::new(&*vault::host_key(vault, HostKeyLabel::Sessions).await?)?;
        let seeds = Seeds::new(&*vault::host_key(vault, HostKeyLabel::Seeds).await?)?;
        let pepper = Pepper::new(vault::host_key(vault, HostKeyLabel::Passwords).await?);
        Ok(Self {
            cache: Cache::new(Arc::clone(&store), Capacity::default()),
            store,
            regions,
            domain,
            markers,
            grant_tokens,
            scoped: Bounded::new(MAX_SIGNING_KEYS),
            sessions,
            last_used: LastUsed::new(),
            created,
            outbox: crate::outbox::Delivered::default(),
            schedule: tokio::sync::Notify::new(),
            turns: Turns::new(),
            count_turns: Turns::new(),
            latest_ms: AtomicI64::new(now.0),
            expired_ms: AtomicI64::new(i64::MIN),
            attestation: Roots::default(),
            quotas: Quotas::default(),
            domain_keys: None,
            domain_key: AtomicU32::new(0),
            endpoints: Endpoints::default(),
            services: Services::default(),
            issuers: Issuers::new(None),
            seeds,
            guesses: Guesses::new(),
            hashing: Hashing::new(pepper),
            noted: Noted::new(),
            usage_since,
        })
    }

    /// What time it is for what expires: a clock that is set back does not bring back what had expired before.
    pub(crate) fn latest(&self, now: Moment) -> Moment {
        Moment(self.latest_ms.fetch_max(now.0, Ordering::AcqRel).max(now.0))
    }

    /// Wakes the scheduler for what has expired at this moment, so that it is gone for good before the clock may be set
    /// back and the host started anew. Once for each moment: what cannot be done then is tried again at intervals.
    pub(crate) fn has_expired(&self, moment: Moment) {
        if self.expired_ms.fetch_max(moment.0, Ordering::AcqRel) < moment.0 {
            self.schedule.notify_one();
        }
    }

    /// Trusts other roots than AWS's for attestation documents.
    #[must_use]
    pub fn with_attestation(self, roots: Roots) -> Self {
        Self { attestation: roots, ..self }
    }

    /// Allows its accounts something else than the default.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// Has the HSM make domain keys by itself.
    #[must_use]
    pub fn with_domain_keys(self, domain_keys: DomainKeys) -> Self {
        Self { domain_keys: Some(domain_keys), ..self }
    }

    /// Number of the HSM's newest domain key that this host knows of; 0 before it has asked.
    pub fn domain_key(&self) -> u32 {
        self.domain_key.load(Ordering::Relaxed)
    }

    pub(crate) fn note_domain_key(&self, generation: u32) {
        self.domain_key.fetch_max(generation, Ordering::Relaxed);
    }

    /// Knows these VPC endpoints.
    #[must_use]
    pub fn with_endpoints(self, endpoints: Endpoints) -> Self {
        Self { endpoints, ..self }
    }

    /// Lets these services call on behalf of users.
    #[must_use]
    pub fn with_services(self, services: Services) -> Self {
        Self { services, ..self }
    }

    /// Has the keys of identity providers fetched.
    #[must_use]
    pub fn with_fetcher(self, fetcher: Arc<dyn Fetcher>) -> Self {
        Self { issuers: Issuers::new(Some(fetcher)), ..self }
    }

    /// The Region of requests that name none: those that nobody signed.
    pub(crate) fn home_region(&self) -> &str {
        match &self.regions {
            Regions::Only(regions) => regions.first().map_or(GLOBAL_REGION, String::as_str),
            Regions::Any => GLOBAL_REGION,
        }
    }

    /// The Region of IAM: that of the partition whose Regions are served. The ARNs of users, roles and policies are of that
    /// partition, whatever Region a request is signed for.
    pub(crate) fn iam_region(&self) -> &'static str {
        arn::global_region(self.home_region())
    }

    /// Who may vouch for a recipient.
    pub fn attestation(&self) -> &Roots {
        &self.attestation
    }
}

/// Checks that the store is this installation's, and makes what is not there yet. Answers when the installation was made,
/// and since when the uses of keys are tracked: stores of older programs begin with it now.
async fn check_records(
    store: &dyn Store,
    domain: [u8; 16],
    now: Moment,
) -> Result<(Moment, Moment), OpenError> {
    let failed = |error: claviger_store::Error| OpenError::Failed(error.to_string());
    let (name, since_name) = (record::installation(), record::usage_since());
    let reads = vec![Read::One(name.clone()), Read::One(since_name.clone())];
    let mut found = store.read(reads).await.map_err(failed)?.found.into_iter();
    let (found, since) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
    let mut commit = Commit::default();
    let mut make = |name: Vec<u8>, value: Vec<u8>| {
        commit.preconditions.push(Precondition::Absent(name.clone()));
        commit.writes.push(Write::Put { name, value });
    };
    let created = match found.first() {
        Some(found) => check_record(&record::decode(found)?, domain)?,
        None => {
            let made = InstallationRecord { format: FORMAT, domain, created_ms: now.0 };
            make(name, record::encode(&made)?);
            now
        }
    };
    let since = match since.first() {
        Some(since) => Moment(record::decode::<UsageSinceRecord>(since)?.since_ms),
        None => {
            make(since_name, record::encode(&UsageSinceRecord { since_ms: now.0 })?);
            now
        }
    };
    if !commit.writes.is_empty() {
        store.commit(commit).await.map_err(failed)?;
    }
    Ok((created, since))
}

fn check_record(found: &InstallationRecord, domain: [u8; 16]) -> Result<Moment, OpenError> {
    if found.format > FORMAT {
        Err(OpenError::Newer(found.format))
    } else if found.domain != domain {
        Err(OpenError::ForeignDomain)
    } else {
        Ok(Moment(found.created_ms))
    }
}
