//! Tells an inline policy of a group.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{GroupName, PolicyName};
use crate::iam::views;
use crate::operation::Operation;

/// The operation.
pub struct GetGroupPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
        /// Name of the policy.
        required policy_name: PolicyName = "policyName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    group_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for GetGroupPolicy {
    const NAME: &'static str = "GetGroupPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = &request.policy_name;
        let (group, policy) =
            holder::inline(service, call, "iam:GetGroupPolicy", (Kind::Group, &request.group_name), name)
                .await?;
        Ok(Response {
            group_name: group.name.clone(),
            policy_document: views::encoded(&policy.text),
            policy_name: policy.name,
        })
    }
}
