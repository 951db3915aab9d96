//! What GenerateDataKey and its siblings have in common.

use std::sync::Arc;

use claviger_hsm_proto::MaterialId;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::shapes::{
    DataKeySpec, EncryptionAlgorithm, GrantTokens, KeyIdentifier, KeyUsage, NumberOfBytes, Recipient,
};
use crate::kms::{load, recipient};
use crate::vault::{self, Disclosure};

/// A data key that a request asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) action: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) named: &'a KeyIdentifier,
    pub(crate) context: Option<&'a EncryptionContext>,
    pub(crate) number_of_bytes: Option<NumberOfBytes>,
    pub(crate) key_spec: Option<DataKeySpec>,
    pub(crate) grant_tokens: Option<&'a GrantTokens>,
    pub(crate) dry_run: Option<bool>,
    pub(crate) disclose: bool,
    pub(crate) recipient: Option<&'a Recipient>,
}

/// The data key that was made.
pub(crate) struct Made {
    pub(crate) blob: Vec<u8>,
    pub(crate) disclosure: Option<Disclosure>,
    pub(crate) key_arn: Arc<str>,
    pub(crate) material: MaterialId,
}

/// Decides, and makes the data key.
pub(crate) async fn make(service: &Service, call: &mut Call<'_>, wanted: &Wanted<'_>) -> Result<Made> {
    let length = match (wanted.key_spec, wanted.number_of_bytes) {
        (Some(DataKeySpec::Aes256), None) => 32,
        (Some(DataKeySpec::Aes128), None) => 16,
        (None, Some(bytes)) => bytes.0,
        _ => return Err(Error::validation("Please specify either number of bytes or key spec.")),
    };
    let tokens = token::presented(service, wanted.grant_tokens)?;
    // Before the key is looked for: what is wrong with it tells nobody whether there is such a key.
    let attested = recipient::attested(service, call, wanted.recipient)?;
    let found = load::key(service, call, wanted.action, wanted.named, Forms::KeyOrAlias).await?;
    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    let asks = Asks {
        encryption_context: wanted.context,
        encryption_algorithm: Some(algorithm),
        attested: attested.as_ref(),
        ..found.asks()
    };
    let key = call.authorize(service, wanted.action, found.key.clone(), asks).await?;
    tokens.are_of(&[&key])?;
    let key = key.usable_for(wanted.operation, KeyUsage::EncryptDecrypt)?.for_data_keys()?;
    call.not_dry_run(wanted.dry_run)?;
    let context = EncryptionContext::encode(wanted.context);
    let attested = attested.as_ref();
    let made = vault::data_key(&*service.vault, &key, &context, length, wanted.disclose, attested).await?;
    let material = key.current()?.id;
    call.set_used(Some(material), attested)?;
    Ok(Made { blob: made.blob, disclosure: made.disclosure, key_arn: key.arn.clone(), material })
}
