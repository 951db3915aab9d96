//! Deletes a user on which nothing hangs any more. Its unique id is never given again.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::ExistingUserName;
use crate::iam::{lifecycle, load};
use crate::operation::Operation;

/// The operation.
pub struct DeleteUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
    }
}

impl Operation for DeleteUser {
    const NAME: &'static str = "DeleteUser";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let user = load::identity(
            service,
            call,
            "iam:DeleteUser",
            (Kind::User, &request.user_name),
            IamAsks::default(),
        )
        .await?;
        lifecycle::delete(service, call, &user).await
    }
}
