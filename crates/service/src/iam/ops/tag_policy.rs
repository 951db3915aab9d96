//! Adds tags to a managed policy, replacing those of the same key.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::managed::ManagedPolicy;
use crate::iam::shapes::{ArnText, Tags};
use crate::iam::{load, tags};
use crate::operation::Operation;

/// The operation.
pub struct TagPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
        /// The tags.
        required tags: Tags = "tags",
    }
}

impl Operation for TagPolicy {
    const NAME: &'static str = "TagPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let given = tags::checked(Some(&request.tags.0))?;
        let asks = IamAsks { tags: Some(&given), ..IamAsks::default() };
        let policy = load::policy(service, call, "iam:TagPolicy", &request.policy_arn, asks).await?;
        let mut changed = ManagedPolicy::clone(&policy);
        tags::add(&mut changed.tags, &given)?;
        call.commit(service, vec![policy.unchanged()], vec![changed.put()?]).await
    }
}
