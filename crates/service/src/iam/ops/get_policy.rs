//! Tells of a managed policy.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::ArnText;
use crate::iam::{load, views};
use crate::operation::Operation;

/// The operation.
pub struct GetPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy: views::Policy,
}

impl Operation for GetPolicy {
    const NAME: &'static str = "GetPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let region = call.region();
        let policy =
            load::policy(service, call, "iam:GetPolicy", &request.policy_arn, IamAsks::default()).await?;
        Ok(Response { policy: views::Policy::whole(&policy, region) })
    }
}
