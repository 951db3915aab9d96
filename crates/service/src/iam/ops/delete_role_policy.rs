//! Deletes an inline policy of a role.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{PolicyName, RoleName};
use crate::operation::Operation;

/// The operation.
pub struct DeleteRolePolicy;

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

impl Operation for DeleteRolePolicy {
    const NAME: &'static str = "DeleteRolePolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = &request.policy_name;
        holder::delete_inline(service, call, "iam:DeleteRolePolicy", (Kind::Role, &request.role_name), name)
            .await
    }
}
