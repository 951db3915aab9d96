//! Who is calling. The only place that makes a [`Caller`], and it takes a verified signature to do so.

use std::sync::Arc;

use claviger_hsm_proto::{CredentialBinding, WrappedCredential};
use claviger_wire::fault::Code;
use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::{Claim, InScope, Refusal, SigningKey};

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

    /// Type of identity in the trail.
    pub fn kind(&self) -> &'static str {
        match self.principal {
            Principal::Root => "Root",
        }
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
) -> Result<Caller> {
    let claim = Claim::parse(incoming).map_err(refused)?;
    let serves = |region: &str| service.installation.regions.serve(region);
    let claim = claim.check_scope(expected, serves, now.seconds()).map_err(refused)?;
    let name = record::credential(claim.access_key_id());
    let credential = match claim.security_token() {
        // No session exists in this version, so no session token can be genuine.
        Some(_) => None,
        None => service.installation.cache.credential(name).await?,
    };
    let Some(credential) = credential else {
        // The same work as for a known key id, so that the time does not tell which ids exist.
        drop(claim.verify(&SigningKey::new(&[0; 32])));
        return Err(unrecognized());
    };
    let key = signing_key(service, &claim, &credential).await?;
    let verified = claim.verify(&key).map_err(refused)?;
    let account = credential.record.account.clone();
    match credential.record.principal.as_str() {
        "root" => Ok(Caller {
            principal: Principal::Root,
            arn: format!("arn:{}:iam::{account}:root", claviger_wire::arn::partition(&verified.scope().region)),
            access_key_id: verified.access_key_id().to_owned(),
            region: verified.scope().region.clone(),
            account,
        }),
        other => Err(Error::internal(format!("a credential belongs to an unknown principal `{other}`"))),
    }
}

/// The signing key of the claim's scope: kept for its day, derived by the HSM.
async fn signing_key(service: &Service, claim: &InScope, credential: &Credential) -> Result<Arc<SigningKey>> {
    let scope = claim.scope();
    let name = format!("{}/{}/{}/{}", claim.access_key_id(), scope.date, scope.region, scope.service);
    let name = (credential.revision, name.into_boxed_str());
    if let Some(key) = service.installation.signing_keys.get(&name) {
        return Ok(key);
    }
    let record = &credential.record;
    let binding = CredentialBinding { account: &record.account, access_key_id: claim.access_key_id() };
    let wrapped = WrappedCredential { binding, token: &record.token };
    let derived = vault::signing_key(&*service.vault, wrapped, &scope.date, &scope.region, &scope.service).await?;
    let key = Arc::new(SigningKey::new(&derived));
    service.installation.signing_keys.insert(name, Arc::clone(&key));
    Ok(key)
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
