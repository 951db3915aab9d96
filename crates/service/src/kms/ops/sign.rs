//! Signs a message or its digest with a private key.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::shapes::{
    Blob, GrantTokens, KeyIdentifier, KeyUsage, MessageType, Plaintext, SigningAlgorithm,
};
use crate::kms::{load, message};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct Sign;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// What to sign.
        required message: Plaintext = "message",
        /// What the message is; `RAW` when absent.
        optional message_type: MessageType = "messageType",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// How.
        required signing_algorithm: SigningAlgorithm = "signingAlgorithm",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    signature: Blob,
    signing_algorithm: &'static str,
}

impl Operation for Sign {
    const NAME: &'static str = "Sign";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let message_type = *request.message_type.get_or_insert(MessageType::Raw);
        let algorithm = request.signing_algorithm;
        let found = load::key(service, call, "kms:Sign", &request.key_id, Forms::KeyOrAlias).await?;
        let asks =
            Asks { signing_algorithm: Some(algorithm), message_type: Some(message_type), ..found.asks() };
        let key = call.authorize(service, "kms:Sign", found.key.clone(), asks).await?;
        tokens.are_of(&[&key])?;
        let key = key.usable_for("Sign", KeyUsage::SignVerify)?.with_algorithm(algorithm)?;
        let kind = message::check(key.spec, algorithm, message_type, &request.message.0)?;
        call.not_dry_run(request.dry_run)?;
        let signature = vault::sign(&*service.vault, &key, algorithm, kind, &request.message.0).await?;
        Ok(Response {
            key_id: key.arn.clone(),
            signature: Blob(signature),
            signing_algorithm: algorithm.as_str(),
        })
    }
}
