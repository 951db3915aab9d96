//! Makes a managed policy, which can then be attached, or bound to.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::credential;
use crate::decided::Fingerprint;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::lifecycle::ID_LEN;
use crate::iam::managed::{ManagedPolicy, Version};
use crate::iam::shapes::{PolicyDescription, PolicyDocument, PolicyName, PolicyPath, Tags};
use crate::iam::{identity, tags, versions, views};
use crate::operation::Operation;
use crate::query;

/// The operation.
pub struct CreatePolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Name of the policy.
        required policy_name: PolicyName = "policyName",
        /// Its path: `/` when absent.
        optional path: PolicyPath = "path",
        /// The policy.
        required policy_document: PolicyDocument = "policyDocument",
        /// What it is for.
        optional description: PolicyDescription = "description",
        /// Its tags.
        optional tags: Tags = "tags",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    policy: views::Policy,
}

impl Operation for CreatePolicy {
    const NAME: &'static str = "CreatePolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tags = tags::checked(request.tags.as_ref().map(|tags| &*tags.0))?;
        let (account, region) = (call.caller().account(), call.region());
        let path = request.path.as_deref().unwrap_or("/");
        let arn = identity::arn(region, account, "policy", path, &request.policy_name);
        let asks = IamAsks { tags: (!tags.is_empty()).then_some(&*tags), ..IamAsks::default() };
        call.authorize_iam("iam:CreatePolicy", &arn, asks)?;
        if !tags.is_empty() {
            call.authorize_iam("iam:TagPolicy", &arn, asks)?;
        }
        let document = versions::parse(&request.policy_document)?;
        let policy = ManagedPolicy {
            account: account.into(),
            name: request.policy_name.to_string(),
            path: path.to_owned(),
            id: credential::random_id(&*service.entropy, "ANPA", ID_LEN)?,
            created: call.now(),
            updated: call.now(),
            description: request.description.as_deref().map(str::to_owned),
            tags,
            versions: vec![Version {
                number: 1,
                text: request.policy_document.to_string(),
                created: call.now(),
            }],
            default: 1,
            next: 2,
            attachments: 0,
            boundaries: 0,
            document,
            fingerprint: Fingerprint::of(&request.policy_document),
            revision: 0,
        };
        let response = Response { policy: views::Policy::made(&policy, region) };
        call.set_response(&query::trail_form(&response))?;
        versions::create(service, call, &policy).await?;
        Ok(response)
    }
}
