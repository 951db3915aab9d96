//! Tells a version of a managed policy, with its document.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::{ArnText, VersionId};
use crate::iam::{load, versions, views};
use crate::operation::Operation;

/// The operation.
pub struct GetPolicyVersion;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
        /// Which version.
        required version_id: VersionId = "versionId",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy_version: views::PolicyVersion,
}

impl Operation for GetPolicyVersion {
    const NAME: &'static str = "GetPolicyVersion";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let arn = &request.policy_arn;
        let policy = load::policy(service, call, "iam:GetPolicyVersion", arn, IamAsks::default()).await?;
        let version = versions::of_id(&policy, arn, &request.version_id)?;
        Ok(Response { policy_version: views::PolicyVersion::whole(&policy, version) })
    }
}
