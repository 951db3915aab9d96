//! Lists the versions of a managed policy, newest first, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{ArnText, Marker, MaxItems};
use crate::iam::{load, views};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListPolicyVersions;

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
    versions: Members<views::PolicyVersion>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListPolicyVersions {
    const NAME: &'static str = "ListPolicyVersions";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let arn = &request.policy_arn;
        let policy = load::policy(service, call, "iam:ListPolicyVersions", arn, IamAsks::default()).await?;
        let cursor = Cursor::read(service, call, &policy.id, request.marker.as_ref(), request.max_items)?;
        // Newest first: by how far the number is from the largest there can be.
        let page =
            cursor.page(policy.versions.clone(), |version| format!("{:010}", u32::MAX - version.number));
        let versions = page.items.iter().map(|version| views::PolicyVersion::listed(&policy, version));
        Ok(Response {
            versions: versions.collect::<Vec<_>>().into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
