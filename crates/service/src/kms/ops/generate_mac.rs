//! Computes the message authentication code of a message.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::shapes::{Blob, GrantTokens, KeyIdentifier, KeyUsage, MacAlgorithm, Plaintext};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct GenerateMac;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// What to authenticate.
        required message: Plaintext = "message",
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// How.
        required mac_algorithm: MacAlgorithm = "macAlgorithm",
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
    mac: Blob,
    mac_algorithm: &'static str,
    key_id: Arc<str>,
}

impl Operation for GenerateMac {
    const NAME: &'static str = "GenerateMac";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let algorithm = request.mac_algorithm;
        let found = load::key(service, call, "kms:GenerateMac", &request.key_id, Forms::KeyOrAlias).await?;
        let asks = Asks { mac_algorithm: Some(algorithm), ..found.asks() };
        let key = call.authorize(service, "kms:GenerateMac", found.key.clone(), asks).await?;
        tokens.are_of(&[&key])?;
        let key = key.usable_for("GenerateMac", KeyUsage::GenerateVerifyMac)?.with_algorithm(algorithm)?;
        call.not_dry_run(request.dry_run)?;
        let mac = vault::generate_mac(&*service.vault, &key, algorithm, &request.message.0).await?;
        Ok(Response { mac: Blob(mac), mac_algorithm: algorithm.as_str(), key_id: key.arn.clone() })
    }
}
