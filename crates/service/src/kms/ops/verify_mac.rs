//! Verifies a message authentication code. One that is not right is an error, never an answer.

use std::sync::Arc;

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::shapes::{CiphertextBlob, GrantTokens, KeyIdentifier, KeyUsage, MacAlgorithm, Plaintext};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct VerifyMac;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// What was authenticated.
        required message: Plaintext = "message",
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// How it was authenticated.
        required mac_algorithm: MacAlgorithm = "macAlgorithm",
        /// The message authentication code.
        required mac: CiphertextBlob = "mac",
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
    mac_valid: bool,
    mac_algorithm: &'static str,
}

impl Operation for VerifyMac {
    const NAME: &'static str = "VerifyMac";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let algorithm = request.mac_algorithm;
        let found = load::key(service, call, "kms:VerifyMac", &request.key_id, Forms::KeyOrAlias).await?;
        let asks = Asks { mac_algorithm: Some(algorithm), ..found.asks() };
        let key = call.authorize(service, "kms:VerifyMac", found.key.clone(), asks).await?;
        tokens.are_of(&[&key])?;
        let key = key.usable_for("VerifyMac", KeyUsage::GenerateVerifyMac)?.with_algorithm(algorithm)?;
        let (message, mac) = (&request.message.0, &request.mac.0);
        if !vault::verify_mac(&*service.vault, &key, algorithm, message, mac).await? {
            return Err(Error::bare(Code::KmsInvalidMac));
        }
        call.not_dry_run(request.dry_run)?;
        Ok(Response { key_id: key.arn.clone(), mac_valid: true, mac_algorithm: algorithm.as_str() })
    }
}
