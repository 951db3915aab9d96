//! Tells of a user's password: that there is one, and since when.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::load;
use crate::iam::login::{self, ProfileView};
use crate::iam::shapes::UserName;
use crate::operation::Operation;

/// The operation.
pub struct GetLoginProfile;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: UserName = "userName",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    login_profile: ProfileView,
}

impl Operation for GetLoginProfile {
    const NAME: &'static str = "GetLoginProfile";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:GetLoginProfile", named, IamAsks::default()).await?;
        let profile = login::load(service, &user).await?;
        Ok(Response { login_profile: ProfileView::of(&user, &profile.record) })
    }
}
