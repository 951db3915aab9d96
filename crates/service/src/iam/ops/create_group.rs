//! Makes a group.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::lifecycle::{self, Plan};
use crate::iam::shapes::{EntityPath, GroupName};
use crate::iam::views;
use crate::operation::Operation;
use crate::query;

/// The operation.
pub struct CreateGroup;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its path: `/` when absent.
        optional path: EntityPath = "path",
        /// Its name.
        required group_name: GroupName = "groupName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    group: views::Group,
}

impl Operation for CreateGroup {
    const NAME: &'static str = "CreateGroup";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let plan = Plan {
            kind: Kind::Group,
            name: &request.group_name,
            path: request.path.as_deref(),
            tags: &[],
            boundary: None,
        };
        lifecycle::authorize(call, ("iam:CreateGroup", "iam:CreateGroup"), &plan)?;
        let group = lifecycle::make(service, call, &plan, None)?;
        let response = Response { group: views::Group::of(&group, call.region()) };
        call.set_response(&query::trail_form(&response))?;
        lifecycle::create(service, call, &plan, group).await?;
        Ok(response)
    }
}
