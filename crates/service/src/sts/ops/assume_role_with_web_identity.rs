//! Gives temporary credentials for a session of a role to someone whom an identity provider vouches for, where the role's
//! trust policy allows it. Nobody signs this request: the token in it is who calls (`authn/web_identity.rs`).

use claviger_wire::shape;
use serde::Serialize;

use crate::authn;
use crate::authn::web_identity::WebIdentity;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity;
use crate::operation::{Authentication, Operation};
use crate::query;
use crate::record::iam::SessionRecord;
use crate::sts::credentials::{self, Credentials, Shown};
use crate::sts::role::{self, AssumedRoleUser};
use crate::sts::session::{self, Caps, SessionTagging};
use crate::sts::shapes::{
    ArnText, MinimumTokenSize, PolicyArns, ProviderId, RoleDuration, SessionName, ShortSessionPolicy,
    WebIdentityToken,
};

/// The operation.
pub struct AssumeRoleWithWebIdentity;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the role.
        required role_arn: ArnText = "roleArn",
        /// Name of the session.
        required role_session_name: SessionName = "roleSessionName",
        /// The provider's token.
        required web_identity_token: WebIdentityToken = "webIdentityToken",
        /// Provider of an OAuth 2.0 access token: not served.
        optional provider_id: ProviderId = "providerId",
        /// Managed policies that cap the session.
        optional policy_arns: PolicyArns = "policyArns",
        /// A policy that caps the session.
        optional policy: ShortSessionPolicy = "policy",
        /// How long it is good for: one hour when absent, at most what the role allows.
        optional duration_seconds: RoleDuration = "durationSeconds",
        /// Fewest bytes of the token.
        optional minimum_token_size: MinimumTokenSize = "minimumSessionTokenSize",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    credentials: Credentials,
    subject_from_web_identity_token: String,
    assumed_role_user: AssumedRoleUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<usize>,
    provider: String,
    audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements<'a> {
    subject_from_web_identity_token: &'a str,
    assumed_role_user: serde_json::Value,
    provider: &'a str,
    audience: &'a str,
    credentials: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
}

impl Operation for AssumeRoleWithWebIdentity {
    const NAME: &'static str = "AssumeRoleWithWebIdentity";
    const READ_ONLY: bool = true;
    const AUTHENTICATION: Authentication = Authentication::WebIdentity;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let caller = call.caller();
        let identity = caller.web_identity().ok_or_else(authn::unrecognized)?;
        let tagging = SessionTagging::of_claims(identity.claims())?;
        let source_identity = session::claimed_source_identity(identity.claims())?;
        let found = role::find(service, &request.role_arn).await?;
        let asks = IamAsks {
            resource_tags: found.as_ref().map(|role| role.tags.as_slice()),
            tags: (!tagging.tags.is_empty()).then_some(&*tagging.tags),
            session_name: Some(&request.role_session_name),
            source_identity: source_identity.as_deref(),
            transitive: Some(&*tagging.transitive).filter(|keys| !keys.is_empty()),
            ..IamAsks::default()
        };
        let role = call.authorize_web_identity(
            &actions(&tagging, source_identity.as_deref()),
            found.as_deref(),
            asks,
        )?;
        let seconds = role::duration(request.duration_seconds.map(|seconds| seconds.0), &role)?;
        let arns = request.policy_arns.as_ref().map_or(&[][..], |arns| &arns.0);
        let caps = Caps::read(service, &role.account, request.policy.as_deref(), arns).await?;
        let packed_policy_size = session::packed_percent(&caps, &tagging)?;
        let session = credentials::session(service, call, (&role.account, &role.id), seconds)?;
        let session = SessionRecord {
            name: Some(request.role_session_name.to_string()),
            policy: caps.policy,
            managed: caps.managed,
            tags: identity::tag_records(&tagging.tags),
            transitive: tagging.transitive,
            source_identity: source_identity.clone(),
            federation: Some(identity.federation().clone()),
            ..session
        };
        let credentials = credentials::issue(service, call, session).await?;
        let assumed_role_user = AssumedRoleUser::of(&role, &request.role_session_name, call.region());
        let response = answer(identity, credentials, assumed_role_user, packed_policy_size, source_identity);
        call.set_response(&response.shown())?;
        Ok(response)
    }
}

fn actions(tagging: &SessionTagging, source_identity: Option<&str>) -> Vec<&'static str> {
    let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
    if !tagging.tags.is_empty() {
        actions.push("sts:TagSession");
    }
    if source_identity.is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    actions
}

fn answer(
    identity: &WebIdentity,
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
    packed_policy_size: Option<usize>,
    source_identity: Option<String>,
) -> Response {
    Response {
        credentials,
        subject_from_web_identity_token: identity.subject().to_owned(),
        assumed_role_user,
        packed_policy_size,
        provider: identity.provider().url.clone(),
        audience: identity.audience().to_owned(),
        source_identity,
    }
}

impl Response {
    /// As the trail shows it.
    fn shown(&self) -> Elements<'_> {
        Elements {
            subject_from_web_identity_token: &self.subject_from_web_identity_token,
            assumed_role_user: query::trail_form(&self.assumed_role_user),
            provider: &self.provider,
            audience: &self.audience,
            credentials: self.credentials.shown(),
            source_identity: self.source_identity.as_deref(),
        }
    }
}
