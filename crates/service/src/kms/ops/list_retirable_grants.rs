//! Lists the grants in the Region that a principal of the caller's account may retire, on keys of any account, a page at
//! a time.

use claviger_store::Read;
use claviger_wire::arn::Arn;
use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::Grant;
use crate::kms::grant::listing::{self, Page, Response};
use crate::kms::grant::party::Party;
use crate::kms::load;
use crate::kms::marker::Scope;
use crate::kms::shapes::{Limit, Marker, PrincipalId, ServicePrincipal};
use crate::operation::Operation;
use crate::record::{self, grant::PointerRecord};

/// The operation.
pub struct ListRetirableGrants;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Most grants of a page: 50 when absent, at most 100.
        optional limit: Limit = "limit",
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// The principal. Either this or a service.
        optional retiring: PrincipalId = "retiringPrincipal",
        /// The service. For services.
        optional retiring_service: ServicePrincipal = "retiringServicePrincipal",
    }
}

impl Operation for ListRetirableGrants {
    const NAME: &'static str = "ListRetirableGrants";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let action = "kms:ListRetirableGrants";
        let retiring = match (&request.retiring, &request.retiring_service) {
            (Some(retiring), None) => retiring,
            (None, Some(_)) => return Err(listing::only_for_services("RetiringServicePrincipal")),
            _ => {
                return Err(Error::validation(
                    "Exactly one of RetiringPrincipal and RetiringServicePrincipal must be specified.",
                ));
            }
        };
        let (cache, region) = (&service.installation.cache, call.region());
        call.authorize_principal(action, retiring)?;
        let party = Party::find(cache, region, retiring).await?;
        let account = Arn::parse(retiring).map(|arn| arn.account);
        if account != Some(call.caller().account()) {
            let caller = call.caller().arn();
            let text =
                format!("User: {caller} is not authorized to perform: {action} on resource: {}", retiring.0);
            return Err(Error::new(Code::AccessDenied, text));
        }
        // What nobody may retire, nobody lists: it is an empty list, of whoever does not exist.
        let id = party.as_ref().map_or("-", Party::id);
        let principal = call.caller().arn();
        let scope = Scope { operation: Self::NAME, principal, region, filter: id };
        let prefix = record::grant::retirables(region, id);
        let page = listing::page(service, scope, prefix, (request.limit, request.marker.as_ref())).await?;
        let grants = retirable(service, &page, id).await?;
        listing::response(service, call, &grants, page.into_marker()).await
    }
}

/// The grants that a page of the index leads to. Those of a key that is deleted are as good as gone.
async fn retirable(service: &Service, page: &Page, retiring: &str) -> Result<Vec<Grant>> {
    let mut reads = Vec::with_capacity(page.records.len());
    for pointer in &page.records {
        let PointerRecord { name } = record::decode(pointer)?;
        reads.push(Read::One(name));
    }
    let found = service.installation.store.read(reads).await?.found;
    let mut grants = Vec::with_capacity(found.len());
    // One that was removed since the page was read is not listed.
    for found in found.iter().flatten() {
        let grant = Grant::decode(found)?;
        if grant.retiring.as_ref().map(Party::id) != Some(retiring) {
            return Err(Error::internal(format!("grant {} is listed for another principal", grant.id)));
        }
        if load::by_id(service, &grant.account, &grant.region, &grant.key).await?.is_some() {
            grants.push(grant);
        }
    }
    Ok(grants)
}
