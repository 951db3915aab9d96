//! From a verified credential to whom it stands for now: the user, role or root user, and the policies that apply.
//!
//! Everything is looked up with every request, in a cache that is as fresh as the store: a principal that was deleted,
//! made anew under the same name, or stripped of a policy is that from the next request on.

use std::sync::Arc;

use claviger_policy::Document;
use claviger_store::Revision;
use claviger_wire::arn;

use super::session::Session;
use crate::cache::{Cache, Credential};
use crate::decided::Source;
use crate::error::Result;
use crate::iam::effective::Effective;
use crate::iam::identity::{Identity, by_id};
use crate::iam::provider::{self, Provider};
use crate::moment::Moment;
use crate::record;
use crate::record::federation::FederationRecord;

/// The account's root user, as records name it.
pub(crate) const ROOT: &str = "root";

/// What a session adds to its principal.
#[derive(Debug, Clone)]
pub(crate) struct SessionFacts {
    pub(crate) issued: Moment,
    /// Name of a role's session; none for sessions of users and of the root user.
    pub(crate) name: Option<String>,
    pub(crate) source_identity: Option<String>,
    /// Keys of tags that go on to sessions of this session.
    pub(crate) transitive: Vec<String>,
    /// Where it comes from, for one of a web identity.
    pub(crate) federation: Option<FederationRecord>,
    /// Name of the one whom a user vouches for, for such a session.
    pub(crate) federated_user: Option<String>,
    /// When its holder showed the code of a device.
    pub(crate) mfa: Option<Moment>,
    /// Its own tags.
    pub(crate) tags: Vec<(String, String)>,
}

/// A principal as it stands at the time of a request.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) account: String,
    /// The user or role; `None` for the root user.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) effective: Effective,
    /// Its own tags and those of its session, which win.
    pub(crate) tags: Vec<(String, String)>,
    /// Session policies; `None` where the session has none.
    pub(crate) session_policies: Option<Vec<Arc<Document>>>,
    /// Where each of them is from.
    pub(crate) session_sources: Vec<Source>,
    pub(crate) session: Option<SessionFacts>,
    /// The access key that everything comes from, as it was read: that which signs, or that which asked for the session.
    pub(crate) key: Option<(String, Revision)>,
    /// The identity provider that vouched for the session.
    pub(crate) provider: Option<Arc<Provider>>,
}

