//! Takes a user's password away.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::UserName;
use crate::iam::{load, login};
use crate::operation::Operation;

/// The operation.
pub struct DeleteLoginProfile;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: UserName = "userName",
    }
}

impl Operation for DeleteLoginProfile {
    const NAME: &'static str = "DeleteLoginProfile";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:DeleteLoginProfile", named, IamAsks::default()).await?;
        let profile = login::load(service, &user).await?;
        login::delete(service, call, &user, &profile).await
    }
}
