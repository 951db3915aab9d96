//! Deletes a version of a managed policy that is not in force.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::{ArnText, VersionId};
use crate::iam::{load, versions};
use crate::operation::Operation;

/// The operation.
pub struct DeletePolicyVersion;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
        /// Which version.
        required version_id: VersionId = "versionId",
    }
}

impl Operation for DeletePolicyVersion {
    const NAME: &'static str = "DeletePolicyVersion";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.policy_arn;
        let policy = load::policy(service, call, "iam:DeletePolicyVersion", arn, IamAsks::default()).await?;
        let number = versions::of_id(&policy, arn, &request.version_id)?.number;
        let changed = versions::without(&policy, number)?;
        call.commit(service, vec![policy.unchanged()], vec![changed.put()?]).await
    }
}
