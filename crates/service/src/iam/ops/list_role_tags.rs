//! Lists the tags of a role by key, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{Marker, MaxItems, RoleName};
use crate::iam::views::TagView;
use crate::iam::{load, views};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListRoleTags;

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
    tags: Members<TagView>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListRoleTags {
    const NAME: &'static str = "ListRoleTags";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let named = (Kind::Role, &*request.role_name);
        let role = load::identity(service, call, "iam:ListRoleTags", named, IamAsks::default()).await?;
        let cursor = Cursor::read(service, call, &role.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(role.tags.clone(), |(key, _)| key.clone());
        Ok(Response {
            tags: views::all_tags(&page.items),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
