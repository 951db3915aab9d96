//! Adds a version to a managed policy.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::{ArnText, PolicyDocument};
use crate::iam::{load, versions, views};
use crate::operation::Operation;
use crate::query;

/// The operation.
pub struct CreatePolicyVersion;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
        /// The policy.
        required policy_document: PolicyDocument = "policyDocument",
        /// Whether it is in force at once.
        optional set_as_default: bool = "setAsDefault",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy_version: views::PolicyVersion,
}

impl Operation for CreatePolicyVersion {
    const NAME: &'static str = "CreatePolicyVersion";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let arn = &request.policy_arn;
        let policy = load::policy(service, call, "iam:CreatePolicyVersion", arn, IamAsks::default()).await?;
        let default = request.set_as_default == Some(true);
        let (changed, version) = versions::add(call, &policy, &request.policy_document, default)?;
        let response = Response { policy_version: views::PolicyVersion::listed(&changed, &version) };
        call.set_response(&query::trail_form(&response))?;
        call.commit(service, vec![policy.unchanged()], vec![changed.put()?]).await?;
        Ok(response)
    }
}
