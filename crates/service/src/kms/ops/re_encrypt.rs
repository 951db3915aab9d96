//! Opens a ciphertext and encrypts its content under another key, without showing it to anyone.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::dry_run;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::key::Material;
use crate::kms::load::{self, Source};
use crate::kms::shapes::{
    Blob, CiphertextBlob, DryRunModifiers, EncryptionAlgorithm, GrantTokens, KeyIdentifier, KeyUsage,
};
use crate::operation::Operation;
use crate::vault::{self, Sealed};

/// The operation.
pub struct ReEncrypt;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The ciphertext. May be absent only in a dry run that ignores it.
        optional ciphertext_blob: CiphertextBlob = "ciphertextBlob",
        /// Pairs that the ciphertext is bound to.
        optional source_encryption_context: EncryptionContext = "sourceEncryptionContext",
        /// The key that the ciphertext must be of.
        optional source_key_id: KeyIdentifier = "sourceKeyId",
        /// The key to encrypt under.
        required destination_key_id: KeyIdentifier = "destinationKeyId",
        /// Pairs that the new ciphertext is bound to.
        optional destination_encryption_context: EncryptionContext = "destinationEncryptionContext",
        /// How the ciphertext was encrypted; `SYMMETRIC_DEFAULT` when absent.
        optional source_encryption_algorithm: EncryptionAlgorithm = "sourceEncryptionAlgorithm",
        /// How to encrypt; `SYMMETRIC_DEFAULT` when absent.
        optional destination_encryption_algorithm: EncryptionAlgorithm = "destinationEncryptionAlgorithm",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
        /// What the dry run leaves out.
        optional dry_run_modifiers: DryRunModifiers = "dryRunModifiers",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    ciphertext_blob: Blob,
    source_key_id: Arc<str>,
    key_id: Arc<str>,
    source_encryption_algorithm: &'static str,
    destination_encryption_algorithm: &'static str,
    /// Of a symmetric key.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_material_id: Option<String>,
    /// Of a symmetric key.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_key_material_id: Option<String>,
}

/// What the trail shows: the materials of symmetric keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Materials<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_material_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_key_material_id: Option<&'a str>,
}

impl Operation for ReEncrypt {
    const NAME: &'static str = "ReEncrypt";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let from = *request.source_encryption_algorithm.get_or_insert(EncryptionAlgorithm::SymmetricDefault);
        let to =
            *request.destination_encryption_algorithm.get_or_insert(EncryptionAlgorithm::SymmetricDefault);
        let blob = request.ciphertext_blob.as_ref().map(|blob| blob.0.as_slice());
        let mut source = Source {
            action: "kms:ReEncryptFrom",
            named: request.source_key_id.as_ref(),
            blob: dry_run::ciphertext(blob, request.dry_run, request.dry_run_modifiers.as_ref())?,
            context: request.source_encryption_context.as_ref(),
            algorithm: from,
            reencrypt_on_same_key: None,
            attested: None,
        };
        let found = source.find(service, call).await?;
        let named = &request.destination_key_id;
        let destination = load::key(service, call, "kms:ReEncryptTo", named, Forms::KeyOrAlias).await;
        let same = destination.as_ref().is_ok_and(|destination| {
            (&found.key.account, found.key.id()) == (&destination.key.account, destination.key.id())
        });
        source.reencrypt_on_same_key = Some(same);
        let opened = source.authorize(service, call, found).await?;
        // Only now: whether there is such a key would tell who may not use the source something about either.
        let destination = destination?;
        let asks = Asks {
            encryption_context: request.destination_encryption_context.as_ref(),
            encryption_algorithm: Some(to),
            reencrypt_on_same_key: Some(same),
            ..destination.asks()
        };
        let key = call.authorize(service, "kms:ReEncryptTo", destination.key.clone(), asks).await?;
        tokens.are_of(&[&opened.key, &key])?;
        let old = opened.key.usable_for("ReEncryptFrom", KeyUsage::EncryptDecrypt)?.with_algorithm(from)?;
        let new = key.usable_for("ReEncryptTo", KeyUsage::EncryptDecrypt)?.with_algorithm(to)?;
        let old_context = EncryptionContext::bound_by(from, source.context)?;
        let new_context = EncryptionContext::bound_by(to, request.destination_encryption_context.as_ref())?;
        let Some((blob, material)) = source.blob.zip(opened.material.and_then(|id| old.material(id))) else {
            call.not_dry_run(request.dry_run)?;
            return Err(Error::internal("a ciphertext was ignored outside a dry run"));
        };
        let sealed = Sealed { key: &old, material, algorithm: from, context: &old_context, blob };
        let blob = vault::reencrypt(&*service.vault, sealed, &new, to, &new_context).await?;
        call.not_dry_run(request.dry_run)?;
        let shown = |algorithm, material: &Material| {
            (algorithm == EncryptionAlgorithm::SymmetricDefault).then(|| material.id.to_hex())
        };
        let source_key_material_id = shown(from, material);
        let destination_key_material_id = shown(to, new.current()?);
        if source_key_material_id.is_some() || destination_key_material_id.is_some() {
            call.set_additional(&Materials {
                source_key_material_id: source_key_material_id.as_deref(),
                destination_key_material_id: destination_key_material_id.as_deref(),
            })?;
        }
        Ok(Response {
            ciphertext_blob: Blob(blob),
            source_key_id: old.arn.clone(),
            key_id: new.arn.clone(),
            source_encryption_algorithm: from.as_str(),
            destination_encryption_algorithm: to.as_str(),
            source_key_material_id,
            destination_key_material_id,
        })
    }
}
