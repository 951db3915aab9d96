//! Lists the managed policies of the account by name, a page at a time. There are none of AWS's own.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::{self, Cursor};
use crate::iam::managed::ManagedPolicy;
use crate::iam::shapes::{Marker, MaxItems, PolicyPath, PolicyScope, PolicyUsage};
use crate::iam::views;
use crate::operation::Operation;
use crate::query::Members;
use crate::record;

/// The operation.
pub struct ListPolicies;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose policies.
        optional scope: PolicyScope = "scope",
        /// Only those that are attached to something.
        optional only_attached: bool = "onlyAttached",
        /// Only those whose paths begin so.
        optional path_prefix: PolicyPath = "pathPrefix",
        /// Only those that are used so.
        optional usage: PolicyUsage = "policyUsageFilter",
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
    policies: Members<views::Policy>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListPolicies {
    const NAME: &'static str = "ListPolicies";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (account, region) = (call.caller().account(), call.region());
        let prefix = request.path_prefix.as_deref().unwrap_or("/");
        call.authorize_iam(
            "iam:ListPolicies",
            &listing::resource(region, account, "policy", prefix),
            IamAsks::default(),
        )?;
        let cursor = Cursor::read(service, call, prefix, request.marker.as_ref(), request.max_items)?;
        let page = cursor.records(&record::iam::policies(account)).await?;
        let mut policies = Vec::new();
        for entry in page.items.iter().filter(|_| request.scope != Some(PolicyScope::Aws)) {
            let policy = ManagedPolicy::decode(entry)?;
            let used = match request.usage {
                Some(PolicyUsage::PermissionsBoundary) => policy.boundaries,
                Some(PolicyUsage::PermissionsPolicy) => policy.attachments,
                None => policy.attachments.max(policy.boundaries),
            };
            let wanted = used > 0 || (request.only_attached != Some(true) && request.usage.is_none());
            if wanted && policy.path.starts_with(prefix) {
                policies.push(views::Policy::listed(&policy, region));
            }
        }
        Ok(Response { policies: policies.into(), is_truncated: page.marker.is_some(), marker: page.marker })
    }
}
