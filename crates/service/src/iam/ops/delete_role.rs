//! Deletes a role on which nothing hangs any more. Its unique id is never given again.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::RoleName;
use crate::iam::{lifecycle, load};
use crate::operation::Operation;

/// The operation.
pub struct DeleteRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
    }
}

impl Operation for DeleteRole {
    const NAME: &'static str = "DeleteRole";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let role = load::identity(
            service,
            call,
            "iam:DeleteRole",
            (Kind::Role, &request.role_name),
            IamAsks::default(),
        )
        .await?;
        lifecycle::delete(service, call, &role).await
    }
}
