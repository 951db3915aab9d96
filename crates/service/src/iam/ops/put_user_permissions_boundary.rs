//! Gives a user a permissions boundary, in place of the one it has.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ArnText, UserName};
use crate::operation::Operation;

/// The operation.
pub struct PutUserPermissionsBoundary;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: UserName = "userName",
        /// ARN of the managed policy that bounds it.
        required permissions_boundary: ArnText = "permissionsBoundary",
    }
}

impl Operation for PutUserPermissionsBoundary {
    const NAME: &'static str = "PutUserPermissionsBoundary";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.permissions_boundary;
        let named = (Kind::User, &*request.user_name);
        holder::put_boundary(service, call, "iam:PutUserPermissionsBoundary", named, arn).await
    }
}
