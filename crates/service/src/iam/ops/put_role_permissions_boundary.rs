//! Gives a role a permissions boundary, in place of the one it has.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ArnText, RoleName};
use crate::operation::Operation;

/// The operation.
pub struct PutRolePermissionsBoundary;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// ARN of the managed policy that bounds it.
        required permissions_boundary: ArnText = "permissionsBoundary",
    }
}

impl Operation for PutRolePermissionsBoundary {
    const NAME: &'static str = "PutRolePermissionsBoundary";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let arn = &request.permissions_boundary;
        let named = (Kind::Role, &*request.role_name);
        holder::put_boundary(service, call, "iam:PutRolePermissionsBoundary", named, arn).await
    }
}
