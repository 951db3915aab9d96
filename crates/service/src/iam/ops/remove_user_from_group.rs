//! Removes a user from a group.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, GroupName};
use crate::iam::{load, membership};
use crate::operation::Operation;

/// The operation.
pub struct RemoveUserFromGroup;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
        /// Name of the user.
        required user_name: ExistingUserName = "userName",
    }
}

impl Operation for RemoveUserFromGroup {
    const NAME: &'static str = "RemoveUserFromGroup";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::Group, &*request.group_name);
        let group =
            load::identity(service, call, "iam:RemoveUserFromGroup", named, IamAsks::default()).await?;
        let user = load::find(service, call, Kind::User, &request.user_name).await?;
        let user = user.ok_or_else(|| load::no_such(Kind::User, &request.user_name))?;
        membership::remove(service, call, &group, &user).await
    }
}
