//! Adds tags to a user, replacing those of the same key.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, Tags};
use crate::operation::Operation;

/// The operation.
pub struct TagUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
        /// The tags.
        required tags: Tags = "tags",
    }
}

impl Operation for TagUser {
    const NAME: &'static str = "TagUser";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        holder::tag(service, call, "iam:TagUser", (Kind::User, &request.user_name), &request.tags.0).await
    }
}
