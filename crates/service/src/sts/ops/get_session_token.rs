//! Gives a user or the root user temporary credentials of its own. They die with the access key that asked for them.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::authn::Principal;
use crate::authn::principal::ROOT;
use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::mfa;
use crate::operation::Operation;
use crate::record::iam::SessionRecord;
use crate::sts::credentials::{self, Credentials, Shown};
use crate::sts::shapes::{MinimumTokenSize, SerialNumber, TokenCode, UserDuration};

/// The operation.
pub struct GetSessionToken;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// How long it is good for: 12 hours when absent, one for the root user.
        optional duration_seconds: UserDuration = "durationSeconds",
        /// Serial number of a device.
        optional serial_number: SerialNumber = "serialNumber",
        /// What the device shows.
        optional token_code: TokenCode = "tokenCode",
        /// Fewest bytes of the token.
        optional minimum_token_size: MinimumTokenSize = "minimumSessionTokenSize",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    credentials: Credentials,
}

#[derive(Serialize)]
struct Elements {
    credentials: Shown,
}

/// Longest and usual session of the root user, in seconds.
const ROOT_SECONDS: u32 = 3600;
/// Usual session of a user, in seconds.
const USER_SECONDS: u32 = 43_200;

impl Operation for GetSessionToken {
    const NAME: &'static str = "GetSessionToken";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        // No permission is needed: the caller gets nothing that it does not have.
        call.needs_no_permission("sts:GetSessionToken")?;
        let caller = call.caller();
        if caller.standing().session.is_some() {
            let text = "Cannot call GetSessionToken with session credentials";
            return Err(Error::new(Code::AccessDenied, text));
        }
        let proof =
            mfa::prove(service, call, request.serial_number.as_deref(), request.token_code.as_ref()).await?;
        let asked = request.duration_seconds.map(|seconds| seconds.0);
        let (principal, seconds) = match (caller.principal(), &caller.standing().identity) {
            (Principal::User, Some(user)) => (user.id.as_str(), asked.unwrap_or(USER_SECONDS)),
            _ => (ROOT, asked.unwrap_or(ROOT_SECONDS).min(ROOT_SECONDS)),
        };
        let session = credentials::session(service, call, (caller.account(), principal), seconds)?;
        let session = SessionRecord {
            source_key: Some(caller.access_key_id().to_owned()),
            mfa_ms: proof.is_some().then_some(call.now().0),
            ..session
        };
        let credentials = credentials::issue(service, call, session).await?;
        call.set_response(&Elements { credentials: credentials.shown() })?;
        if let Some(proof) = proof {
            call.set_parameters(request)?;
            proof.commit(service, call).await?;
        }
        Ok(Response { credentials })
    }
}
