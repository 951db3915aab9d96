//! Lists the instance profiles that a role is in: none, as there are none here. Who deletes a role asks for them first.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::listing::Cursor;
use crate::iam::load;
use crate::iam::shapes::{Marker, MaxItems, RoleName};
use crate::operation::Operation;
use crate::query::{Members, Nothing};

/// The operation.
pub struct ListInstanceProfilesForRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required role_name: RoleName = "roleName",
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// Most entries of a page: 100 when absent.
        optional max_items: MaxItems = "maxItems",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    instance_profiles: Members<Nothing>,
    is_truncated: bool,
}

impl Operation for ListInstanceProfilesForRole {
    const NAME: &'static str = "ListInstanceProfilesForRole";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (action, named) = ("iam:ListInstanceProfilesForRole", (Kind::Role, &*request.role_name));
        let role = load::identity(service, call, action, named, IamAsks::default()).await?;
        Cursor::read(service, call, &role.id, request.marker.as_ref(), request.max_items)?;
        Ok(Response { instance_profiles: Members::default(), is_truncated: false })
    }
}
