//! Gives a user another password, or asks it to change the one it has.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{MaxSigninSessionDuration, Password, UserName};
use crate::iam::{load, login, role};
use crate::operation::Operation;

/// The operation.
pub struct UpdateLoginProfile;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is.
        required user_name: UserName = "userName",
        /// The password.
        optional password: Password = "password",
        /// Whether it must be changed at the next sign-in.
        optional reset_required: bool = "passwordResetRequired",
        /// Longest console session: not served.
        optional max_signin_session_duration: MaxSigninSessionDuration = "maxSigninSessionDuration",
        /// Whether there is to be no such limit; there is none.
        optional no_max_signin_session_duration: bool = "resetMaxSigninSessionDuration",
    }
}

impl Operation for UpdateLoginProfile {
    const NAME: &'static str = "UpdateLoginProfile";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::User, &*request.user_name);
        let user = load::identity(service, call, "iam:UpdateLoginProfile", named, IamAsks::default()).await?;
        role::no_signin(request.max_signin_session_duration)?;
        let profile = login::load(service, &user).await?;
        let password = match &request.password {
            Some(password) => Some(login::fit(service, &user.account, password).await?),
            None => None,
        };
        login::update(service, call, &user, &profile, (password, request.reset_required)).await
    }
}
