//! Shows the public key of an asymmetric key. It stands in the key's record, so the HSM is not asked.

use std::sync::Arc;

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::identifier::Forms;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{Blob, GrantTokens, KeyIdentifier, KeyState};
use crate::kms::spec::{self, Listed};
use crate::operation::Operation;

/// The operation.
pub struct GetPublicKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    public_key: Blob,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    key_usage: &'static str,
    #[serde(flatten)]
    algorithms: Listed,
}

impl Operation for GetPublicKey {
    const NAME: &'static str = "GetPublicKey";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        load::no_grant_tokens(request.grant_tokens.as_ref())?;
        let found = load::key(service, call, "kms:GetPublicKey", &request.key_id, Forms::KeyOrAlias).await?;
        let key = call.authorize("kms:GetPublicKey", found.key.clone(), found.asks())?;
        Ok(Response {
            key_id: key.arn.clone(),
            public_key: Blob(public(&key)?.to_vec()),
            customer_master_key_spec: key.spec.as_str(),
            key_spec: key.spec.as_str(),
            key_usage: key.usage.as_str(),
            algorithms: Listed::in_answers(key.spec, key.usage),
        })
    }
}

/// The public key. A key that was switched off still shows it, and so does one whose imported material is gone.
fn public(key: &Key) -> Result<&[u8]> {
    match (key.state, &key.public) {
        (KeyState::Enabled | KeyState::Disabled | KeyState::Updating, _) => {}
        (KeyState::PendingImport, Some(_)) => {}
        _ => return Err(key.invalid_state()),
    }
    match &key.public {
        Some(public) => Ok(public),
        None if spec::is_asymmetric(key.spec) => {
            Err(Error::internal(format!("key {} has no public key", key.id)))
        }
        None => Err(Error::bare(Code::UnsupportedOperation)),
    }
}
