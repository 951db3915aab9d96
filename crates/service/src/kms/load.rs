//! Finding the key that a request means.

use std::sync::Arc;

use claviger_hsm_proto::MaterialId;
use claviger_hsm_proto::blob;
use claviger_policy as policy;
use claviger_store::Precondition;
use claviger_wire::arn;
use claviger_wire::fault::Code;

use crate::attestation::Attested;
use crate::authn::Principal;
use crate::call::{Asks, Authorized, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::aws_managed;
use crate::kms::context::EncryptionContext;
use crate::kms::identifier::{self, Forms, Identifier};
use crate::kms::key::{Key, key_arn};
use crate::kms::shapes::{EncryptionAlgorithm, KeyIdentifier};
use crate::record::{self, Name};

/// A key that a request names.
pub(crate) struct Found {
    pub(crate) key: Arc<Key>,
    /// The alias name, `alias/` included, when the request named the key by an alias.
    pub(crate) alias: Option<String>,
}

impl Found {
    /// What conditions may ask of how the key was named.
    pub(crate) fn asks(&self) -> Asks<'_> {
        Asks { request_alias: self.alias.as_deref(), ..Asks::default() }
    }
}

/// Finds the key that an identifier names.
///
/// # Errors
/// `NotFoundException` in the caller's own account; for another account, what a caller without permission gets, so
/// that nobody learns which keys exist elsewhere.
pub(crate) async fn key(
    service: &Service,
    call: &Call<'_>,
    action: &'static str,
    named: &KeyIdentifier,
    forms: Forms,
) -> Result<Found> {
    let (own, region) = (call.caller().account(), call.region());
    match identifier::parse(named, own, region, forms)? {
        Identifier::Key { account, id, .. } => {
            let found = reachable(service, call, account, id).await?;
            let key = found.ok_or_else(|| match account == own {
                true => Error::new(
                    Code::NotFound,
                    format!("Key '{}' does not exist", key_arn(account, region, id)),
                ),
                false => elsewhere(call, action),
            })?;
            Ok(Found { key: as_of_now(service, call, key), alias: None })
        }
        Identifier::Alias { account, name, .. } => {
            let alias = service.installation.cache.alias(record::alias(account, region, name)).await?;
            let key = match alias {
                Some(alias) => reachable(service, call, account, &alias.target).await?,
                None if account == own => aws_managed::wanted(service, call, action, name)?,
                None => None,
            };
            let key = key.ok_or_else(|| match account == own {
                true => alias_not_found(account, region, name),
                false => elsewhere(call, action),
            })?;
            Ok(Found { key: as_of_now(service, call, key), alias: Some(format!("alias/{name}")) })
        }
    }
}

/// The key in the state it has now: what has expired is refused, also before the scheduler has come to it.
pub(crate) fn as_of_now(service: &Service, call: &Call<'_>, key: Arc<Key>) -> Arc<Key> {
    let Some(expiry) = key.expiry() else { return key };
    let latest = service.installation.latest(call.now());
    if expiry <= latest {
        service.installation.has_expired(expiry);
    }
    key.as_of(latest)
}

/// The key of this id.
pub(crate) async fn by_id(
    service: &Service,
    account: &str,
    region: &str,
    id: &str,
) -> Result<Option<Arc<Key>>> {
    service.installation.cache.key(&record::key_name(account, region, id)).await
}

/// The key of this id in the call's Region, unless it is of another account that is closed.
async fn reachable(service: &Service, call: &Call<'_>, account: &str, id: &str) -> Result<Option<Arc<Key>>> {
    by_name(service, call, account, &record::key_name(account, call.region(), id)).await
}

/// The key of an account by the name of its record, unless the account is another's and closed.
async fn by_name(service: &Service, call: &Call<'_>, account: &str, name: &Name) -> Result<Option<Arc<Key>>> {
    // That of a caller is known to be open, but a service is of no account.
    let caller = call.caller();
    let is_own = account == caller.account() && caller.principal() != Principal::Service;
    if !is_own && !service.installation.cache.account_is_open(account).await? {
        return Ok(None);
    }
    service.installation.cache.key(name).await
}

/// The error of an alias that does not exist.
pub(crate) fn alias_not_found(account: &str, region: &str, name: &str) -> Error {
    Error::new(Code::NotFound, format!("Alias {} is not found.", alias_arn(account, region, name)))
}

/// ARN of an alias, by its name without `alias/`.
pub(crate) fn alias_arn(account: &str, region: &str, name: &str) -> String {
    format!("arn:{}:kms:{region}:{account}:alias/{name}", arn::partition(region))
}

/// The error for a key of another account that does not exist: the same as for one that may not be used.
fn elsewhere(call: &Call<'_>, action: &str) -> Error {
    let reason = policy::Reason::Implicit(policy::Layer::Resource);
    let text = policy::denial_text(call.caller().arn(), action, Some("*"), &reason, true);
    Error::new(Code::AccessDenied, text)
}

/// That a key is as it was read.
pub(crate) fn unchanged(key: &Key) -> Precondition {
    Precondition::Unchanged { name: key.name(), revision: key.revision }
}

