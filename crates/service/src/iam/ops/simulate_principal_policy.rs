//! Tells how the policies of a user, group or role would decide, with others beside them.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::Cursor;
use crate::iam::load;
use crate::iam::shapes::{
    ActionNames, ArnText, ContextEntries, ExcludedPolicies, Marker, MaxItems, Policies, PolicyDocument,
    ResourceArns, ResourceHandlingOption, ResourceName,
};
use crate::iam::simulate::{self, Evaluation, Questions, Subject};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct SimulatePrincipalPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the user, group or role.
        required source_arn: ArnText = "policySourceArn",
        /// Further policies.
        optional policies: Policies = "policyInputList",
        /// A permissions boundary.
        optional boundaries: Policies = "permissionsBoundaryPolicyInputList",
        /// Policies to leave out: not served.
        optional excluded: ExcludedPolicies = "policyExclusionList",
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

impl Operation for SimulatePrincipalPolicy {
    const NAME: &'static str = "SimulatePrincipalPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (kind, name) = simulate::source(call, &request.source_arn)?;
        let action = "iam:SimulatePrincipalPolicy";
        let identity = load::identity(service, call, action, (kind, &name), IamAsks::default()).await?;
        simulate::only_identities(&[("PolicyExclusionList", request.excluded.is_some())])?;
        simulate::only_identities(&[
            ("ResourcePolicy", request.resource_policy.is_some()),
            ("ResourceOwner", request.resource_owner.is_some()),
            ("CallerArn", request.caller_arn.is_some()),
        ])?;
        let boundaries = request.boundaries.as_ref().map_or(&[][..], |policies| &policies.0);
        let more = request.policies.as_ref().map_or(&[][..], |policies| &policies.0);
        let subject = Subject::of(service, call, &identity).await?.with(more, boundaries)?;
        let questions = Questions::of(&request.action_names, request.resource_arns.as_ref());
        let entries = request.context_entries.as_ref().map_or(&[][..], |entries| &entries.0);
        let cursor = Cursor::read(service, call, &identity.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.numbers(questions.count());
        let evaluations = subject.evaluate(&questions, entries, page.items).await?;
        Ok(Response {
            evaluation_results: evaluations.into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
