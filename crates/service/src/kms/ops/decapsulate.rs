//! Opens an encapsulated secret. One that was altered opens to another secret, not to an error (FIPS 203, implicit
//! rejection).

use std::sync::Arc;

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::shapes::{
    CiphertextBlob, Disclosed, EncapsulationAlgorithm, GrantTokens, KeyIdentifier, KeyUsage,
};
use crate::kms::{load, spec};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct Decapsulate;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// The encapsulated secret.
        required shared_secret_ciphertext_blob: CiphertextBlob = "sharedSecretCiphertextBlob",
        /// How it was encapsulated.
        required encapsulation_algorithm: EncapsulationAlgorithm = "encapsulationAlgorithm",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    shared_secret: Disclosed,
    encapsulation_algorithm: &'static str,
}

impl Operation for Decapsulate {
    const NAME: &'static str = "Decapsulate";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let algorithm = request.encapsulation_algorithm;
        let found = load::key(service, call, "kms:Decapsulate", &request.key_id, Forms::KeyOrAlias).await?;
        let key = call.authorize(service, "kms:Decapsulate", found.key.clone(), found.asks()).await?;
        tokens.are_of(&[&key])?;
        let usage = KeyUsage::EncapsulateDecapsulate;
        let key = key.usable_for("Decapsulate", usage)?.with_algorithm(algorithm)?;
        let ciphertext = &request.shared_secret_ciphertext_blob.0;
        if spec::encapsulated_len(key.spec) != Some(ciphertext.len()) {
            return Err(Error::bare(Code::InvalidCiphertext));
        }
        call.not_dry_run(request.dry_run)?;
        let secret = vault::decapsulate(&*service.vault, &key, ciphertext).await?;
        Ok(Response {
            key_id: key.arn.clone(),
            shared_secret: Disclosed(secret),
            encapsulation_algorithm: algorithm.as_str(),
        })
    }
}
