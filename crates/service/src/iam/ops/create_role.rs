//! Makes a role that those may assume whom its trust policy names.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::{Kind, Role};
use crate::iam::lifecycle::{self, Plan};
use crate::iam::shapes::{
    ArnText, EntityPath, MaxSessionDuration, MaxSigninSessionDuration, PolicyDocument, RoleDescription,
    RoleName, Tags,
};
use crate::iam::views::{self, Boundary};
use crate::iam::{role, tags};
use crate::operation::Operation;
use crate::query;

/// The operation.
pub struct CreateRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its path: `/` when absent.
        optional path: EntityPath = "path",
        /// Its name.
        required role_name: RoleName = "roleName",
        /// Who may assume it: its trust policy.
        required assume_role_policy_document: PolicyDocument = "assumeRolePolicyDocument",
        /// What it is for.
        optional description: RoleDescription = "description",
        /// Longest session in seconds: 3600 when absent.
        optional max_session_duration: MaxSessionDuration = "maxSessionDuration",
        /// Longest console session: not served.
        optional max_signin_session_duration: MaxSigninSessionDuration = "maxSigninSessionDuration",
        /// ARN of the managed policy that bounds it.
        optional permissions_boundary: ArnText = "permissionsBoundary",
        /// Its tags.
        optional tags: Tags = "tags",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    role: views::Role,
}

impl Operation for CreateRole {
    const NAME: &'static str = "CreateRole";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tags = tags::checked(request.tags.as_ref().map(|tags| &*tags.0))?;
        let plan = Plan {
            kind: Kind::Role,
            name: &request.role_name,
            path: request.path.as_deref(),
            tags: &tags,
            boundary: request.permissions_boundary.as_deref(),
        };
        lifecycle::authorize(call, ("iam:CreateRole", "iam:TagRole"), &plan)?;
        role::no_signin(request.max_signin_session_duration)?;
        let role = Role {
            trust: role::trust(service, &request.assume_role_policy_document).await?,
            description: request.description.as_deref().map(str::to_owned),
            max_session_seconds: request.max_session_duration.map_or(3600, |seconds| seconds.0),
        };
        let (role, region) = (lifecycle::make(service, call, &plan, Some(role))?, call.region());
        let boundary = plan.boundary.map(|arn| Boundary::arn(arn.to_owned()));
        let response = Response { role: views::Role::made(&role, boundary, region)? };
        let shown = views::Role::for_trail(&role, region);
        call.set_response(&query::trail_form(&Response { role: shown }))?;
        lifecycle::create(service, call, &plan, role).await?;
        Ok(response)
    }
}
