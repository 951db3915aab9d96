//! Detaches a managed policy from a group.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ArnText, GroupName};
use crate::operation::Operation;

/// The operation.
pub struct DetachGroupPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
    }
}

impl Operation for DetachGroupPolicy {
    const NAME: &'static str = "DetachGroupPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.policy_arn;
        holder::detach(service, call, "iam:DetachGroupPolicy", (Kind::Group, &request.group_name), arn).await
    }
}
