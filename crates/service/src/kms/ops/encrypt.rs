//! Encrypts up to 4,096 bytes under a key.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::context::EncryptionContext;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::shapes::{Blob, EncryptionAlgorithm, GrantTokens, KeyIdentifier, KeyUsage, Plaintext};
use crate::kms::spec;
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct Encrypt;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// What to encrypt.
        required plaintext: Plaintext = "plaintext",
        /// Pairs that the ciphertext is bound to.
        optional encryption_context: EncryptionContext = "encryptionContext",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// How; `SYMMETRIC_DEFAULT` when absent.
        optional encryption_algorithm: EncryptionAlgorithm = "encryptionAlgorithm",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    ciphertext_blob: Blob,
    key_id: Arc<str>,
    encryption_algorithm: &'static str,
}

impl Operation for Encrypt {
    const NAME: &'static str = "Encrypt";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let algorithm = *request.encryption_algorithm.get_or_insert(EncryptionAlgorithm::SymmetricDefault);
        let found = load::key(service, call, "kms:Encrypt", &request.key_id, Forms::KeyOrAlias).await?;
        let asks = Asks {
            encryption_context: request.encryption_context.as_ref(),
            encryption_algorithm: Some(algorithm),
            ..found.asks()
        };
        let key = call.authorize(service, "kms:Encrypt", found.key.clone(), asks).await?;
        tokens.are_of(&[&key])?;
        let key = key.usable_for("Encrypt", KeyUsage::EncryptDecrypt)?.with_algorithm(algorithm)?;
        let context = EncryptionContext::bound_by(algorithm, request.encryption_context.as_ref())?;
        spec::fits(key.spec, algorithm, request.plaintext.0.len())?;
        call.not_dry_run(request.dry_run)?;
        let plaintext = &request.plaintext.0;
        let blob = vault::encrypt(&*service.vault, &key, algorithm, &context, plaintext).await?;
        if algorithm == EncryptionAlgorithm::SymmetricDefault {
            call.set_material(key.current()?.id)?;
        }
        Ok(Response {
            ciphertext_blob: Blob(blob),
            key_id: key.arn.clone(),
            encryption_algorithm: algorithm.as_str(),
        })
    }
}
