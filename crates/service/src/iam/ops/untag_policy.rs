//! Takes tags of a managed policy away.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::managed::ManagedPolicy;
use crate::iam::shapes::{ArnText, TagKeys};
use crate::iam::{load, tags};
use crate::operation::Operation;

/// The operation.
pub struct UntagPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
        /// Keys of the tags.
        required tag_keys: TagKeys = "tagKeys",
    }
}

impl Operation for UntagPolicy {
    const NAME: &'static str = "UntagPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let keys = &request.tag_keys.0;
        let names: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        let asks = IamAsks { tag_keys: Some(&names), ..IamAsks::default() };
        let policy = load::policy(service, call, "iam:UntagPolicy", &request.policy_arn, asks).await?;
        let mut changed = ManagedPolicy::clone(&policy);
        tags::remove(&mut changed.tags, keys);
        call.commit(service, vec![policy.unchanged()], vec![changed.put()?]).await
    }
}
