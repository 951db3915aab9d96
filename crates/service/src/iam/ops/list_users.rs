//! Lists the users of the account by name, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing;
use crate::iam::shapes::{Marker, MaxItems, PathPrefix};
use crate::iam::views;
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListUsers;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Only users whose paths begin so.
        optional path_prefix: PathPrefix = "pathPrefix",
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
    users: Members<views::User>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListUsers {
    const NAME: &'static str = "ListUsers";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (prefix, region) = (request.path_prefix.as_deref(), call.region());
        let from = (request.marker.as_ref(), request.max_items);
        let page = listing::identities(service, call, ("iam:ListUsers", "user"), prefix, from).await?;
        let users: Vec<_> = page.items.iter().map(|user| views::User::listed(user, region)).collect();
        Ok(Response { users: users.into(), is_truncated: page.marker.is_some(), marker: page.marker })
    }
}
