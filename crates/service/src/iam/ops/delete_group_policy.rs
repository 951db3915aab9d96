//! Deletes an inline policy of a group.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{GroupName, PolicyName};
use crate::operation::Operation;

/// The operation.
pub struct DeleteGroupPolicy;

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

impl Operation for DeleteGroupPolicy {
    const NAME: &'static str = "DeleteGroupPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = &request.policy_name;
        holder::delete_inline(
            service,
            call,
            "iam:DeleteGroupPolicy",
            (Kind::Group, &request.group_name),
            name,
        )
        .await
    }
}
