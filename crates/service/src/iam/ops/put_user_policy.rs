//! Puts an inline policy of a user, in place of one of the same name.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, PolicyDocument, PolicyName};
use crate::operation::Operation;

/// The operation.
pub struct PutUserPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
        /// Name of the policy.
        required policy_name: PolicyName = "policyName",
        /// The policy.
        required policy_document: PolicyDocument = "policyDocument",
    }
}

impl Operation for PutUserPolicy {
    const NAME: &'static str = "PutUserPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let policy = (&request.policy_name, &request.policy_document);
        holder::put_inline(service, call, "iam:PutUserPolicy", (Kind::User, &request.user_name), policy).await
    }
}
