//! Deletes a group on which nothing hangs any more. Its unique id is never given again.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::GroupName;
use crate::iam::{lifecycle, load};
use crate::operation::Operation;

/// The operation.
pub struct DeleteGroup;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
    }
}

impl Operation for DeleteGroup {
    const NAME: &'static str = "DeleteGroup";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let group = load::identity(
            service,
            call,
            "iam:DeleteGroup",
            (Kind::Group, &request.group_name),
            IamAsks::default(),
        )
        .await?;
        if lifecycle::has_members(service, &group).await? {
            return Err(lifecycle::conflict("must remove users from group first."));
        }
        lifecycle::delete(service, call, &group).await
    }
}
