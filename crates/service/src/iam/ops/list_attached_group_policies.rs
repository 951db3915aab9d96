//! Lists the managed policies attached to a group, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{GroupName, Marker, MaxItems, PolicyPath};
use crate::iam::views::AttachedPolicy;
use crate::iam::{holder, load};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListAttachedGroupPolicies;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its name.
        required group_name: GroupName = "groupName",
        /// Only policies whose paths begin so.
        optional path_prefix: PolicyPath = "pathPrefix",
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
    attached_policies: Members<AttachedPolicy>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListAttachedGroupPolicies {
    const NAME: &'static str = "ListAttachedGroupPolicies";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (named, region) = ((Kind::Group, &*request.group_name), call.region());
        let group =
            load::identity(service, call, "iam:ListAttachedGroupPolicies", named, IamAsks::default()).await?;
        let prefix = request.path_prefix.as_deref().unwrap_or("/");
        let attached = holder::attached(service, &group, prefix, region).await?;
        let filter = [&group.id, prefix].concat();
        let cursor = Cursor::read(service, call, &filter, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(attached, |policy| policy.policy_name.clone());
        Ok(Response {
            attached_policies: page.items.into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
