//! Gives temporary credentials for a session of a role, where the role's trust policy and the caller's own policies allow
//! it.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::authn::principal::SessionFacts;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity};
use crate::iam::mfa;
use crate::operation::Operation;
use crate::record::iam::SessionRecord;
use crate::sts::credentials::{self, Credentials, Shown};
use crate::sts::role::{self, AssumedRoleUser, HOUR};
use crate::sts::session::{self, Caps, SessionTagging};
use crate::sts::shapes::{
    ArnText, ExternalId, MinimumTokenSize, PolicyArns, ProvidedContexts, RoleDuration, SerialNumber,
    SessionName, SessionPolicy, SessionTags, SourceIdentity, TokenCode, TransitiveTagKeys,
};

/// The operation.
pub struct AssumeRole;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the role.
        required role_arn: ArnText = "roleArn",
        /// Name of the session.
        required role_session_name: SessionName = "roleSessionName",
        /// Managed policies that cap the session.
        optional policy_arns: PolicyArns = "policyArns",
        /// A policy that caps the session.
        optional policy: SessionPolicy = "policy",
        /// How long it is good for: one hour when absent, at most what the role allows.
        optional duration_seconds: RoleDuration = "durationSeconds",
        /// Tags of the session.
        optional tags: SessionTags = "tags",
        /// Keys of those tags that go on to sessions of this session.
        optional transitive_tag_keys: TransitiveTagKeys = "transitiveTagKeys",
        /// What the role's owner and the caller have agreed on.
        optional external_id: ExternalId = "externalId",
        /// Serial number of a device.
        optional serial_number: SerialNumber = "serialNumber",
        /// What the device shows.
        optional token_code: TokenCode = "tokenCode",
        /// Who stands behind the session.
        optional source_identity: SourceIdentity = "sourceIdentity",
        /// Contexts that other providers assert: not served.
        optional provided_contexts: ProvidedContexts = "providedContexts",
        /// Fewest bytes of the token.
        optional minimum_token_size: MinimumTokenSize = "minimumSessionTokenSize",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements {
    credentials: Shown,
    assumed_role_user: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
}

impl Operation for AssumeRole {
    const NAME: &'static str = "AssumeRole";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tagging = SessionTagging::read(
            request.tags.as_ref().map(|tags| &*tags.0),
            request.transitive_tag_keys.as_ref().map(|keys| &*keys.0),
            call.caller().standing().session.as_ref(),
        )?;
        let role = role::find(service, &request.role_arn).await?;
        // A code is part of who the caller is: trust policies may ask for one.
        let proof =
            mfa::prove(service, call, request.serial_number.as_deref(), request.token_code.as_ref()).await?;
        let source_identity = authorize(call, request, role.as_deref(), &tagging, proof.is_some())?;
        let role = role.ok_or_else(|| Error::internal("a role that is not there was allowed"))?;
        if request.provided_contexts.is_some() {
            let text = "ProvidedContexts is not served by this version of Claviger.";
            return Err(Error::new(Code::UnsupportedOperation, text));
        }
        let seconds = duration(call, request, &role)?;
        let arns = request.policy_arns.as_ref().map_or(&[][..], |arns| &arns.0);
        let caps = Caps::read(service, &role.account, request.policy.as_deref(), arns).await?;
        let packed_policy_size = session::packed_percent(&caps, &tagging)?;
        let session = credentials::session(service, call, (&role.account, &role.id), seconds)?;
        let name = request.role_session_name.to_string();
        let user = AssumedRoleUser::of(&role, &name, call.region());
        let session = SessionRecord {
            name: Some(name),
            policy: caps.policy,
            managed: caps.managed,
            tags: identity::tag_records(&tagging.tags),
            transitive: tagging.transitive,
            source_identity: source_identity.clone(),
            mfa_ms: proof.is_some().then_some(call.now().0),
            ..session
        };
        let credentials = credentials::issue(service, call, session).await?;
        call.set_response(&Elements {
            credentials: credentials.shown(),
            assumed_role_user: crate::query::trail_form(&user),
            source_identity: source_identity.clone(),
        })?;
        if let Some(proof) = proof {
            call.set_parameters(request)?;
            proof.commit(service, call).await?;
        }
        Ok(Response { credentials, assumed_role_user: user, packed_policy_size, source_identity })
    }
}

/// Decides; answers who stands behind the session, which no session of a session can change.
fn authorize(
    call: &mut Call<'_>,
    request: &Request,
    role: Option<&Identity>,
    tagging: &SessionTagging,
    mfa: bool,
) -> Result<Option<String>> {
    let given = request.source_identity.as_deref();
    let inherited =
        call.caller().standing().session.as_ref().and_then(|session| session.source_identity.as_deref());
    let mut actions = vec!["sts:AssumeRole"];
    if !tagging.tags.is_empty() {
        actions.push("sts:TagSession");
    }
    let source_identity = given.or(inherited);
    if source_identity.is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    let asks = IamAsks {
        resource_tags: role.map(|role| role.tags.as_slice()),
        tags: (!tagging.tags.is_empty()).then_some(&*tagging.tags),
        external_id: request.external_id.as_ref().map(|id| id.0.as_str()),
        session_name: Some(&request.role_session_name),
        source_identity,
        transitive: Some(&*tagging.transitive).filter(|keys| !keys.is_empty()),
        mfa,
        ..IamAsks::default()
    };
    call.authorize_assume(&actions, role, &request.role_arn, asks)?;
    match (given, inherited) {
        (Some(given), Some(inherited)) if given != inherited => {
            let text = "The source identity of a session cannot be changed.";
            Err(Error::new(Code::AccessDenied, text))
        }
        _ => Ok(source_identity.map(str::to_owned)),
    }
}

/// How long the session is good for, in seconds.
fn duration(call: &Call<'_>, request: &Request, role: &Identity) -> Result<u32> {
    let asked = request.duration_seconds.map(|seconds| seconds.0);
    let chained = |session: &SessionFacts| session.name.is_some();
    if call.caller().standing().session.as_ref().is_some_and(chained) && asked.is_some_and(|it| it > HOUR) {
        return Err(Error::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    role::duration(asked, role)
}
