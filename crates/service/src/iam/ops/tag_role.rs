//! Adds tags to a role, replacing those of the same key.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{RoleName, Tags};
use crate::operation::Operation;

/// The operation.
pub struct TagRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// The tags.
        required tags: Tags = "tags",
    }
}

impl Operation for TagRole {
    const NAME: &'static str = "TagRole";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        holder::tag(service, call, "iam:TagRole", (Kind::Role, &request.role_name), &request.tags.0).await
    }
}
