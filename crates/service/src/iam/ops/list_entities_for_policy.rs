//! Lists what a managed policy is attached to or bounds, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::{self, Identity, Kind};
use crate::iam::listing::Cursor;
use crate::iam::shapes::{ArnText, EntityFilter, EntityPath, Marker, MaxItems, PolicyUsage};
use crate::iam::{holder, load};
use crate::operation::Operation;
use crate::query::Members;
use crate::record;

/// The operation.
pub struct ListEntitiesForPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the managed policy.
        required policy_arn: ArnText = "policyArn",
        /// Only entities of this kind.
        optional filter: EntityFilter = "entityFilter",
        /// Only entities whose paths begin so.
        optional path_prefix: EntityPath = "pathPrefix",
        /// Only those that it is used by so.
        optional usage: PolicyUsage = "policyUsageFilter",
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// Most entries of a page: 100 when absent.
        optional max_items: MaxItems = "maxItems",
    }
}

/// What it answers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy_groups: Members<PolicyGroup>,
    policy_users: Members<PolicyUser>,
    policy_roles: Members<PolicyRole>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyUser {
    user_name: String,
    user_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyGroup {
    group_name: String,
    group_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyRole {
    role_name: String,
    role_id: String,
}

fn wanted(request: &Request, entity: &Identity) -> bool {
    let kind = match request.filter {
        None => true,
        Some(EntityFilter::User) => entity.kind == Kind::User,
        Some(EntityFilter::Group) => entity.kind == Kind::Group,
        Some(EntityFilter::Role) => entity.kind == Kind::Role,
        // Policies are attached to no policy.
        Some(EntityFilter::LocalManagedPolicy | EntityFilter::AwsManagedPolicy) => false,
    };
    kind && entity.path.starts_with(request.path_prefix.as_deref().unwrap_or("/"))
}

impl Operation for ListEntitiesForPolicy {
    const NAME: &'static str = "ListEntitiesForPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let arn = &request.policy_arn;
        let policy =
            load::policy(service, call, "iam:ListEntitiesForPolicy", arn, IamAsks::default()).await?;
        let usage = request.usage.map(|usage| match usage {
            PolicyUsage::PermissionsPolicy => holder::PERMISSIONS,
            PolicyUsage::PermissionsBoundary => holder::BOUNDARY,
        });
        let prefix = record::iam::users_of(&policy.account, &policy.key(), usage.unwrap_or_default());
        let filter = format!("{} {}", policy.id, usage.unwrap_or_default());
        let cursor = Cursor::read(service, call, &filter, request.marker.as_ref(), request.max_items)?;
        let page = cursor.records(&prefix).await?;
        let mut response =
            Response { is_truncated: page.marker.is_some(), marker: page.marker, ..Response::default() };
        let (mut users, mut groups, mut roles) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &page.items {
            let id = record::rest(&entry.name, &prefix).rsplit('/').next().unwrap_or_default();
            let entity = identity::by_id(&service.installation.cache, &policy.account, id).await?;
            let Some(entity) = entity.filter(|it| wanted(request, it)) else { continue };
            let (name, id) = (entity.name.clone(), entity.id.clone());
            match entity.kind {
                Kind::User => users.push(PolicyUser { user_name: name, user_id: id }),
                Kind::Group => groups.push(PolicyGroup { group_name: name, group_id: id }),
                Kind::Role => roles.push(PolicyRole { role_name: name, role_id: id }),
            }
        }
        response.policy_users = users.into();
        response.policy_groups = groups.into();
        response.policy_roles = roles.into();
        Ok(response)
    }
}
