//! Gives a user another name or path. Its unique id stays, and with it what it may do.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{EntityPath, ExistingUserName, UserName};
use crate::iam::{lifecycle, load};
use crate::operation::Operation;

/// The operation.
pub struct UpdateUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
        /// Its new path.
        optional new_path: EntityPath = "newPath",
        /// Its new name.
        optional new_user_name: UserName = "newUserName",
    }
}

impl Operation for UpdateUser {
    const NAME: &'static str = "UpdateUser";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::User, &*request.user_name);
        let user = load::identity(service, call, "iam:UpdateUser", named, IamAsks::default()).await?;
        let (name, path) = (request.new_user_name.as_deref(), request.new_path.as_deref());
        lifecycle::authorize_renamed(call, "iam:UpdateUser", &user, name, path)?;
        lifecycle::rename(service, call, &user, name, path).await
    }
}
