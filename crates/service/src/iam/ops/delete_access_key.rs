//! Deletes an access key of a user. Once this has answered, it signs nothing.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{AccessKeyId, ExistingUserName};
use crate::iam::{access_key, load};
use crate::operation::Operation;

/// The operation.
pub struct DeleteAccessKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: ExistingUserName = "userName",
        /// Which.
        required access_key_id: AccessKeyId = "accessKeyId",
    }
}

impl Operation for DeleteAccessKey {
    const NAME: &'static str = "DeleteAccessKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:DeleteAccessKey", named, IamAsks::default()).await?;
        access_key::delete(service, call, &user, &request.access_key_id).await
    }
}
