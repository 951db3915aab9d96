//! Lists a key's tags, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::load;
use crate::kms::marker::{self, Scope};
use crate::kms::shapes::{KeyIdentifier, Limit, Marker};
use crate::operation::Operation;

/// The operation.
pub struct ListResourceTags;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Most tags of a page: 50 when absent, at most 50.
        optional limit: Limit = "limit",
        /// Where the list goes on.
        optional marker: Marker = "marker",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

impl Operation for ListResourceTags {
    const NAME: &'static str = "ListResourceTags";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let key =
            load::managed(service, call, "kms:ListResourceTags", &request.key_id, Asks::default()).await?;
        let (principal, region) = (call.caller().arn(), call.region());
        let scope = Scope { operation: "ListResourceTags", principal, region, filter: key.id() };
        let markers = &service.installation.markers;
        let after = markers.read(scope, request.marker.as_ref())?;
        let mut all = key.tags.clone();
        all.sort();
        all.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
        let size = marker::page_size(request.limit, 50, 50);
        let truncated = all.len() > size;
        all.truncate(size);
        let next_marker = all.last().filter(|_| truncated).map(|(name, _)| markers.make(scope, name));
        let tags = all.into_iter().map(|(tag_key, tag_value)| Tag { tag_key, tag_value }).collect();
        Ok(Response { tags, next_marker, truncated })
    }
}
