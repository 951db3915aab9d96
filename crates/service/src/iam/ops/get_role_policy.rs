//! Tells an inline policy of a role.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{PolicyName, RoleName};
use crate::iam::views;
use crate::operation::Operation;

/// The operation.
pub struct GetRolePolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// Name of the policy.
        required policy_name: PolicyName = "policyName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    role_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for GetRolePolicy {
    const NAME: &'static str = "GetRolePolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = &request.policy_name;
        let (role, policy) =
            holder::inline(service, call, "iam:GetRolePolicy", (Kind::Role, &request.role_name), name)
                .await?;
        Ok(Response {
            role_name: role.name.clone(),
            policy_document: views::encoded(&policy.text),
            policy_name: policy.name,
        })
    }
}
