//! Gives temporary credentials for someone whom a user vouches for by name. They allow what the user's policies and those
//! that the request brings both allow, and die with the access key that asked for them.

use claviger_wire::arn;
use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::authn::Principal;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity;
use crate::operation::Operation;
use crate::query;
use crate::record::iam::SessionRecord;
use crate::sts::credentials::{self, Credentials, Shown};
use crate::sts::session::{self, Caps, SessionTagging};
use crate::sts::shapes::{
    FederatedName, MinimumTokenSize, PolicyArns, SessionTags, ShortSessionPolicy, UserDuration,
};

/// The operation.
pub struct GetFederationToken;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Name of the one who is vouched for.
        required name: FederatedName = "name",
        /// A policy that caps the session. Without any it allows nothing of itself.
        optional policy: ShortSessionPolicy = "policy",
        /// Managed policies that cap the session.
        optional policy_arns: PolicyArns = "policyArns",
        /// How long it is good for: 12 hours when absent.
        optional duration_seconds: UserDuration = "durationSeconds",
        /// Tags of the session.
        optional tags: SessionTags = "tags",
        /// Fewest bytes of the token.
        optional minimum_token_size: MinimumTokenSize = "minimumSessionTokenSize",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    credentials: Credentials,
    federated_user: FederatedUser,
    packed_policy_size: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FederatedUser {
    federated_user_id: String,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements {
    credentials: Shown,
    federated_user: serde_json::Value,
    packed_policy_size: usize,
}

/// Usual session in seconds.
const SECONDS: u32 = 43_200;

impl Operation for GetFederationToken {
    const NAME: &'static str = "GetFederationToken";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tagging = SessionTagging::read(request.tags.as_ref().map(|tags| &*tags.0), None, None)?;
        let caller = call.caller();
        let (account, name) = (caller.account(), &*request.name);
        let arn = format!("arn:{}:sts::{account}:federated-user/{name}", arn::partition(call.region()));
        let asks =
            IamAsks { tags: (!tagging.tags.is_empty()).then_some(&*tagging.tags), ..IamAsks::default() };
        call.authorize_iam("sts:GetFederationToken", &arn, asks)?;
        if !tagging.tags.is_empty() {
            call.authorize_iam("sts:TagSession", &arn, asks)?;
        }
        if caller.standing().session.is_some() {
            let text = "Cannot call GetFederationToken with session credentials";
            return Err(Error::new(Code::AccessDenied, text));
        }
        let user = caller.standing().identity.as_ref().filter(|_| caller.principal() == Principal::User);
        let Some(user) = user else {
            let text = "GetFederationToken of the root user is not served by this version of Claviger.";
            return Err(Error::new(Code::UnsupportedOperation, text));
        };
        let arns = request.policy_arns.as_ref().map_or(&[][..], |arns| &arns.0);
        let caps = Caps::read(service, account, request.policy.as_deref(), arns).await?;
        let packed_policy_size = session::packed_percent(&caps, &tagging)?.unwrap_or_default();
        let seconds = request.duration_seconds.map_or(SECONDS, |seconds| seconds.0);
        let session = SessionRecord {
            source_key: Some(caller.access_key_id().to_owned()),
            policy: caps.policy,
            managed: caps.managed,
            tags: identity::tag_records(&tagging.tags),
            federated_user: Some(name.to_owned()),
            ..credentials::session(service, call, (account, &user.id), seconds)?
        };
        let federated_user = FederatedUser { federated_user_id: format!("{account}:{name}"), arn };
        let credentials = credentials::issue(service, call, session).await?;
        call.set_response(&Elements {
            credentials: credentials.shown(),
            federated_user: query::trail_form(&federated_user),
            packed_policy_size,
        })?;
        Ok(Response { credentials, federated_user, packed_policy_size })
    }
}
