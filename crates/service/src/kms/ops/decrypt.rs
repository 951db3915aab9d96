//! Opens a ciphertext. The ciphertext names its key, so a symmetric one needs no key id.

use std::sync::Arc;

use claviger_hsm_proto::MaterialId;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::grant::token;
use crate::kms::load::Source;
use crate::kms::shapes::{
    Blob, CiphertextBlob, Disclosed, DryRunModifiers, EncryptionAlgorithm, GrantTokens, KeyIdentifier,
    KeyUsage, Recipient,
};
use crate::kms::{dry_run, recipient};
use crate::operation::Operation;
use crate::vault::{self, Sealed};

/// The operation.
pub struct Decrypt;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The ciphertext. May be absent only in a dry run that ignores it.
        optional ciphertext_blob: CiphertextBlob = "ciphertextBlob",
        /// Pairs that the ciphertext is bound to.
        optional encryption_context: EncryptionContext = "encryptionContext",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// The key that the ciphertext must be of.
        optional key_id: KeyIdentifier = "keyId",
        /// How; `SYMMETRIC_DEFAULT` when absent.
        optional encryption_algorithm: EncryptionAlgorithm = "encryptionAlgorithm",
        /// An attested recipient.
        optional recipient: Recipient = "recipient",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
        /// What the dry run leaves out.
        optional dry_run_modifiers: DryRunModifiers = "dryRunModifiers",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Disclosed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    encryption_algorithm: &'static str,
    /// Of a symmetric key, without a recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for Decrypt {
    const NAME: &'static str = "Decrypt";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let attested = recipient::attested(service, call, request.recipient.as_ref())?;
        let attested = attested.as_ref();
        let algorithm = *request.encryption_algorithm.get_or_insert(EncryptionAlgorithm::SymmetricDefault);
        let blob = request.ciphertext_blob.as_ref().map(|blob| blob.0.as_slice());
        let named = request.key_id.clone();
        let source = Source {
            action: "kms:Decrypt",
            named: named.as_ref(),
            blob: dry_run::ciphertext(blob, request.dry_run, request.dry_run_modifiers.as_ref())?,
            context: request.encryption_context.as_ref(),
            algorithm,
            reencrypt_on_same_key: None,
            attested,
        };
        let found = source.find(service, call).await?;
        let opened = source.authorize(service, call, found).await?;
        tokens.are_of(&[&opened.key])?;
        let key = opened.key.usable_for("Decrypt", KeyUsage::EncryptDecrypt)?.with_algorithm(algorithm)?;
        let shown = opened.material.filter(|_| algorithm == EncryptionAlgorithm::SymmetricDefault);
        call.set_used(shown, attested)?;
        let blob = source.blob;
        let context = EncryptionContext::bound_by(algorithm, request.encryption_context.as_ref())?;
        // The trail shows the key that was used, whether it was named or not.
        request.key_id = Some(KeyIdentifier(key.arn.to_string()));
        let Some((blob, material)) = blob.zip(opened.material.and_then(|id| key.material(id))) else {
            call.not_dry_run(request.dry_run)?;
            return Err(Error::internal("a ciphertext was ignored outside a dry run"));
        };
        let sealed = Sealed { key: &key, material, algorithm, context: &context, blob };
        let disclosure = vault::decrypt(&*service.vault, sealed, attested).await?;
        call.not_dry_run(request.dry_run)?;
        let (plaintext, ciphertext_for_recipient) = disclosure.members();
        Ok(Response {
            key_id: key.arn.clone(),
            key_material_id: shown.filter(|_| plaintext.is_some()).map(MaterialId::to_hex),
            plaintext,
            ciphertext_for_recipient,
            encryption_algorithm: algorithm.as_str(),
        })
    }
}
