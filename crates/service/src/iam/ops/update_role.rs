//! Changes the description and the longest session of a role.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::{Kind, Role};
use crate::iam::shapes::{MaxSessionDuration, MaxSigninSessionDuration, RoleDescription, RoleName};
use crate::iam::{load, role};
use crate::operation::Operation;

/// The operation.
pub struct UpdateRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// What it is for.
        optional description: RoleDescription = "description",
        /// Longest session in seconds: 3600 when absent.
        optional max_session_duration: MaxSessionDuration = "maxSessionDuration",
        /// Longest console session: not served.
        optional max_signin_session_duration: MaxSigninSessionDuration = "maxSigninSessionDuration",
        /// Not served.
        optional reset_max_signin_session_duration: bool = "resetMaxSigninSessionDuration",
    }
}

/// What it answers: an empty result.
#[derive(Debug, Serialize)]
pub struct Response {}

impl Operation for UpdateRole {
    const NAME: &'static str = "UpdateRole";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let named = (Kind::Role, &*request.role_name);
        let role = load::identity(service, call, "iam:UpdateRole", named, IamAsks::default()).await?;
        role::no_signin(request.max_signin_session_duration)?;
        let description = request.description.as_deref().map(str::to_owned);
        let longest = request.max_session_duration.map(|seconds| seconds.0);
        let change = |only: &mut Role| {
            only.description = description.or_else(|| only.description.take());
            only.max_session_seconds = longest.unwrap_or(only.max_session_seconds);
        };
        role::update(service, call, &role, change).await?;
        Ok(Response {})
    }
}
