//! Switches an access key of a user on or off. Once this has answered, a key that is off signs nothing.

use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Error;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{AccessKeyId, ExistingUserName, Status};
use crate::iam::{access_key, load};
use crate::operation::Operation;

/// The operation.
pub struct UpdateAccessKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: ExistingUserName = "userName",
        /// Which.
        required access_key_id: AccessKeyId = "accessKeyId",
        /// Whether it may be used.
        required status: Status = "status",
    }
}

impl Operation for UpdateAccessKey {
    const NAME: &'static str = "UpdateAccessKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:UpdateAccessKey", named, IamAsks::default()).await?;
        let inactive = match request.status {
            Status::Active => false,
            Status::Inactive => true,
            Status::Expired => return Err(Error::new(Code::InvalidInput, "A key cannot be made to expire.")),
        };
        access_key::switch(service, call, &user, &request.access_key_id, inactive).await
    }
}
