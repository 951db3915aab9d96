//! Tells of a role.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::load;
use crate::iam::shapes::RoleName;
use crate::iam::views::{self, Boundary};
use crate::operation::Operation;

/// The operation.
pub struct GetRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    role: views::Role,
}

impl Operation for GetRole {
    const NAME: &'static str = "GetRole";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let region = call.region();
        let named = (Kind::Role, &*request.role_name);
        let role = load::identity(service, call, "iam:GetRole", named, IamAsks::default()).await?;
        let boundary = Boundary::of(&service.installation.cache, &role, region).await?;
        let installation = &service.installation;
        let last = installation.last_used.of(&*installation.store, &role.id).await?;
        Ok(Response { role: views::Role::whole(&role, boundary, region)?.used(last) })
    }
}
