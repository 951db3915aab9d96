//! The keys of issuers, fetched when they are needed and kept for a while.
//!
//! Whoever has a token of an issuer that is registered can cause a fetch before anything is verified, so fetches are
//! bounded: one at a time for each issuer, one a minute at most, none that anybody waits for who has no need of it; and so
//! many a minute for each account, whatever its administrators make of its providers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_wire::fault::Code;
use claviger_wire::json::{self, Value};
use http::Uri;
use quick_cache::sync::Cache as Bounded;

use super::keys::KeySet;
use super::token::{Unverified, invalid};
use super::{Fetcher, MAX_DOCUMENT_LEN, Source};
use crate::error::{Error, Result};
use crate::iam::provider::Provider;
use crate::moment::Moment;

/// Most issuers whose keys are kept.
const MAX_ISSUERS: usize = 1024;
/// How long keys are kept, in milliseconds. A key that its issuer takes back is good for so long at most.
const KEPT_MS: i64 = 10 * 60 * 1000;
/// Shortest time between two fetches from one issuer, in milliseconds: after one that failed, or that did not bring the
/// key that was looked for.
const PAUSE_MS: i64 = 60 * 1000;

/// Most accounts whose fetches are counted at a time.
const MAX_ACCOUNTS: usize = 16_384;
/// Most fetches for one account in [`PAUSE_MS`]. More than an account has issuers, so that only who changes providers comes
/// to it: whoever has tokens alone causes one fetch from each issuer in that time.
const MAX_FETCHES: u32 = 120;

/// An issuer as one provider sees it. Thumbprints are part of it: what one account takes for the issuer's keys is
/// nothing to another, which trusts other authorities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    issuer: String,
    thumbprints: Vec<String>,
}

/// Keys, and when they were fetched.
#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Moment,
}

#[derive(Debug, Default)]
struct Issuer {
    fetched: Mutex<Option<Fetched>>,
    /// When a fetch was last begun. Held while one is in flight.
    tried: tokio::sync::Mutex<Option<Moment>>,
}

/// The fetches for one account.
#[derive(Debug, Default)]
struct Fetches {
    since: Moment,
    count: u32,
}

/// The issuers of one host.
pub(crate) struct Issuers {
    fetcher: Option<Arc<dyn Fetcher>>,
    known: Bounded<Name, Arc<Issuer>>,
    accounts: Bounded<String, Arc<Mutex<Fetches>>>,
}

impl Issuers {
    /// Without a fetcher no key is ever found.
    pub(crate) fn new(fetcher: Option<Arc<dyn Fetcher>>) -> Self {
        Self { fetcher, known: Bounded::new(MAX_ISSUERS), accounts: Bounded::new(MAX_ACCOUNTS) }
    }

    /// The keys among which is the one that is said to have signed the token.
    ///
    /// # Errors
    /// `InvalidIdentityToken` where the issuer has no such key, `IDPCommunicationError` where its keys cannot be had.
    pub(crate) async fn keys_for(
        &self,
        provider: &Provider,
        token: &Unverified<'_>,
        now: Moment,
    ) -> Result<Arc<KeySet>> {
        let name = Name { issuer: provider.issuer(), thumbprints: provider.thumbprints.clone() };
        let fetches = self.fetches(&provider.account);
        let issuer = self.issuer(&name, &fetches, now)?;
        let has = |keys: &KeySet| keys.find(&token.key_id, token.algorithm).is_some();
        if let Some(keys) = issuer.kept(now).filter(|keys| has(keys)) {
            return Ok(keys);
        }
        let mut tried = issuer.tried.lock().await;
        // Somebody else may have fetched them meanwhile.
        let kept = issuer.kept(now);
        if let Some(keys) = kept.clone().filter(|keys| has(keys)) {
            return Ok(keys);
        }
        if tried.is_some_and(|tried| is_within(tried, now, PAUSE_MS)) {
            return Err(match kept {
                Some(_) => unknown_key(),
                None => unreachable("it did not answer a moment ago"),
            });
        }
        if !lock(&fetches).takes(now) {
            return Err(too_many());
        }
        *tried = Some(now);
        let keys = Arc::new(self.fetch(&name).await.map_err(|cause| unreachable(&cause))?);
        let fetched = Fetched { keys: Arc::clone(&keys), at: now };
        *lock(&issuer.fetched) = Some(fetched);
        if has(&keys) { Ok(keys) } else { Err(unknown_key()) }
    }

