//! Whom grants name: a user, a role, a session of a role, an account, a service.
//!
//! What is named is bound when the grant is made: to the unique id of a user or role. Who is made later under the same
//! name is somebody else.

use claviger_policy::{self as policy, PrincipalName};
use claviger_wire::arn::{self, Arn};
use claviger_wire::fault::Code;

use crate::authn::Caller;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::iam::{document, identity};
use crate::record::iam::BoundRecord;

/// What ids of services begin with. No id of any other principal holds a colon after letters in lower case.
const SERVICE: &str = "service:";

/// A party to a grant: as it was named, and whom that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party(BoundRecord);

impl Party {
    pub(crate) fn stored(bound: BoundRecord) -> Self {
        Self(bound)
    }

    pub(crate) fn record(&self) -> BoundRecord {
        self.0.clone()
    }

    /// Whom it means: the unique id of a user or role, `id:name` for a session of a role, an account, or a service.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// A service, by its host name.
    pub(crate) fn service(name: &str) -> Self {
        Self(BoundRecord { arn: name.to_owned(), id: format!("{SERVICE}{name}") })
    }

    pub(crate) fn is_service(&self) -> bool {
        self.0.id.starts_with(SERVICE)
    }

    /// The principal of an ARN.
    ///
    /// # Errors
    /// `InvalidArnException` for what is no principal, or nobody.
    pub(crate) async fn of_arn(cache: &Cache, region: &str, text: &str) -> Result<Self> {
        let found = Self::find(cache, region, text).await?;
        found.ok_or_else(|| {
            Error::new(Code::InvalidArn, format!("ARN does not refer to a valid principal: {text}"))
        })
    }

    /// The same; `None` for a principal that does not exist.
    ///
    /// # Errors
    /// `InvalidArnException` for what is no principal.
    pub(crate) async fn find(cache: &Cache, region: &str, text: &str) -> Result<Option<Self>> {
        let invalid = || Error::new(Code::InvalidArn, format!("Invalid arn {text}"));
        let partition = Arn::parse(text).map(|arn| arn.partition);
        if partition != Some(arn::partition(region)) {
            return Err(invalid());
        }
        let name = PrincipalName::parse_aws(text).ok_or_else(invalid)?;
        let id = match &name {
            PrincipalName::Account(account) => Some(account.to_string()),
            PrincipalName::User { .. } | PrincipalName::Role { .. } => document::id_of(cache, &name).await?,
            PrincipalName::Session { .. } => {
                let session = text.rsplit('/').next().unwrap_or_default();
                document::id_of(cache, &name).await?.map(|role| format!("{role}:{session}"))
            }
            // As `aws:userid` has it. A federated user is a name that a user of the account gives; there is no record of it.
            PrincipalName::FederatedUser(_) => {
                let account = Arn::parse(text).map_or("", |arn| arn.account);
                text.rsplit_once('/').map(|(_, name)| format!("{account}:{name}"))
            }
            _ => return Err(invalid()),
        };
        Ok(id.map(|id| Self(BoundRecord { arn: text.to_owned(), id })))
    }

    /// As lists show it: the ARN that the principal has now, and of one that is deleted its unique id.
    pub(crate) async fn shown(&self, cache: &Cache, region: &str) -> Result<String> {
        let BoundRecord { arn, id } = &self.0;
        if self.is_service() || arn::is_account(id) || arn.contains(":federated-user/") {
            return Ok(arn.clone());
        }
        let (unique, session) = id.split_once(':').map_or((&**id, None), |(role, name)| (role, Some(name)));
        let account = Arn::parse(arn).map_or("", |arn| arn.account);
        let Some(found) = identity::by_id(cache, account, unique).await? else { return Ok(id.clone()) };
        Ok(match session {
            Some(_) => arn.clone(),
            None => found.arn(region),
        })
    }
}

/// Under which ids grants name a caller, and what a grant to each gives it.
pub(crate) fn ids_of(caller: &Caller) -> Vec<(String, policy::Grant)> {
    use policy::Grant::{ToAccount, ToCaller};
    use policy::Principal;
    // `aws:userid`, which is `id:name` for a session.
    let own = || caller.principal_id().to_owned();
    match caller.as_policy_principal() {
        Principal::Root { account } => vec![(account.to_owned(), ToAccount)],
        Principal::User { account, .. } | Principal::FederatedUser { account, .. } => {
            vec![(own(), ToCaller), (account.to_owned(), ToAccount)]
        }
        Principal::RoleSession { role_id, account, .. } => {
            vec![(own(), ToCaller), (role_id.to_owned(), ToCaller), (account.to_owned(), ToAccount)]
        }
        // Calls nothing but STS.
        Principal::WebIdentity { .. } => Vec::new(),
        Principal::Service { name } => vec![(format!("{SERVICE}{name}"), ToCaller)],
    }
}
