//! Who is calling. The only place that makes a [`Caller`], and it takes a verified signature to do so, or a verified
//! token of an identity provider.

mod forward;
pub(crate) mod grounds;
pub(crate) mod last_used;
pub(crate) mod principal;
pub(crate) mod session;
mod trail;
pub(crate) mod web_identity;

use std::sync::Arc;

use claviger_hsm_proto::{CredentialBinding, WrappedCredential};
use claviger_policy as policy;
use claviger_store::Revision;
use claviger_wire::fault::Code;
use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::{Claim, InScope, Refusal, Scope, SigningKey, Verified};
use quick_cache::Equivalent;

use crate::cache::Credential;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::record::federation::FederationRecord;
use crate::services::ServiceIdentity;
use crate::vault;
pub(crate) use forward::Through;
use principal::Standing;
use session::Session;
use web_identity::WebIdentity;

/// What kind of principal a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The root user of an account.
    Root,
    /// A user.
    User,
    /// A session of a role.
    RoleSession,
    /// A service that calls for itself.
    Service,
    /// Someone whom an identity provider vouches for.
    WebIdentity,
    /// Someone whom a user vouches for.
    FederatedUser,
}

/// An authenticated caller. There is no constructor outside this module.
#[derive(Debug, Clone)]
pub struct Caller {
    standing: Standing,
    arn: String,
    principal_arn: String,
    /// The user that vouches for it, for such a session.
    user_arn: Option<String>,
    principal_id: String,
    access_key_id: String,
    region: String,
    /// `userIdentity` of the trail.
    identity: String,
    /// The service that makes the call.
    through: Option<Through>,
    /// Why nothing is done for it, although it is who it says.
    refused: Option<String>,
    /// Whom an identity provider vouches for: such a caller has no standing but its account.
    web: Option<Box<WebIdentity>>,
}

impl Caller {
    fn new(standing: Standing, access_key_id: &str, region: &str) -> Self {
        let (arn, principal_arn) = (standing.arn(region), standing.principal_arn(region));
        let user_arn = standing.federated_user().map(|_| standing.issuer_arn(region));
        let principal_id = standing.user_id();
        let who = trail::Who { arn: &arn, principal_id: &principal_id, region };
        let identity = trail::identity(&standing, &who, access_key_id, None);
        let (access_key_id, region) = (access_key_id.to_owned(), region.to_owned());
        let (through, refused, web) = (None, None, None);
        Self {
            standing,
            arn,
            principal_arn,
            user_arn,
            principal_id,
            access_key_id,
            region,
            identity,
            through,
            refused,
            web,
        }
    }

    /// A user on whose behalf a service calls.
    fn behind(through: Through, standing: Standing, access_key_id: &str, region: &str) -> Self {
        let caller = Self::new(standing, access_key_id, region);
        let Self { arn, principal_id, .. } = &caller;
        let who = trail::Who { arn, principal_id, region };
        let identity = trail::identity(&caller.standing, &who, access_key_id, Some(&through.service.host));
        Self { identity, through: Some(through), ..caller }
    }

    /// A service that calls for itself. It is of no account; that of its credential stands where one is asked for.
    fn of_service(through: Through, region: &str) -> Self {
        let service = &through.service;
        Self {
            standing: Standing::root(&service.account),
            arn: service.host.clone(),
            principal_arn: service.host.clone(),
            user_arn: None,
            principal_id: service.host.clone(),
            access_key_id: service.access_key_id.clone(),
            region: region.to_owned(),
            identity: trail::service(&service.host),
            through: Some(through),
            refused: None,
            web: None,
        }
    }

    /// The same, for whom nothing is done.
    fn refused(self, why: String) -> Self {
        Self { refused: Some(why), ..self }
    }

