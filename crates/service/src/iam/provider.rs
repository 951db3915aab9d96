//! OpenID Connect providers: who may vouch for those that are no users of the account.

use std::sync::Arc;

use claviger_store::{Precondition, Read, Record, Revision, Write};
use claviger_wire::arn::{self, Arn};
use claviger_wire::fault::Code;
use http::Uri;

use crate::cache::Cache;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity;
use crate::moment::Moment;
use crate::record::{self, federation::ProviderRecord};

/// Most providers of an account (quota).
const MAX_PROVIDERS: usize = 100;
/// Most client ids of a provider (quota).
const MAX_CLIENT_IDS: usize = 100;
/// Most thumbprints of a provider (quota).
const MAX_THUMBPRINTS: usize = 5;
/// What addresses begin with.
const SCHEME: &str = "https://";
/// What the resource part of an ARN begins with.
const RESOURCE: &str = "oidc-provider/";

/// An OpenID Connect provider.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) account: Arc<str>,
    /// Its address as it was spelled, without `https://`.
    pub(crate) url: String,
    /// Unique id.
    pub(crate) id: String,
    pub(crate) client_ids: Vec<String>,
    /// SHA-1 fingerprints, 40 hexadecimal digits in lower case.
    pub(crate) thumbprints: Vec<String>,
    pub(crate) created: Moment,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) revision: Revision,
}

impl Provider {
    /// Reads a record.
    pub(crate) fn decode(record: &Record) -> Result<Self> {
        let read: ProviderRecord = record::decode(record)?;
        if record.name != record::federation::provider(&read.account, &identity::key(&read.url)) {
            let name = String::from_utf8_lossy(&record.name);
            return Err(Error::internal(format!("record `{name}` holds another provider, {}", read.url)));
        }
        Ok(Self {
            account: read.account.into(),
            url: read.url,
            id: read.id,
            client_ids: read.client_ids,
            thumbprints: read.thumbprints,
            created: Moment(read.created_ms),
            tags: read.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            revision: record.revision,
        })
    }

    /// Name of its record.
    pub(crate) fn record_name(&self) -> Vec<u8> {
        record::federation::provider(&self.account, &identity::key(&self.url))
    }

    /// Its ARN for a caller in a Region.
    pub(crate) fn arn(&self, region: &str) -> String {
        arn_of(region, &self.account, &self.url)
    }

    /// The `iss` of the tokens that it signs.
    pub(crate) fn issuer(&self) -> String {
        format!("{SCHEME}{}", self.url)
    }

    /// The write that keeps it as it is now.
    pub(crate) fn put(&self) -> Result<Write> {
        let value = record::encode(&ProviderRecord {
            account: self.account.to_string(),
            url: self.url.clone(),
            id: self.id.clone(),
            client_ids: self.client_ids.clone(),
            thumbprints: self.thumbprints.clone(),
            created_ms: self.created.0,
            tags: identity::tag_records(&self.tags),
        })?;
        Ok(Write::Put { name: self.record_name(), value })
    }

    /// That it is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { name: self.record_name(), revision: self.revision }
    }
}

/// ARN of the provider of an address, without `https://`.
pub(crate) fn arn_of(region: &str, account: &str, url: &str) -> String {
    format!("arn:{}:iam::{account}:{RESOURCE}{url}", arn::partition(region))
}

/// The address of an issuer without `https://`; `None` where it cannot be one: another scheme, a user, a query or a
/// fragment. AWS takes no port either; whoever runs an issuer of their own may need one.
pub(crate) fn address(issuer: &str) -> Option<&str> {
    let rest = issuer.strip_prefix(SCHEME)?;
    let parsed: Uri = issuer.parse().ok()?;
    let authority = parsed.authority()?;
    let plain = parsed.query().is_none() && !rest.contains(['#', '@', '?']);
    let has_port = authority.as_str().len() > authority.host().len();
    let port_ok = !has_port || authority.port_u16().is_some_and(|port| port != 0);
    (plain && port_ok && !authority.host().is_empty()).then_some(rest)
}

/// The address that a request gives.
///
/// # Errors
/// `InvalidInput`.
pub(crate) fn checked_address(url: &str) -> Result<&str> {
    address(url).ok_or_else(|| Error::new(Code::InvalidInput, "Invalid Open ID Connect Provider URL"))
}

/// The client ids of a request, each once.
///
/// # Errors
/// `LimitExceeded`.
pub(crate) fn checked_client_ids<'a>(given: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    for id in given {
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    if ids.len() > MAX_CLIENT_IDS {
        let text = format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MAX_CLIENT_IDS}");
        return Err(Error::new(Code::LimitExceeded, text));
    }
    Ok(ids)
}

/// The thumbprints of a request.
///
/// # Errors
/// `InvalidInput`.
pub(crate) fn checked_thumbprints<'a>(given: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let prints: Vec<String> = given.map(str::to_ascii_lowercase).collect();
    if prints.len() > MAX_THUMBPRINTS {
        let text = "Thumbprint list must contain fewer than 5 entries.";
        return Err(Error::new(Code::InvalidInput, text));
    }
    match prints.iter().find(|print| !print.bytes().all(|digit| digit.is_ascii_hexdigit())) {
        Some(print) => Err(Error::new(Code::InvalidInput, format!("Invalid thumbprint: {print}"))),
        None => Ok(prints),
    }
}

