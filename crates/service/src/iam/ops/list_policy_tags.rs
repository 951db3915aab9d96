//! Lists the tags of a managed policy by key, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{ArnText, Marker, MaxItems};
use crate::iam::views::TagView;
use crate::iam::{load, views};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListPolicyTags;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
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

impl Operation for ListPolicyTags {
    const NAME: &'static str = "ListPolicyTags";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let arn = &request.policy_arn;
        let policy = load::policy(service, call, "iam:ListPolicyTags", arn, IamAsks::default()).await?;
        let cursor = Cursor::read(service, call, &policy.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(policy.tags.clone(), |(key, _)| key.clone());
        Ok(Response {
            tags: views::all_tags(&page.items),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
