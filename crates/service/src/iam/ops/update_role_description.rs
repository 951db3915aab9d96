//! Changes the description of a role.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::{Kind, Role};
use crate::iam::shapes::{RoleDescription, RoleName};
use crate::iam::views::{self, Boundary};
use crate::iam::{load, role};
use crate::operation::Operation;

/// The operation.
pub struct UpdateRoleDescription;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// What it is for.
        required description: RoleDescription = "description",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    role: views::Role,
}

impl Operation for UpdateRoleDescription {
    const NAME: &'static str = "UpdateRoleDescription";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let named = (Kind::Role, &*request.role_name);
        let role =
            load::identity(service, call, "iam:UpdateRoleDescription", named, IamAsks::default()).await?;
        let description = request.description.to_string();
        let change = |only: &mut Role| only.description = Some(description);
        let (role, region) = (role::update(service, call, &role, change).await?, call.region());
        let boundary = Boundary::of(&service.installation.cache, &role, region).await?;
        Ok(Response { role: views::Role::whole(&role, boundary, region)? })
    }
}
