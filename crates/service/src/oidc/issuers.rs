//! The keys of issuers, fetched when they are needed and kept for a while.
//!
//! Whoever has a token of an issuer that is registered can cause a fetch before anything is verified, so fetches are
//! bounded: one at a time for each issuer, one a minute at most, none that anybody waits for who has no need of it.

use std::sync::{Arc, Mutex, PoisonError};

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

/// The issuers of one host.
pub(crate) struct Issuers {
    fetcher: Option<Arc<dyn Fetcher>>,
    known: Bounded<Name, Arc<Issuer>>,
}

impl Issuers {
    /// Without a fetcher no key is ever found.
    pub(crate) fn new(fetcher: Option<Arc<dyn Fetcher>>) -> Self {
        Self { fetcher, known: Bounded::new(MAX_ISSUERS) }
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
        let issuer = self.issuer(&name);
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
        *tried = Some(now);
        let keys = Arc::new(self.fetch(&name).await.map_err(|cause| unreachable(&cause))?);
        let fetched = Fetched { keys: Arc::clone(&keys), at: now };
        *issuer.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        if has(&keys) { Ok(keys) } else { Err(unknown_key()) }
    }

    fn issuer(&self, name: &Name) -> Arc<Issuer> {
        let made: Result<_, std::convert::Infallible> =
            self.known.get_or_insert_with(name, || Ok(Arc::new(Issuer::default())));
        made.unwrap_or_else(|never| match never {})
    }

    /// Fetches the issuer's configuration, and the keys that it names (OpenID Connect Discovery 1.0, 4).
    async fn fetch(&self, name: &Name) -> Result<KeySet, String> {
        let fetcher = self.fetcher.as_ref().ok_or("nothing is fetched from issuers here")?;
        let fetch = async |url: String| {
            let source = Source { url, thumbprints: name.thumbprints.clone() };
            let document = fetcher.fetch(source).await.map_err(|error| error.0)?;
            if document.len() > MAX_DOCUMENT_LEN {
                Err("a document is too long".to_owned())
            } else {
                Ok(document)
            }
        };
        let base = name.issuer.trim_end_matches('/');
        let configuration = fetch(format!("{base}/.well-known/openid-configuration")).await?;
        KeySet::parse(&fetch(keys_address(&configuration, &name.issuer)?).await?)
    }
}

impl Issuer {
    /// Keys that are young enough. A clock that was set back makes none young again.
    fn kept(&self, now: Moment) -> Option<Arc<KeySet>> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        is_within(fetched.at, now, KEPT_MS).then_some(fetched.keys)
    }
}

/// Whether less than so many milliseconds have gone by.
fn is_within(then: Moment, now: Moment, ms: i64) -> bool {
    (0..ms).contains(&now.0.saturating_sub(then.0))
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

fn unreachable(cause: &str) -> Error {
    let text = "The identity provider could not be reached, or did not answer as expected";
    Error::new(Code::IdpCommunicationError, text).because(cause.to_owned())
}
