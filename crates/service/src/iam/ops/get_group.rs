//! Tells of a group and lists its users by unique id, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::{self, Kind};
use crate::iam::listing::Cursor;
use crate::iam::shapes::{GroupName, Marker, MaxItems};
use crate::iam::{load, views};
use crate::operation::Operation;
use crate::query::Members;
use crate::record;

/// The operation.
pub struct GetGroup;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
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
    group: views::Group,
    users: Members<views::User>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for GetGroup {
    const NAME: &'static str = "GetGroup";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let region = call.region();
        let named = (Kind::Group, &*request.group_name);
        let group = load::identity(service, call, "iam:GetGroup", named, IamAsks::default()).await?;
        let cursor = Cursor::read(service, call, &group.id, request.marker.as_ref(), request.max_items)?;
        let prefix = record::iam::members(&group.account, &group.id);
        let page = cursor.records(&prefix).await?;
        let mut users = Vec::new();
        for entry in &page.items {
            let id = record::rest(&entry.name, &prefix);
            let user = identity::by_id(&service.installation.cache, &group.account, id).await?;
            users.extend(user.map(|user| views::User::listed(&user, region)));
        }
        Ok(Response {
            group: views::Group::of(&group, region),
            users: users.into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
