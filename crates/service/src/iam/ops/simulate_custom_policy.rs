//! Tells how given policies would decide.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{
    ActionNames, ContextEntries, Marker, MaxItems, OrganizationPolicies, Policies, PolicyDocument,
    ResourceArns, ResourceHandlingOption, ResourceName,
};
use crate::iam::simulate::{self, Evaluation, Questions, Subject};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct SimulateCustomPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The policies.
        required policies: Policies = "policyInputList",
        /// A permissions boundary.
        optional boundaries: Policies = "permissionsBoundaryPolicyInputList",
        /// Policies of an organization: not served.
        optional organization_policies: OrganizationPolicies = "orderedOrganizationPolicyInputList",
        /// Which actions.
        required action_names: ActionNames = "actionNames",
        /// Which resources: `*` when absent.
        optional resource_arns: ResourceArns = "resourceArns",
        /// A policy of the resource: not served.
        optional resource_policy: PolicyDocument = "resourcePolicy",
        /// Whose the resource is: not served.
        optional resource_owner: ResourceName = "resourceOwner",
        /// Who asks: not served.
        optional caller_arn: ResourceName = "callerArn",
        /// Condition keys.
        optional context_entries: ContextEntries = "contextEntries",
        /// Of EC2 only.
        optional resource_handling_option: ResourceHandlingOption = "resourceHandlingOption",
        /// Most entries of a page: 100 when absent.
        optional max_items: MaxItems = "maxItems",
        /// Where the list goes on.
        optional marker: Marker = "marker",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    evaluation_results: Members<Evaluation>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for SimulateCustomPolicy {
    const NAME: &'static str = "SimulateCustomPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        call.authorize_iam("iam:SimulateCustomPolicy", "*", IamAsks::default())?;
        simulate::only_identities(&[(
            "OrderedOrganizationPolicyInputList",
            request.organization_policies.is_some(),
        )])?;
        simulate::only_identities(&[
            ("ResourcePolicy", request.resource_policy.is_some()),
            ("ResourceOwner", request.resource_owner.is_some()),
            ("CallerArn", request.caller_arn.is_some()),
        ])?;
        let boundaries = request.boundaries.as_ref().map_or(&[][..], |policies| &policies.0);
        let subject = Subject::nobody(call.caller().account()).with(&request.policies.0, boundaries)?;
        let questions = Questions::of(&request.action_names, request.resource_arns.as_ref());
        let entries = request.context_entries.as_ref().map_or(&[][..], |entries| &entries.0);
        let cursor = Cursor::read(service, call, "", request.marker.as_ref(), request.max_items)?;
        let page = cursor.numbers(questions.count());
        let evaluations = subject.evaluate(&questions, entries, page.items).await?;
        Ok(Response {
            evaluation_results: evaluations.into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