    /// A caller without a signature, in the account of its provider.
    fn of_web_identity(web: WebIdentity, region: &str) -> Self {
        let arn = web.provider().arn(region);
        let principal_id = format!("{arn}:{}:{}", web.audience(), web.subject());
        Self {
            standing: Standing::root(&web.provider().account),
            identity: trail::web_identity(&principal_id, web.subject(), &arn),
            principal_arn: arn.clone(),
            user_arn: None,
            arn,
            principal_id,
            access_key_id: String::new(),
            region: region.to_owned(),
            through: None,
            refused: None,
            web: Some(Box::new(web)),
        }
    }

    /// Whom an identity provider vouches for, if that is who calls.
    pub(crate) fn web_identity(&self) -> Option<&WebIdentity> {
        self.web.as_deref()
    }

    /// The provider that vouches for the caller, or for the one who gained the caller's session, and what it says.
    pub(crate) fn federation(&self) -> Option<&FederationRecord> {
        match &self.web {
            Some(web) => Some(web.federation()),
            None => self.standing.session.as_ref()?.federation.as_ref(),
        }
    }

    /// Kind of principal.
    pub fn principal(&self) -> Principal {
        if self.web.is_some() {
            return Principal::WebIdentity;
        }
        match (&self.standing.identity, &self.standing.session) {
            _ if self.is_service() => Principal::Service,
            (None, _) => Principal::Root,
            (Some(_), Some(session)) if session.name.is_some() => Principal::RoleSession,
            (Some(_), Some(session)) if session.federated_user.is_some() => Principal::FederatedUser,
            (Some(_), _) => Principal::User,
        }
    }

    /// Account, 12 digits.
    pub fn account(&self) -> &str {
        &self.standing.account
    }

    /// ARN, such as `arn:aws:iam::111122223333:root`; of a role's session, that of the session.
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

    /// Unique id (`aws:userid`): the account of a root user, `AIDA..` of a user, `AROA..:name` of a role's session.
    pub fn principal_id(&self) -> &str {
        &self.principal_id
    }

    /// ARN of the root user, the user, or the role whose session this is (`aws:PrincipalArn`).
    pub(crate) fn principal_arn(&self) -> &str {
        &self.principal_arn
    }

    /// The service that makes the call, for itself or on behalf of the principal.
    pub(crate) fn through(&self) -> Option<&Through> {
        self.through.as_ref()
    }

    /// The service on whose behalf nobody else is: `aws:PrincipalIsAWSService`.
    pub(crate) fn is_service(&self) -> bool {
        self.through.as_ref().is_some_and(|through| !through.on_behalf)
    }

    /// Host name of the service that makes the call, which stands for the caller's address and program in the trail.
    pub(crate) fn invoked_by(&self) -> Option<&str> {
        self.through.as_ref().map(|through| through.service.host.as_str())
    }

    /// The resource that a service says it calls for, which grants can be constrained to.
    pub(crate) fn source_arn(&self) -> Option<&str> {
        self.through.as_ref()?.source_arn.as_deref()
    }

    /// Whether a service calls on behalf of its user: `kms:GrantIsForAWSResource`, `aws:ViaAWSService`.
    pub(crate) fn is_via_service(&self) -> bool {
        self.through.as_ref().is_some_and(|through| through.on_behalf)
    }

