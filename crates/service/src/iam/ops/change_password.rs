//! Changes the caller's own password.

use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::authn::Principal;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::login;
use crate::iam::shapes::Password;
use crate::operation::Operation;

/// The operation.
pub struct ChangePassword;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The one it has.
        required old: Password = "oldPassword",
        /// The one it is to have.
        required new: Password = "newPassword",
    }
}

impl Operation for ChangePassword {
    const NAME: &'static str = "ChangePassword";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let caller = call.caller();
        let user = caller.standing().identity.as_ref().filter(|_| caller.principal() == Principal::User);
        let asks = IamAsks { resource_tags: user.map(|user| &*user.tags), ..IamAsks::default() };
        call.authorize_iam("iam:ChangePassword", caller.arn(), asks)?;
        let no_user = || Error::new(Code::InvalidUserType, "Only IAM Users can change their own password");
        let user = user.ok_or_else(no_user)?;
        let profile = login::load(service, user).await?;
        // What AWS checks first is not documented. The policy costs little and tells nothing about the old password.
        let new = login::fit(service, &user.account, &request.new).await?;
        if !login::is_right(service, user, &profile, &request.old, call.now()).await? {
            return Err(Error::new(Code::AccessDenied, "The old password was incorrect."));
        }
        login::update(service, call, user, &profile, (Some(new), Some(false))).await
    }
}
