//! Lists the tags of an OpenID Connect provider by key, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::Cursor;
use crate::iam::provider;
use crate::iam::shapes::{ArnText, Marker, MaxItems};
use crate::iam::views::{self, TagView};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListOpenIdConnectProviderTags;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
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

impl Operation for ListOpenIdConnectProviderTags {
    const NAME: &'static str = "ListOpenIDConnectProviderTags";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let action = "iam:ListOpenIDConnectProviderTags";
        let found = provider::load(service, call, action, &request.arn, IamAsks::default()).await?;
        let cursor = Cursor::read(service, call, &found.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(found.tags.clone(), |(key, _)| key.clone());
        Ok(Response {
            tags: views::all_tags(&page.items),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
