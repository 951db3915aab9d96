//! Shows the public key of an asymmetric key. It stands in the key's record, so the HSM is not asked.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{Blob, GrantTokens, KeyIdentifier, KeyState};
use crate::kms::spec::Listed;
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
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let found = load::key(service, call, "kms:GetPublicKey", &request.key_id, Forms::KeyOrAlias).await?;
        let key = call.authorize(service, "kms:GetPublicKey", found.key.clone(), found.asks()).await?;
        tokens.are_of(&[&key])?;
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

/// The public key. A key whose imported material is gone still shows it; before the first import there is none.
fn public(key: &Key) -> Result<&[u8]> {
    if key.public.is_none() && key.state == KeyState::PendingImport {
        return Err(key.invalid_state());
    }
    key.allows("GetPublicKey")?;
    let public = key.public.as_deref();
    public.ok_or_else(|| Error::internal(format!("key {} has no public key", key.id())))
}
