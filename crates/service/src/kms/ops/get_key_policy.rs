//! Shows a key's policy, as it was put.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, PolicyName};
use crate::operation::Operation;

/// The operation.
pub struct GetKeyPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// `default`, also when absent.
        optional policy_name: PolicyName = "policyName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy: String,
    policy_name: &'static str,
}

impl Operation for GetKeyPolicy {
    const NAME: &'static str = "GetKeyPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = request.policy_name.as_deref().unwrap_or("default");
        let asks = Asks { policy_name: Some(name), ..Asks::default() };
        let key = load::managed(service, call, "kms:GetKeyPolicy", &request.key_id, asks).await?;
        if name != "default" {
            return Err(Error::new(Code::NotFound, "No such policy exists"));
        }
        Ok(Response { policy: key.policy.text().to_owned(), policy_name: "default" })
    }
}