    /// Checks that the caller may call an operation at all, before anything is looked at: a service only what it was
    /// given. `None` is anything but an operation of KMS.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) fn may_call(&self, operation: Option<&str>, name: &str) -> Result<()> {
        let denied = |text: String| Err(Error::new(Code::AccessDenied, text));
        match (&self.refused, &self.through) {
            (Some(why), _) => denied(why.clone()),
            (None, Some(through)) if !operation.is_some_and(|it| through.service.may_call(it)) => {
                denied(format!("{} is not configured to call {name}.", through.service.host))
            }
            _ => Ok(()),
        }
    }

    /// The principal as it stands now.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The principal as decisions take it.
    pub(crate) fn as_policy_principal(&self) -> policy::Principal<'_> {
        let account = self.account();
        match (&self.standing.identity, self.principal()) {
            (_, Principal::Service) => policy::Principal::Service { name: &self.arn },
            (Some(user), Principal::FederatedUser) => policy::Principal::FederatedUser {
                arn: &self.arn,
                user_arn: self.user_arn.as_deref().unwrap_or_default(),
                user_id: &user.id,
                account,
            },
            (_, Principal::WebIdentity) => policy::Principal::WebIdentity { provider: &self.principal_arn },
            (Some(role), Principal::RoleSession) => policy::Principal::RoleSession {
                role_arn: &self.principal_arn,
                role_id: &role.id,
                session_arn: &self.arn,
                account,
            },
            (Some(user), _) => policy::Principal::User { arn: &self.arn, id: &user.id, account },
            (None, _) => policy::Principal::Root { account },
        }
    }

    /// A caller for tests of what comes after authentication.
    #[cfg(test)]
    pub(crate) fn of_root_for_tests(account: &str) -> Self {
        Self::new(Standing::root(account), "AKIATESTTESTTESTTEST", "us-east-1")
    }

    /// `userIdentity` of the trail, as JSON.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }
}

/// What a credential gives on one day, in one Region, to one service: the key that its signatures are made with. For the
/// root user also who it is that makes them, which no other record changes. Reaches no one but through a signature that
/// the key verifies.
pub(crate) struct Scoped {
    key: SigningKey,
    root: Option<Arc<Caller>>,
}

/// Names a [`Scoped`]. The revision of the credential is part of it, so that nothing outlives a change of it. That of a
/// session is 0, which no record has: its access key id stands for one secret for ever.
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

/// A credential that a request claims to be signed with.
enum Found {
    LongTerm(Arc<Credential>),
    Session(Arc<Session>),
    /// Of a service; its revision is 0 as well, as its key stands for one secret as long as this program runs.
    Service(Arc<ServiceIdentity>),
}

impl Found {
    /// Account, sealed secret and revision.
    fn secret(&self) -> (&str, &[u8], Revision) {
        match self {
            Self::LongTerm(credential) => {
                (&credential.record.account, &credential.record.token, credential.revision)
            }
            Self::Session(session) => (&session.record.account, &session.record.secret, 0),
            Self::Service(service) => (&service.account, &service.token, 0),
        }
    }
}

/// Authenticates a request to a service (`kms`, `iam`, `sts`).
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
    let regions = &service.installation.regions;
    let serves = |region: &str| match expected {
        "kms" => regions.serve(region),
        // IAM is in one Region only, and STS has its oldest endpoint there.
        _ => regions.serve(region) || region == service.installation.iam_region(),
    };
    let claim = claim.check_scope(expected, serves, now.seconds()).map_err(refused)?;
    let (found, verified, root) = verify(service, claim, now).await?;
    let (access_key_id, scope) = (verified.access_key_id(), verified.scope());
    if let Found::Service(identity) = &found {
        return forward::caller(service, incoming, identity, &scope.region, now).await.map(Arc::new);
    }
    if let Some(root) = root {
        return Ok(forward::unless_presented(incoming, root));
    }
    let standing = standing(service, access_key_id, &found).await?.ok_or_else(unrecognized)?;
    let used = match &found {
        Found::LongTerm(_) => Some(access_key_id),
        // Only the sessions of roles have names.
        Found::Session(session) => session.record.name.is_some().then_some(&*session.record.principal),
        Found::Service(_) => None,
    };
    if let Some(id) = used {
        service.installation.last_used.note(id, &scope.service, &scope.region, now);
    }
    let caller = Arc::new(Caller::new(standing, access_key_id, &scope.region));
    Ok(forward::unless_presented(incoming, caller))
}

