//! Verifies a signature. One that is not right is an error, never an answer.

use std::sync::Arc;

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::shapes::{
    CiphertextBlob, GrantTokens, KeyIdentifier, KeyUsage, MessageType, Plaintext, SigningAlgorithm,
};
use crate::kms::{load, message};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct Verify;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// What was signed.
        required message: Plaintext = "message",
        /// What the message is; `RAW` when absent.
        optional message_type: MessageType = "messageType",
        /// The signature.
        required signature: CiphertextBlob = "signature",
        /// How it was signed.
        required signing_algorithm: SigningAlgorithm = "signingAlgorithm",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    signature_valid: bool,
    signing_algorithm: &'static str,
}

impl Operation for Verify {
    const NAME: &'static str = "Verify";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let message_type = *request.message_type.get_or_insert(MessageType::Raw);
        let algorithm = request.signing_algorithm;
        let found = load::key(service, call, "kms:Verify", &request.key_id, Forms::KeyOrAlias).await?;
        let asks =
            Asks { signing_algorithm: Some(algorithm), message_type: Some(message_type), ..found.asks() };
        let key = call.authorize(service, "kms:Verify", found.key.clone(), asks).await?;
        tokens.are_of(&[&key])?;
        let key = key.usable_for("Verify", KeyUsage::SignVerify)?.with_algorithm(algorithm)?;
        let kind = message::check(key.spec, algorithm, message_type, &request.message.0)?;
        let (message, signature) = (&request.message.0, &request.signature.0);
        if !vault::verify(&*service.vault, &key, algorithm, kind, message, signature).await? {
            return Err(Error::bare(Code::KmsInvalidSignature));
        }
        call.not_dry_run(request.dry_run)?;
        Ok(Response { key_id: key.arn.clone(), signature_valid: true, signing_algorithm: algorithm.as_str() })
    }
}
