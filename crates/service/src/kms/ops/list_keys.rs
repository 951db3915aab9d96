//! Lists the keys of the caller's account in the Region, a page at a time.

use claviger_store::Read;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::key_arn;
use crate::kms::marker::{self, Scope};
use crate::kms::shapes::{Limit, Marker, ResourceOwner, ResourceOwners};
use crate::operation::Operation;
use crate::record;

/// The operation.
pub struct ListKeys;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Most keys of a page: 100 when absent, at most 1,000.
        optional limit: Limit = "limit",
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// Whose keys; the account's own when absent.
        optional resource_owners: ResourceOwners = "resourceOwners",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    keys: Vec<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    key_id: String,
    key_arn: String,
}

impl Operation for ListKeys {
    const NAME: &'static str = "ListKeys";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        call.authorize_account("kms:ListKeys", Asks { of_no_key: true, ..Asks::default() })?;
        let (account, region) = (call.caller().account(), call.region());
        let owners = request.resource_owners.as_ref().map_or(&[ResourceOwner::Own][..], |owners| &owners.0);
        // A set: neither the order nor how often an owner stands in it makes another list.
        let [own, others] = [ResourceOwner::Own, ResourceOwner::Others].map(|owner| owners.contains(&owner));
        let filter = match (own, others) {
            (true, false) => "SELF",
            (true, true) => "SELF, OTHERS",
            (false, _) => "OTHERS",
        };
        let scope = Scope { operation: "ListKeys", principal: call.caller().arn(), region, filter };
        let after = service.installation.markers.read(scope, request.marker.as_ref())?;
        if !own {
            // Nothing is shared between accounts in this version.
            return Ok(Response { keys: Vec::new(), next_marker: None, truncated: false });
        }
        let size = marker::page_size(request.limit, 100, 1000);
        let prefix = record::keys(account, region);
        let after = after.map(|id| record::key(account, region, &id));
        let read = Read::Range { prefix: prefix.clone(), after, limit: size + 1 };
        let snapshot = service.installation.store.read(vec![read]).await?;
        let found = snapshot.found.into_iter().flatten();
        let mut ids: Vec<String> = found.map(|entry| record::rest(&entry.name, &prefix).to_owned()).collect();
        let truncated = ids.len() > size;
        ids.truncate(size);
        let last = ids.last().filter(|_| truncated);
        let next_marker = last.map(|id| service.installation.markers.make(scope, id));
        let keys =
            ids.into_iter().map(|id| Key { key_arn: key_arn(account, region, &id), key_id: id }).collect();
        Ok(Response { keys, next_marker, truncated })
    }
}
