//! Takes the permissions boundary of a user away.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::UserName;
use crate::operation::Operation;

/// The operation.
pub struct DeleteUserPermissionsBoundary;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: UserName = "userName",
    }
}

impl Operation for DeleteUserPermissionsBoundary {
    const NAME: &'static str = "DeleteUserPermissionsBoundary";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::User, &*request.user_name);
        holder::delete_boundary(service, call, "iam:DeleteUserPermissionsBoundary", named).await
    }
}
