//! Tells an inline policy of a user.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, PolicyName};
use crate::iam::views;
use crate::operation::Operation;

/// The operation.
pub struct GetUserPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
        /// Name of the policy.
        required policy_name: PolicyName = "policyName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    user_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for GetUserPolicy {
    const NAME: &'static str = "GetUserPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = &request.policy_name;
        let (user, policy) =
            holder::inline(service, call, "iam:GetUserPolicy", (Kind::User, &request.user_name), name)
                .await?;
        Ok(Response {
            user_name: user.name.clone(),
            policy_document: views::encoded(&policy.text),
            policy_name: policy.name,
        })
    }
}