impl Standing {
    /// The root user of an account.
    pub(crate) fn root(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            identity: None,
            effective: Effective::default(),
            tags: Vec::new(),
            session_policies: None,
            session_sources: Vec::new(),
            session: None,
            key: None,
            provider: None,
        }
    }

    /// Whom a long-term credential stands for; `None` where there is nobody any more.
    pub(crate) async fn of_credential(
        cache: &Cache,
        access_key_id: &str,
        credential: &Credential,
    ) -> Result<Option<Self>> {
        let record = &credential.record;
        let key = Some((access_key_id.to_owned(), credential.revision));
        if record.principal == ROOT {
            return Ok(Some(Self { key, ..Self::root(&record.account) }));
        }
        let Some(identity) = by_id(cache, &record.account, &record.principal).await? else { return Ok(None) };
        Ok(Some(Self { key, ..Self::of_identity(cache, identity).await? }))
    }

    /// Whom a session stands for; `None` where what it comes from is gone: its role, its user, the access key that asked
    /// for it, or the identity provider that vouched.
    pub(crate) async fn of_session(cache: &Cache, session: &Session) -> Result<Option<Self>> {
        let record = &session.record;
        let mut key = None;
        if let Some(source) = &record.source_key {
            let credential = cache.credential(source).await?.filter(|credential| {
                let source = &credential.record;
                source.is_active() && source.account == record.account && source.principal == record.principal
            });
            let Some(credential) = credential else { return Ok(None) };
            key = Some((source.clone(), credential.revision));
        }
        let mut vouched = None;
        if let Some(federation) = &record.federation {
            let found = provider::of_address(cache, &record.account, &federation.provider).await?;
            vouched = found.filter(|provider| provider.id == federation.provider_id);
            if vouched.is_none() {
                return Ok(None);
            }
        }
        let mut standing = if record.principal == ROOT {
            Self::root(&record.account)
        } else {
            let Some(identity) = by_id(cache, &record.account, &record.principal).await? else {
                return Ok(None);
            };
            Self::of_identity(cache, identity).await?
        };
        let tags: Vec<_> = record.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        for (key, value) in &tags {
            standing.tags.retain(|(own, _)| !own.eq_ignore_ascii_case(key));
            standing.tags.push((key.clone(), value.clone()));
        }
        (standing.session_policies, standing.session_sources) = session_policies(cache, session).await?;
        (standing.key, standing.provider) = (key, vouched);
        standing.session = Some(SessionFacts {
            issued: Moment(record.issued_ms),
            name: record.name.clone(),
            source_identity: record.source_identity.clone(),
            transitive: record.transitive.clone(),
            federation: record.federation.clone(),
            federated_user: record.federated_user.clone(),
            mfa: record.mfa_ms.map(Moment),
            tags,
        });
        Ok(Some(standing))
    }

    async fn of_identity(cache: &Cache, identity: Arc<Identity>) -> Result<Self> {
        let effective = Effective::of(cache, &identity).await?;
        let (account, tags) = (identity.account.to_string(), identity.tags.clone());
        Ok(Self { tags, effective, identity: Some(identity), ..Self::root(&account) })
    }

    /// The session's name, for a session of a role.
    fn session_name(&self) -> Option<&str> {
        self.session.as_ref()?.name.as_deref()
    }

    /// The name of one whom a user vouches for, in such a session.
    pub(crate) fn federated_user(&self) -> Option<&str> {
        self.session.as_ref()?.federated_user.as_deref()
    }

    /// ARN of the user, role or root user whose policies apply.
    pub(crate) fn issuer_arn(&self, region: &str) -> String {
        match &self.identity {
            Some(identity) => identity.arn(region),
            None => format!("arn:{}:iam::{}:root", arn::partition(region), self.account),
        }
    }

    /// ARN of the user, role or root user; of someone whom a user vouches for, of the session.
    pub(crate) fn principal_arn(&self, region: &str) -> String {
        match self.federated_user() {
            Some(_) => self.arn(region),
            None => self.issuer_arn(region),
        }
    }

    /// ARN of who calls: for a session of a role, or of someone whom a user vouches for, that of the session.
    pub(crate) fn arn(&self, region: &str) -> String {
        if let Some(name) = self.federated_user() {
            return format!("arn:{}:sts::{}:federated-user/{name}", arn::partition(region), self.account);
        }
        match (&self.identity, self.session_name()) {
            (Some(role), Some(session)) => {
                let (partition, account) = (arn::partition(region), &self.account);
                format!("arn:{partition}:sts::{account}:assumed-role/{}/{session}", role.name)
            }
            _ => self.issuer_arn(region),
        }
    }

    /// `aws:userid` (IAM User Guide, "IAM JSON policy elements: Variables", the table of principals).
    pub(crate) fn user_id(&self) -> String {
        if let Some(name) = self.federated_user() {
            return format!("{}:{name}", self.account);
        }
        match (&self.identity, self.session_name()) {
            (Some(role), Some(session)) => format!("{}:{session}", role.id),
            (Some(identity), None) => identity.id.clone(),
            (None, _) => self.account.clone(),
        }
    }
}

/// The policies that cap a session. With a managed one that is gone, nothing is allowed.
async fn session_policies(
    cache: &Cache,
    session: &Session,
) -> Result<(Option<Vec<Arc<Document>>>, Vec<Source>)> {
    let record = &session.record;
    // One whom a user vouches for may do of itself only what the request for the session allowed.
    if session.policy.is_none() && record.managed.is_empty() && record.federated_user.is_none() {
        return Ok((None, Vec::new()));
    }
    let mut documents: Vec<_> = session.policy.iter().map(Arc::clone).collect();
    let mut sources: Vec<_> = session.fingerprint.into_iter().map(Source::Session).collect();
    for key in &record.managed {
        // With a cap that is gone its Deny is gone as well; so nothing is allowed any more.
        let Some(policy) = cache.managed_policy(record::iam::policy(&record.account, key)).await? else {
            return Ok((Some(Vec::new()), Vec::new()));
        };
        documents.push(Arc::clone(&policy.document));
        sources.push(Source::Managed(policy));
    }
    Ok((Some(documents), sources))
}
