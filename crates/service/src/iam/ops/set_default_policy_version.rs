//! Puts a version of a managed policy in force.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::managed::ManagedPolicy;
use crate::iam::shapes::{ArnText, VersionId};
use crate::iam::{load, versions};
use crate::operation::Operation;

/// The operation.
pub struct SetDefaultPolicyVersion;

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

impl Operation for SetDefaultPolicyVersion {
    const NAME: &'static str = "SetDefaultPolicyVersion";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.policy_arn;
        let policy =
            load::policy(service, call, "iam:SetDefaultPolicyVersion", arn, IamAsks::default()).await?;
        let default = versions::of_id(&policy, arn, &request.version_id)?.number;
        let changed = ManagedPolicy { default, updated: call.now(), ..ManagedPolicy::clone(&policy) };
        call.commit(service, vec![policy.unchanged()], vec![changed.put()?]).await
    }
}
