//! Attaches a managed policy to a user.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ArnText, UserName};
use crate::operation::Operation;

/// The operation.
pub struct AttachUserPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: UserName = "userName",
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
    }
}

impl Operation for AttachUserPolicy {
    const NAME: &'static str = "AttachUserPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.policy_arn;
        holder::attach(service, call, "iam:AttachUserPolicy", (Kind::User, &request.user_name), arn).await
    }
}
