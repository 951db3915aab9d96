//! Takes tags of a user away.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::holder;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, TagKeys};
use crate::operation::Operation;

/// The operation.
pub struct UntagUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
        /// Keys of the tags.
        required tag_keys: TagKeys = "tagKeys",
    }
}

impl Operation for UntagUser {
    const NAME: &'static str = "UntagUser";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        holder::untag(service, call, "iam:UntagUser", (Kind::User, &request.user_name), &request.tag_keys.0)
            .await
    }
}
