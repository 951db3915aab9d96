//! Takes tags of a role away.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{RoleName, TagKeys};
use crate::operation::Operation;

/// The operation.
pub struct UntagRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// Keys of the tags.
        required tag_keys: TagKeys = "tagKeys",
    }
}

impl Operation for UntagRole {
    const NAME: &'static str = "UntagRole";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        holder::untag(service, call, "iam:UntagRole", (Kind::Role, &request.role_name), &request.tag_keys.0)
            .await
    }
}
