//! Who is calling. The only place that makes a [`Caller`], and it takes a verified signature to do so.

use std::sync::Arc;

use claviger_hsm_proto::{CredentialBinding, WrappedCredential};
use claviger_store::Revision;
use claviger_wire::fault::Code;
use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::{Claim, InScope, Refusal, Scope, SigningKey};
use quick_cache::Equivalent;

use crate::audit;
use crate::cache::Credential;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::record;
use crate::vault;

/// What kind of principal a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The root user of an account.
    Root,
}

/// An authenticated caller. There is no constructor outside this module.
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Principal,
    account: String,
    arn: String,
    access_key_id: String,
    region: String,
    /// `userIdentity` of the trail.
    identity: String,
}

impl Caller {
    /// Kind of principal.
    pub fn principal(&self) -> Principal {
        self.principal
    }

    /// Account, 12 digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// ARN, such as `arn:aws:iam::111122223333:root`.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Access key id that signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Region of the credential scope, which is the Region the call is for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Unique id: the account of a root user.
    pub fn principal_id(&self) -> &str {
        &self.account
    }

    /// A caller for tests of what comes after authentication.
    #[cfg(test)]
    pub(crate) fn of_root_for_tests(account: &str) -> Self {
        Self {
            principal: Principal::Root,
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:root"),
            access_key_id: "AKIATESTTESTTESTTEST".to_owned(),
            region: "us-east-1".to_owned(),
            identity: "{}".to_owned(),
        }
    }

    /// `userIdentity` of the trail, as JSON.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }
}

/// What a credential gives on one day, in one Region, to one service: the key that its signatures are made with, and who
/// it is that makes them. Reaches no one but through a signature that the key verifies.
pub(crate) struct Scoped {
    key: SigningKey,
    caller: Arc<Caller>,
}

/// Names a [`Scoped`]. The revision of the credential is part of it, so that nothing outlives a change of it.
#[derive(Hash, PartialEq, Eq)]
pub(crate) struct ScopedName {
    revision: Revision,
    access_key_id: String,
    scope: Scope,
}

/// A [`ScopedName`] that borrows. Hashes the same: fields in the same order.
#[derive(Hash)]
struct ScopedRef<'a> {
    revision: Revision,
    access_key_id: &'a str,
    scope: &'a Scope,
}

impl Equivalent<ScopedName> for ScopedRef<'_> {
    fn equivalent(&self, name: &ScopedName) -> bool {
        self.revision == name.revision
            && self.access_key_id == name.access_key_id
            && *self.scope == name.scope
    }
}

/// Authenticates a request to a service (`kms`, `sts`).
///
/// # Errors
/// The errors of the front end (API reference, "Common Errors").
pub(crate) async fn authenticate(
    service: &Service,
    incoming: &Incoming,
    expected: &'static str,
    now: Moment,
) -> Result<Arc<Caller>> {
    let claim = Claim::parse(incoming).map_err(refused)?;
    let serves = |region: &str| service.installation.regions.serve(region);
    let claim = claim.check_scope(expected, serves, now.seconds()).map_err(refused)?;
    let credential = match claim.security_token() {
        // No session exists in this version, so no session token can be genuine.
        Some(_) => None,
        None => service.installation.cache.credential(record::credential(claim.access_key_id())).await?,
    };
    let Some(credential) = credential else {
        // The same work as for a known key id, so that the time does not tell which ids exist.
        drop(claim.verify(&SigningKey::new(&[0; 32])));
        return Err(unrecognized());
    };
    let (revision, access_key_id, scope) = (credential.revision, claim.access_key_id(), claim.scope());
    let known = service.installation.scoped.get(&ScopedRef { revision, access_key_id, scope });
    let scoped = match known {
        Some(scoped) => scoped,
        None => derive(service, &claim, &credential).await?,
    };
    claim.verify(&scoped.key).map_err(refused)?;
    Ok(Arc::clone(&scoped.caller))
}

/// Has the HSM derive the signing key of the claim's scope, and keeps it for its day.
async fn derive(service: &Service, claim: &InScope, credential: &Credential) -> Result<Arc<Scoped>> {
    let (scope, record) = (claim.scope(), &credential.record);
    let access_key_id = claim.access_key_id();
    let binding = CredentialBinding { account: &record.account, access_key_id };
    let wrapped = WrappedCredential { binding, token: &record.token };
    let derived =
        vault::signing_key(&*service.vault, wrapped, &scope.date, &scope.region, &scope.service).await?;
    let scoped =
        Arc::new(Scoped { key: SigningKey::new(&derived), caller: Arc::new(caller(claim, credential)?) });
    let name = ScopedName {
        revision: credential.revision,
        access_key_id: access_key_id.to_owned(),
        scope: scope.clone(),
    };
    service.installation.scoped.insert(name, Arc::clone(&scoped));
    Ok(scoped)
}

fn caller(claim: &InScope, credential: &Credential) -> Result<Caller> {
    let (account, access_key_id) = (credential.record.account.clone(), claim.access_key_id().to_owned());
    let region = claim.scope().region.clone();
    match credential.record.principal.as_str() {
        "root" => {
            let arn = format!("arn:{}:iam::{account}:root", claviger_wire::arn::partition(&region));
            let identity = audit::identity("Root", &account, &arn, &account, &access_key_id);
            Ok(Caller { principal: Principal::Root, account, arn, access_key_id, region, identity })
        }
        other => Err(Error::internal(format!("a credential belongs to an unknown principal `{other}`"))),
    }
}

fn unrecognized() -> Error {
    refused(Refusal::UnrecognizedClient)
}

fn refused(refusal: Refusal) -> Error {
    let code = match refusal {
        Refusal::MissingToken => Code::MissingAuthenticationToken,
        Refusal::Incomplete(_) => Code::IncompleteSignature,
        Refusal::InvalidSignature(_) => Code::InvalidSignature,
        Refusal::UnrecognizedClient => Code::UnrecognizedClient,
        Refusal::ExpiredToken => Code::ExpiredToken,
    };
    Error::new(code, refusal.message())
}
