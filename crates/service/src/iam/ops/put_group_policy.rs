//! Puts an inline policy of a group, in place of one of the same name.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{GroupName, PolicyDocument, PolicyName};
use crate::operation::Operation;

/// The operation.
pub struct PutGroupPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
        /// Name of the policy.
        required policy_name: PolicyName = "policyName",
        /// The policy.
        required policy_document: PolicyDocument = "policyDocument",
    }
}

impl Operation for PutGroupPolicy {
    const NAME: &'static str = "PutGroupPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let policy = (&request.policy_name, &request.policy_document);
        holder::put_inline(service, call, "iam:PutGroupPolicy", (Kind::Group, &request.group_name), policy)
            .await
    }
}
