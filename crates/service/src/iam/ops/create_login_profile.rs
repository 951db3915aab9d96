//! Gives a user a password for the console.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::Kind;
use crate::iam::login::{self, ProfileView};
use crate::iam::shapes::{MaxSigninSessionDuration, Password, UserName};
use crate::iam::{load, role};
use crate::operation::Operation;

/// The operation.
pub struct CreateLoginProfile;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: UserName = "userName",
        /// The password.
        optional password: Password = "password",
        /// Whether it must be changed at the next sign-in.
        optional reset_required: bool = "passwordResetRequired",
        /// Longest console session: not served.
        optional max_signin_session_duration: MaxSigninSessionDuration = "maxSigninSessionDuration",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    login_profile: ProfileView,
}

impl Operation for CreateLoginProfile {
    const NAME: &'static str = "CreateLoginProfile";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:CreateLoginProfile", named, IamAsks::default()).await?;
        role::no_signin(request.max_signin_session_duration)?;
        let missing = "1 validation error detected: Value null at 'password' failed to satisfy constraint: Member must \
                       not be null";
        let password = request.password.as_ref().ok_or_else(|| Error::validation(missing))?;
        let reset_required = request.reset_required == Some(true);
        let made = login::create(service, call, &user, (password, reset_required)).await?;
        Ok(Response { login_profile: ProfileView::of(&user, &made) })
    }
}
