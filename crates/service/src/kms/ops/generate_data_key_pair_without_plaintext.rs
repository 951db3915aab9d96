//! Makes a key pair and encrypts its private key under a key, without showing it.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::context::EncryptionContext;
use crate::kms::data_key_pair::{self, Wanted};
use crate::kms::shapes::{Blob, DataKeyPairSpec, GrantTokens, KeyIdentifier};
use crate::operation::Operation;

/// The operation.
pub struct GenerateDataKeyPairWithoutPlaintext;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Pairs that the encrypted private key is bound to.
        optional encryption_context: EncryptionContext = "encryptionContext",
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Kind of key pair.
        required key_pair_spec: DataKeyPairSpec = "keyPairSpec",
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
    private_key_ciphertext_blob: Blob,
    public_key: Blob,
    key_id: Arc<str>,
    key_pair_spec: &'static str,
    key_material_id: String,
}

impl Operation for GenerateDataKeyPairWithoutPlaintext {
    const NAME: &'static str = "GenerateDataKeyPairWithoutPlaintext";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let wanted = Wanted {
            action: "kms:GenerateDataKeyPairWithoutPlaintext",
            operation: "GenerateDataKeyPairWithoutPlaintext",
            named: &request.key_id,
            context: request.encryption_context.as_ref(),
            pair: request.key_pair_spec,
            grant_tokens: request.grant_tokens.as_ref(),
            dry_run: request.dry_run,
            disclose: false,
            recipient: None,
        };
        let made = data_key_pair::make(service, call, &wanted).await?;
        Ok(Response {
            private_key_ciphertext_blob: Blob(made.pair.blob),
            public_key: Blob(made.pair.public),
            key_id: made.key_arn,
            key_pair_spec: request.key_pair_spec.as_str(),
            key_material_id: made.material.to_hex(),
        })
    }
}
