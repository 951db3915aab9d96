//! Makes a shared secret and encapsulates it to a public key.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::shapes::{Blob, Disclosed, EncapsulationAlgorithm, GrantTokens, KeyIdentifier, KeyUsage};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct Encapsulate;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// How.
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
    shared_secret_ciphertext_blob: Blob,
    encapsulation_algorithm: &'static str,
}

impl Operation for Encapsulate {
    const NAME: &'static str = "Encapsulate";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let algorithm = request.encapsulation_algorithm;
        let found = load::key(service, call, "kms:Encapsulate", &request.key_id, Forms::KeyOrAlias).await?;
        let key = call.authorize(service, "kms:Encapsulate", found.key.clone(), found.asks()).await?;
        tokens.are_of(&[&key])?;
        let usage = KeyUsage::EncapsulateDecapsulate;
        let key = key.usable_for("Encapsulate", usage)?.with_algorithm(algorithm)?;
        call.not_dry_run(request.dry_run)?;
        let made = vault::encapsulate(&*service.vault, &key).await?;
        Ok(Response {
            key_id: key.arn.clone(),
            shared_secret: Disclosed(made.secret),
            shared_secret_ciphertext_blob: Blob(made.ciphertext),
            encapsulation_algorithm: algorithm.as_str(),
        })
    }
}
