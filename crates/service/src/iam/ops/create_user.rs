//! Makes a user. It may do nothing until a policy allows it.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::lifecycle::{self, Plan};
use crate::iam::shapes::{ArnText, EntityPath, Tags, UserName};
use crate::iam::tags;
use crate::iam::views::{self, Boundary};
use crate::operation::Operation;
use crate::query;

/// The operation.
pub struct CreateUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its path: `/` when absent.
        optional path: EntityPath = "path",
        /// Its name.
        required user_name: UserName = "userName",
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
    user: views::User,
}

impl Operation for CreateUser {
    const NAME: &'static str = "CreateUser";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tags = tags::checked(request.tags.as_ref().map(|tags| &*tags.0))?;
        let plan = Plan {
            kind: Kind::User,
            name: &request.user_name,
            path: request.path.as_deref(),
            tags: &tags,
            boundary: request.permissions_boundary.as_deref(),
        };
        lifecycle::authorize(call, ("iam:CreateUser", "iam:TagUser"), &plan)?;
        let user = lifecycle::make(service, call, &plan, None)?;
        let boundary = || plan.boundary.map(|arn| Boundary::arn(arn.to_owned()));
        let region = call.region();
        let response = Response { user: views::User::whole(&user, boundary(), region) };
        call.set_response(&query::trail_form(&response))?;
        lifecycle::create(service, call, &plan, user).await?;
        Ok(response)
    }
}
