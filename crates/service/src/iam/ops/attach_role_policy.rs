//! Attaches a managed policy to a role.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ArnText, RoleName};
use crate::operation::Operation;

/// The operation.
pub struct AttachRolePolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
    }
}

impl Operation for AttachRolePolicy {
    const NAME: &'static str = "AttachRolePolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.policy_arn;
        holder::attach(service, call, "iam:AttachRolePolicy", (Kind::Role, &request.role_name), arn).await
    }
}
