//! Agrees on a secret with the owner of a public key on the same curve.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::shapes::{
    Blob, Disclosed, GrantTokens, KeyAgreementAlgorithm, KeyIdentifier, KeyUsage, PublicKey, Recipient,
};
use crate::kms::{load, recipient};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct DeriveSharedSecret;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// How.
        required key_agreement_algorithm: KeyAgreementAlgorithm = "keyAgreementAlgorithm",
        /// The other's public key.
        required public_key: PublicKey = "publicKey",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
        /// An attested recipient.
        optional recipient: Recipient = "recipient",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_secret: Option<Disclosed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    key_agreement_algorithm: &'static str,
    key_origin: &'static str,
}

impl Operation for DeriveSharedSecret {
    const NAME: &'static str = "DeriveSharedSecret";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let algorithm = request.key_agreement_algorithm;
        // Before the key is looked for: what is wrong with it tells nobody whether there is such a key.
        let attested = recipient::attested(service, call, request.recipient.as_ref())?;
        let found =
            load::key(service, call, "kms:DeriveSharedSecret", &request.key_id, Forms::KeyOrAlias).await?;
        let attested = attested.as_ref();
        let asks = Asks { key_agreement_algorithm: Some(algorithm), attested, ..found.asks() };
        let key = call.authorize(service, "kms:DeriveSharedSecret", found.key.clone(), asks).await?;
        tokens.are_of(&[&key])?;
        let key = key.usable_for("DeriveSharedSecret", KeyUsage::KeyAgreement)?.with_algorithm(algorithm)?;
        let peer = &request.public_key.0;
        let disclosure = vault::derive_shared_secret(&*service.vault, &key, peer, attested).await?;
        call.not_dry_run(request.dry_run)?;
        call.set_used(None, attested)?;
        let (shared_secret, ciphertext_for_recipient) = disclosure.members();
        Ok(Response {
            key_id: key.arn.clone(),
            shared_secret,
            ciphertext_for_recipient,
            key_agreement_algorithm: algorithm.as_str(),
            key_origin: key.origin.as_str(),
        })
    }
}
