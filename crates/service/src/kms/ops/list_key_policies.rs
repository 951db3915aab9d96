//! Lists the names of a key's policies. There is one, `default`.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::load;
use crate::kms::marker::Scope;
use crate::kms::shapes::{KeyIdentifier, Limit, Marker};
use crate::operation::Operation;

/// The operation.
pub struct ListKeyPolicies;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Most names of a page.
        optional limit: Limit = "limit",
        /// Where the list goes on. A list of one name never gives one.
        optional marker: Marker = "marker",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy_names: [&'static str; 1],
    truncated: bool,
}

impl Operation for ListKeyPolicies {
    const NAME: &'static str = "ListKeyPolicies";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let key =
            load::managed(service, call, "kms:ListKeyPolicies", &request.key_id, Asks::default()).await?;
        let (principal, region) = (call.caller().arn(), call.region());
        let scope = Scope { operation: "ListKeyPolicies", principal, region, filter: key.id() };
        service.installation.markers.read(scope, request.marker.as_ref())?;
        Ok(Response { policy_names: ["default"], truncated: false })
    }
}
