//! Makes a data key and encrypts it under a key; answers it in the clear as well.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::data_key::{self, Wanted};
use crate::kms::shapes::{
    Blob, DataKeySpec, Disclosed, GrantTokens, KeyIdentifier, NumberOfBytes, Recipient,
};
use crate::operation::Operation;

/// The operation.
pub struct GenerateDataKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Pairs that the encrypted data key is bound to.
        optional encryption_context: EncryptionContext = "encryptionContext",
        /// Length in bytes; or `key_spec`.
        optional number_of_bytes: NumberOfBytes = "numberOfBytes",
        /// Length by name; or `number_of_bytes`.
        optional key_spec: DataKeySpec = "keySpec",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// An attested recipient.
        optional recipient: Recipient = "recipient",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    ciphertext_blob: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Disclosed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    key_id: Arc<str>,
    /// Not with a recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for GenerateDataKey {
    const NAME: &'static str = "GenerateDataKey";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let wanted = Wanted {
            action: "kms:GenerateDataKey",
            operation: "GenerateDataKey",
            named: &request.key_id,
            context: request.encryption_context.as_ref(),
            number_of_bytes: request.number_of_bytes,
            key_spec: request.key_spec,
            grant_tokens: request.grant_tokens.as_ref(),
            dry_run: request.dry_run,
            disclose: true,
            recipient: request.recipient.as_ref(),
        };
        let made = data_key::make(service, call, &wanted).await?;
        let disclosure =
            made.disclosure.ok_or_else(|| Error::internal("the HSM did not disclose the data key"))?;
        let (plaintext, ciphertext_for_recipient) = disclosure.members();
        let key_material_id = plaintext.is_some().then(|| made.material.to_hex());
        Ok(Response {
            ciphertext_blob: Blob(made.blob),
            plaintext,
            ciphertext_for_recipient,
            key_id: made.key_arn,
            key_material_id,
        })
    }
}