/// Verifies the signature of a claim; answers the credential that made it, and the root user whose it is.
async fn verify(
    service: &Service,
    claim: InScope,
    now: Moment,
) -> Result<(Found, Verified, Option<Arc<Caller>>)> {
    let Some(found) = find(service, &claim, now).await? else {
        // The same work as for a known key id, so that the time does not tell which ids exist.
        drop(claim.verify(&SigningKey::new(&[0; 32])));
        return Err(unrecognized());
    };
    let (_, _, revision) = found.secret();
    let (access_key_id, scope) = (claim.access_key_id(), claim.scope());
    let known = service.installation.scoped.get(&ScopedRef { revision, access_key_id, scope });
    let scoped = match known {
        Some(scoped) => scoped,
        None => derive(service, &claim, &found).await?,
    };
    let verified = claim.verify(&scoped.key).map_err(refused)?;
    let (account, ..) = found.secret();
    if !matches!(found, Found::Service(_)) && !service.installation.cache.account_is_open(account).await? {
        return Err(unrecognized());
    }
    Ok((found, verified, scoped.root.clone()))
}

/// The Region that AWS's clients sign requests to IAM for.
pub(crate) const GLOBAL_REGION: &str = "us-east-1";

/// The credential that a claim names, if there is one and it may be used.
async fn find(service: &Service, claim: &InScope, now: Moment) -> Result<Option<Found>> {
    let access_key_id = claim.access_key_id();
    let Some(token) = claim.security_token() else {
        if let Some(service) = service.installation.services.of_access_key(access_key_id) {
            return Ok(Some(Found::Service(Arc::clone(service))));
        }
        let credential = service.installation.cache.credential(access_key_id).await?;
        return Ok(credential.filter(|it| it.record.is_active()).map(Found::LongTerm));
    };
    let session = service.installation.sessions.open(token);
    // A token of one session does not serve for the key of another, nor for a long-term key (attack A5).
    let Some(session) = session.filter(|it| it.record.access_key_id == access_key_id) else {
        return Ok(None);
    };
    if session.record.expires_ms <= now.0 {
        return Err(refused(Refusal::ExpiredToken));
    }
    Ok(Some(Found::Session(session)))
}

/// How often a principal that changes while it is read is read anew.
const MAX_ATTEMPTS: usize = 8;

/// Whom a credential stands for now.
async fn standing(service: &Service, access_key_id: &str, found: &Found) -> Result<Option<Standing>> {
    let cache = &service.installation.cache;
    let mut attempt = 1;
    loop {
        let standing = match found {
            Found::LongTerm(credential) => Standing::of_credential(cache, access_key_id, credential).await,
            Found::Session(session) => Standing::of_session(cache, session).await,
            Found::Service(_) => Ok(None),
        };
        match standing {
            Err(error) if error.conflict && attempt < MAX_ATTEMPTS => {
                attempt += 1;
                cache.freshen().await?;
            }
            outcome => return outcome,
        }
    }
}

/// Has the HSM derive the signing key of the claim's scope, and keeps it for its day.
async fn derive(service: &Service, claim: &InScope, found: &Found) -> Result<Arc<Scoped>> {
    let (scope, access_key_id) = (claim.scope(), claim.access_key_id());
    let (account, token, revision) = found.secret();
    let wrapped = WrappedCredential { binding: CredentialBinding { account, access_key_id }, token };
    let derived =
        vault::signing_key(&*service.vault, wrapped, &scope.date, &scope.region, &scope.service).await?;
    let root = match found {
        Found::LongTerm(credential) if credential.record.principal == principal::ROOT => {
            let key = Some((access_key_id.to_owned(), revision));
            let standing = Standing { key, ..Standing::root(account) };
            Some(Arc::new(Caller::new(standing, access_key_id, &scope.region)))
        }
        _ => None,
    };
    let scoped = Arc::new(Scoped { key: SigningKey::new(&derived), root });
    let name = ScopedName { revision, access_key_id: access_key_id.to_owned(), scope: scope.clone() };
    service.installation.scoped.insert(name, Arc::clone(&scoped));
    Ok(scoped)
}

/// The error of an access key or session that is not known.
pub(crate) fn unrecognized() -> Error {
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
