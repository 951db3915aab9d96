//! Gives a group another name or path. Its unique id stays, and with it what it may do.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{EntityPath, GroupName};
use crate::iam::{lifecycle, load};
use crate::operation::Operation;

/// The operation.
pub struct UpdateGroup;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
        /// Its new path.
        optional new_path: EntityPath = "newPath",
        /// Its new name.
        optional new_group_name: GroupName = "newGroupName",
    }
}

impl Operation for UpdateGroup {
    const NAME: &'static str = "UpdateGroup";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::Group, &*request.group_name);
        let group = load::identity(service, call, "iam:UpdateGroup", named, IamAsks::default()).await?;
        let (name, path) = (request.new_group_name.as_deref(), request.new_path.as_deref());
        lifecycle::authorize_renamed(call, "iam:UpdateGroup", &group, name, path)?;
        lifecycle::rename(service, call, &group, name, path).await
    }
}