/// Finds a key of the caller's own account by key id or key ARN, for operations that do not work across accounts
/// whatever the policy says. A key of another account answers the same whether it exists or not.
pub(crate) async fn own(
    service: &Service,
    call: &Call<'_>,
    action: &'static str,
    named: &KeyIdentifier,
) -> Result<Arc<Key>> {
    let found = key(service, call, action, named, Forms::KeyOnly).await?;
    if found.key.account.as_ref() == call.caller().account() {
        Ok(found.key)
    } else {
        Err(elsewhere(call, action))
    }
}

/// Finds the key that a request names by key id or key ARN and decides about it: how every operation that manages a
/// key begins.
pub(crate) async fn managed(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: &KeyIdentifier,
    asks: Asks<'_>,
) -> Result<Authorized<Arc<Key>>> {
    let key = own(service, call, action, named).await?;
    call.authorize(service, action, key, asks).await
}

/// A blob to be opened: which key, and how it was encrypted.
pub(crate) struct Source<'a> {
    pub(crate) action: &'static str,
    pub(crate) named: Option<&'a KeyIdentifier>,
    pub(crate) blob: Option<&'a [u8]>,
    pub(crate) context: Option<&'a EncryptionContext>,
    pub(crate) algorithm: EncryptionAlgorithm,
    pub(crate) reencrypt_on_same_key: Option<bool>,
    pub(crate) attested: Option<&'a Attested>,
}

/// The key of a blob, decided about; and which of its materials the blob names, where there is a blob.
pub(crate) struct Opened {
    pub(crate) key: Authorized<Arc<Key>>,
    pub(crate) material: Option<MaterialId>,
}

impl Source<'_> {
    fn asks<'s>(&'s self, alias: Option<&'s str>) -> Asks<'s> {
        Asks {
            encryption_context: self.context,
            encryption_algorithm: Some(self.algorithm),
            request_alias: alias,
            reencrypt_on_same_key: self.reencrypt_on_same_key,
            attested: self.attested,
            ..Asks::default()
        }
    }

    /// The key the blob is to be opened with, before any decision.
    pub(crate) async fn find(&self, service: &Service, call: &Call<'_>) -> Result<Found> {
        match self.named {
            Some(named) => key(service, call, self.action, named, Forms::KeyOrAlias).await,
            None => self.find_by_blob(service, call).await,
        }
    }

    async fn find_by_blob(&self, service: &Service, call: &Call<'_>) -> Result<Found> {
        let Some(blob) = self.blob else {
            let member = self.key_member();
            return Err(Error::validation(format!("{member} is required when the ciphertext is ignored.")));
        };
        let material = blob::split(blob).ok_or_else(|| self.unreadable())?.material;
        let owner = service.installation.cache.material(call.region(), &material.to_hex()).await?;
        let key = match owner {
            Some(owner) => by_name(service, call, &owner.account, &owner.key).await?,
            None => None,
        };
        let key = key.ok_or_else(unknown_ciphertext)?;
        Ok(Found { key: as_of_now(service, call, key), alias: None })
    }

    /// Decides whether the caller may open the blob, and checks that the blob is the key's.
    ///
    /// # Errors
    /// `AccessDeniedException`, `IncorrectKeyException`, `InvalidCiphertextException`.
    pub(crate) async fn authorize(
        &self,
        service: &Service,
        call: &mut Call<'_>,
        found: Found,
    ) -> Result<Opened> {
        let asks = self.asks(found.alias.as_deref());
        let decided = call.authorize(service, self.action, Arc::clone(&found.key), asks).await;
        let key = decided.map_err(|error| match (self.named, error.code) {
            // Who named no key must not learn whose key it is.
            (None, Code::AccessDenied) => unknown_ciphertext().because(error.message.unwrap_or_default()),
            _ => error,
        })?;
        Ok(Opened { key, material: self.material(&found.key)? })
    }

    fn key_member(&self) -> &'static str {
        if self.action == "kms:ReEncryptFrom" { "SourceKeyId" } else { "KeyId" }
    }

    /// The error of a ciphertext that does not say which key it is of: it is none, or that of an asymmetric key.
    fn unreadable(&self) -> Error {
        if self.algorithm == EncryptionAlgorithm::SymmetricDefault {
            return Error::bare(Code::InvalidCiphertext);
        }
        let member = self.key_member();
        Error::validation(format!("{member} must not be null"))
    }

    fn material(&self, key: &Key) -> Result<Option<MaterialId>> {
        let Some(blob) = self.blob else { return Ok(None) };
        if self.algorithm != EncryptionAlgorithm::SymmetricDefault {
            // Such a ciphertext has no header. The key has one material, for as long as it lives.
            return Ok(key.materials.last().map(|material| material.id));
        }
        let parts = blob::split(blob).ok_or_else(|| Error::bare(Code::InvalidCiphertext))?;
        match key.material(parts.material) {
            Some(material) => Ok(Some(material.id)),
            None => {
                let message =
                    "The key ID in the request does not identify a CMK that can perform this operation.";
                Err(Error::new(Code::IncorrectKey, message))
            }
        }
    }
}

/// The error of a ciphertext whose key does not exist or may not be used.
fn unknown_ciphertext() -> Error {
    let message = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                   or you are not allowed to access.";
    Error::new(Code::AccessDenied, message)
}
