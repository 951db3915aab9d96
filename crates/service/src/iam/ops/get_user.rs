//! Tells of a user, or of the caller.

use claviger_wire::shape;
use serde::Serialize;

use crate::authn::Principal;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::load;
use crate::iam::shapes::ExistingUserName;
use crate::iam::views::{self, Boundary};
use crate::operation::Operation;

/// The operation.
pub struct GetUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name; the caller when absent.
        optional user_name: ExistingUserName = "userName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    user: views::User,
}

impl Operation for GetUser {
    const NAME: &'static str = "GetUser";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let region = call.region();
        let caller = call.caller();
        if request.user_name.is_none() && caller.principal() == Principal::Root {
            call.authorize_iam("iam:GetUser", caller.arn(), IamAsks::default())?;
            let created = service.installation.created.iso();
            return Ok(Response { user: views::User::root(caller.account(), caller.arn(), created) });
        }
        let name = load::user_name(call, request.user_name.as_deref())?;
        let user =
            load::identity(service, call, "iam:GetUser", (Kind::User, &name), IamAsks::default()).await?;
        let boundary = Boundary::of(&service.installation.cache, &user, region).await?;
        Ok(Response { user: views::User::whole(&user, boundary, region) })
    }
}
