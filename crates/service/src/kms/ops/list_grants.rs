//! Lists the grants on a key, a page at a time: all, that of an id, or those for one grantee.

use claviger_wire::shape;

use crate::call::{Authorized, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::listing::{self, Response};
use crate::kms::grant::party::Party;
use crate::kms::grant::{self, Grant, place};
use crate::kms::identifier::Forms;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::marker::Scope;
use crate::kms::shapes::{GrantId, KeyIdentifier, Limit, Marker, PrincipalId, ServicePrincipal};
use crate::operation::Operation;
use crate::record;

/// The operation.
pub struct ListGrants;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Most grants of a page: 50 when absent, at most 100.
        optional limit: Limit = "limit",
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Only the grant of this id.
        optional grant_id: GrantId = "grantId",
        /// Only grants for this principal.
        optional grantee: PrincipalId = "granteePrincipal",
        /// Only grants for this service. For services.
        optional grantee_service: ServicePrincipal = "granteeServicePrincipal",
    }
}

impl Operation for ListGrants {
    const NAME: &'static str = "ListGrants";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        if request.grantee.is_some() && request.grantee_service.is_some() {
            return Err(Error::validation(
                "At most one of GranteePrincipal and GranteeServicePrincipal can be specified.",
            ));
        }
        request.grant_id.as_deref().map_or(Ok(()), grant::check_id)?;
        let action = "kms:ListGrants";
        let found = load::key(service, call, action, &request.key_id, Forms::KeyOnly).await?;
        let key = call.authorize(service, action, found.key, call.asks_on_grants()).await?;
        key.allows(Self::NAME)?;
        if request.grantee_service.is_some() {
            return Err(listing::only_for_services("GranteeServicePrincipal"));
        }
        let grantee = match &request.grantee {
            Some(named) => Some(grantee_id(service, call, named).await?),
            None => None,
        };
        let (principal, region) = (call.caller().arn(), call.region());
        let id = request.grant_id.as_deref();
        let filter = format!("{} {} {}", key.arn, id.unwrap_or("*"), grantee.as_deref().unwrap_or("*"));
        let scope = Scope { operation: Self::NAME, principal, region, filter: &filter };
        let prefix = match &grantee {
            Some(grantee) => record::grant::grants_to(key.place(), grantee),
            None => record::grant::grants_on(key.place()),
        };
        if let Some(id) = id {
            // A list of one has no second page, so no marker is right.
            service.installation.markers.read(scope, request.marker.as_ref())?;
            let found = one(service, &key, id, grantee.as_deref()).await?;
            return listing::response(service, call, found.as_slice(), None).await;
        }
        let page = listing::page(service, scope, prefix, (request.limit, request.marker.as_ref())).await?;
        let grants = page.records.iter().map(Grant::decode).collect::<Result<Vec<_>>>()?;
        listing::response(service, call, &grants, page.into_marker()).await
    }
}

/// The grant of an id, if the key has it and it is for this grantee.
async fn one(
    service: &Service,
    key: &Authorized<std::sync::Arc<Key>>,
    id: &str,
    grantee: Option<&str>,
) -> Result<Option<Grant>> {
    let found = place::find(service, key.place(), id).await?;
    Ok(found.filter(|grant| grantee.is_none_or(|wanted| grant.grantee.id() == wanted)))
}

/// Under which id grants name a principal: by its ARN, or by the unique id that lists show of one that is deleted. Grants
/// for nobody are not in any list.
async fn grantee_id(service: &Service, call: &Call<'_>, named: &str) -> Result<String> {
    if ["AIDA", "AROA"].iter().any(|prefix| named.starts_with(prefix)) && !named.contains('/') {
        return Ok(named.to_owned());
    }
    let found = Party::find(&service.installation.cache, call.region(), named).await?;
    Ok(found.map_or_else(|| "-".to_owned(), |party| party.id().to_owned()))
}
