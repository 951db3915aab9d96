//! Lists the groups of a user by name, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::{self, Kind};
use crate::iam::listing::Cursor;
use crate::iam::shapes::{ExistingUserName, Marker, MaxItems};
use crate::iam::{load, views};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListGroupsForUser;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required user_name: ExistingUserName = "userName",
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
    groups: Members<views::Group>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListGroupsForUser {
    const NAME: &'static str = "ListGroupsForUser";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let region = call.region();
        let named = (Kind::User, &*request.user_name);
        let user = load::identity(service, call, "iam:ListGroupsForUser", named, IamAsks::default()).await?;
        let mut groups = Vec::new();
        for id in &user.groups {
            groups.extend(identity::by_id(&service.installation.cache, &user.account, id).await?);
        }
        let cursor = Cursor::read(service, call, &user.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(groups, |group| group.key());
        Ok(Response {
            groups: page.items.iter().map(|group| views::Group::of(group, region)).collect::<Vec<_>>().into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
