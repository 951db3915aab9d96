//! Deletes an inline policy of a user.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, PolicyName};
use crate::operation::Operation;

/// The operation.
pub struct DeleteUserPolicy;

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

impl Operation for DeleteUserPolicy {
    const NAME: &'static str = "DeleteUserPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = &request.policy_name;
        holder::delete_inline(service, call, "iam:DeleteUserPolicy", (Kind::User, &request.user_name), name)
            .await
    }
}