    /// An issuer, which is remembered only where it may be asked: it takes the place of another's.
    fn issuer(&self, name: &Name, fetches: &Mutex<Fetches>, now: Moment) -> Result<Arc<Issuer>> {
        self.known.get_or_insert_with(name, || match lock(fetches).has_room(now) {
            true => Ok(Arc::default()),
            false => Err(too_many()),
        })
    }

    fn fetches(&self, account: &str) -> Arc<Mutex<Fetches>> {
        let none = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(fetches) = self.accounts.get_or_insert_with(account, none);
        fetches
    }

    /// Fetches the issuer's configuration, and the keys that it names (OpenID Connect Discovery 1.0, 4).
    async fn fetch(&self, name: &Name) -> Result<KeySet, String> {
        let fetcher = self.fetcher.as_ref().ok_or("nothing is fetched from issuers here")?;
        let fetch = async |url: String, thumbprints: Vec<String>| {
            let source = Source { url, thumbprints };
            let document = fetcher.fetch(source).await.map_err(|error| error.0)?;
            if document.len() > MAX_DOCUMENT_LEN {
                Err("a document is too long".to_owned())
            } else {
                Ok(document)
            }
        };
        let base = name.issuer.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let configuration = fetch(address, name.thumbprints.clone()).await?;
        let address = keys_address(&configuration, &name.issuer)?;
        // The account says who vouches for the issuer's server. For another that the issuer names, the operator does.
        let thumbprints = match server(&address) == server(&name.issuer) {
            true => name.thumbprints.clone(),
            false => Vec::new(),
        };
        KeySet::parse(&fetch(address, thumbprints).await?)
    }
}

impl Fetches {
    /// Whether there may be one more now.
    fn has_room(&self, now: Moment) -> bool {
        self.count < MAX_FETCHES || !is_within(self.since, now, PAUSE_MS)
    }

    /// Counts one, where there may be one.
    fn takes(&mut self, now: Moment) -> bool {
        let room = self.has_room(now);
        if !is_within(self.since, now, PAUSE_MS) {
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(u32::from(room));
        room
    }
}

impl Issuer {
    /// Keys that are young enough. A clock that was set back makes none young again.
    fn kept(&self, now: Moment) -> Option<Arc<KeySet>> {
        let fetched = lock(&self.fetched).clone()?;
        is_within(fetched.at, now, KEPT_MS).then_some(fetched.keys)
    }
}

/// Whether less than so many milliseconds have gone by.
fn is_within(then: Moment, now: Moment, ms: i64) -> bool {
    (0..ms).contains(&now.0.saturating_sub(then.0))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host and port of an address of `https`.
fn server(address: &str) -> Option<(String, u16)> {
    let uri: Uri = address.parse().ok()?;
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(443)))
}

/// Where the keys are, by the issuer's configuration.
fn keys_address(configuration: &[u8], issuer: &str) -> Result<String, String> {
    let Value::Object(members) = json::parse(configuration).map_err(|error| error.cause)? else {
        return Err("the configuration is no object".to_owned());
    };
    let member = |name: &str| match members.iter().find(|(key, _)| key == name) {
        Some((_, Value::String(text))) => Ok(text),
        _ => Err(format!("the configuration has no {name}")),
    };
    if member("issuer")? != issuer {
        return Err("the configuration is that of another issuer".to_owned());
    }
    let address = member("jwks_uri")?;
    let is_https = address.starts_with("https://") && !address.contains(['#', '@']);
    let has_host = address.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    match is_https && has_host {
        true => Ok(address.to_string()),
        false => Err("the address of the keys is not one of https".to_owned()),
    }
}

fn unknown_key() -> Error {
    invalid(
        "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity \
         documentation for requirements",
    )
}

fn too_many() -> Error {
    unreachable("too many issuers were asked for the account in a minute")
}

fn unreachable(cause: &str) -> Error {
    let text = "The identity provider could not be reached, or did not answer as expected";
    Error::new(Code::IdpCommunicationError, text).because(cause.to_owned())
}
