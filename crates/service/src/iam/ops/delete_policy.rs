//! Deletes a managed policy that nothing uses any more.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::ArnText;
use crate::iam::{load, versions};
use crate::operation::Operation;

/// The operation.
pub struct DeletePolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
    }
}

impl Operation for DeletePolicy {
    const NAME: &'static str = "DeletePolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let policy =
            load::policy(service, call, "iam:DeletePolicy", &request.policy_arn, IamAsks::default()).await?;
        versions::delete_policy(service, call, &policy).await
    }
}
