//! Puts the trust policy of a role.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{PolicyDocument, RoleName};
use crate::iam::{load, role};
use crate::operation::Operation;

/// The operation.
pub struct UpdateAssumeRolePolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// The policy.
        required policy_document: PolicyDocument = "policyDocument",
    }
}

impl Operation for UpdateAssumeRolePolicy {
    const NAME: &'static str = "UpdateAssumeRolePolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::Role, &*request.role_name);
        let role =
            load::identity(service, call, "iam:UpdateAssumeRolePolicy", named, IamAsks::default()).await?;
        let trust = role::trust(service, &request.policy_document).await?;
        role::update(service, call, &role, |only| only.trust = trust).await.map(|_| ())
    }
}