/// The provider of an address in an account.
pub(crate) async fn of_address(cache: &Cache, account: &str, url: &str) -> Result<Option<Arc<Provider>>> {
    let found = cache.provider(record::federation::provider(account, &identity::key(url))).await?;
    Ok(found.filter(|provider| provider.url == url))
}

/// The provider of an ARN, whatever its account; `None` for what is no ARN of a provider, too.
pub(crate) async fn of_arn(cache: &Cache, text: &str) -> Result<Option<Arc<Provider>>> {
    let Some(arn) = Arn::parse(text) else { return Ok(None) };
    let Some(url) = arn.resource.strip_prefix(RESOURCE) else { return Ok(None) };
    if arn.service != "iam" || !arn.region.is_empty() || !arn::is_account(arn.account) {
        return Ok(None);
    }
    of_address(cache, arn.account, url).await
}

/// Finds a provider of the caller's account, and decides whether the caller may do `action` with it.
///
/// # Errors
/// `InvalidInput`, `AccessDenied`.
pub(crate) async fn find(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    arn: &str,
    asks: IamAsks<'_>,
) -> Result<Option<Arc<Provider>>> {
    let parsed = Arn::parse(arn).filter(|parsed| parsed.resource.starts_with(RESOURCE));
    if parsed.is_none_or(|parsed| parsed.service != "iam") {
        return Err(Error::new(Code::InvalidInput, "Invalid ARN:  Could not be parsed!"));
    }
    let account = call.caller().account();
    // An ARN that is spelled otherwise names nothing: what is decided about is what it stands for.
    let is_named =
        |it: &Provider| *it.account == *account && it.arn(service.installation.iam_region()) == arn;
    let found = of_arn(&service.installation.cache, arn).await?.filter(|it| is_named(it));
    let tags = found.as_ref().map(|provider| provider.tags.as_slice());
    call.authorize_iam(action, arn, IamAsks { resource_tags: tags, ..asks })?;
    Ok(found)
}

/// Like [`find`], for one that must be there.
///
/// # Errors
/// Also `NoSuchEntity`.
pub(crate) async fn load(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    arn: &str,
    asks: IamAsks<'_>,
) -> Result<Arc<Provider>> {
    let missing =
        || Error::new(Code::NoSuchEntity, format!("OpenIDConnect Provider not found for arn {arn}"));
    find(service, call, action, arn, asks).await?.ok_or_else(missing)
}

/// Every provider of an account.
pub(crate) async fn all(service: &Service, account: &str) -> Result<Vec<Provider>> {
    let prefix = record::federation::providers(account);
    let read = Read::Range { prefix, after: None, limit: MAX_PROVIDERS };
    service.installation.store.read(vec![read]).await?.found.iter().flatten().map(Provider::decode).collect()
}

/// Writes a new provider.
///
/// # Errors
/// `EntityAlreadyExists`, `LimitExceeded`.
pub(crate) async fn create(service: &Service, call: &mut Call<'_>, made: &Provider) -> Result<()> {
    let all = all(service, &made.account).await?;
    let key = identity::key(&made.url);
    if all.iter().any(|provider| identity::key(&provider.url) == key) {
        let text = format!("Provider with url {} already exists.", made.issuer());
        return Err(Error::new(Code::EntityAlreadyExists, text));
    }
    if all.len() >= MAX_PROVIDERS {
        let text = format!("Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MAX_PROVIDERS}");
        return Err(Error::new(Code::LimitExceeded, text));
    }
    call.commit(service, vec![Precondition::Absent(made.record_name())], vec![made.put()?]).await
}

/// Writes a provider that was changed.
pub(crate) async fn update(
    service: &Service,
    call: &mut Call<'_>,
    provider: &Provider,
    change: impl FnOnce(&mut Provider) -> Result<()> + Send,
) -> Result<()> {
    let mut changed = provider.clone();
    change(&mut changed)?;
    call.commit(service, vec![provider.unchanged()], vec![changed.put()?]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_addresses_of_servers() {
        let check = |issuer: &str, expected: Option<&str>| assert_eq!(address(issuer), expected, "{issuer}");
        check("https://issuer.example", Some("issuer.example"));
        check("https://issuer.example/a/b", Some("issuer.example/a/b"));
        check("https://issuer.example/", Some("issuer.example/"));
        check("https://localhost:8443/r", Some("localhost:8443/r"));
        for refused in [
            "http://issuer.example",
            "HTTPS://issuer.example",
            "issuer.example",
            "https://",
            "https:///path",
            "https://issuer.example?a=b",
            "https://issuer.example#a",
            "https://user@issuer.example",
            "https://issuer.example:0",
            "https://issuer.example:99999",
            "https://issuer.example:",
            "https://a b",
            "file:///etc/passwd",
        ] {
            check(refused, None);
        }
    }
}
