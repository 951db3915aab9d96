//! What GenerateDataKeyPair and its sibling have in common.

use std::sync::Arc;

use claviger_hsm_proto::MaterialId;
use claviger_wire::arn;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::shapes::{
    DataKeyPairSpec, EncryptionAlgorithm, GrantTokens, KeyIdentifier, KeySpec, KeyUsage, Recipient,
};
use crate::kms::{load, recipient, spec};
use crate::vault::{self, DataKeyPair};

/// A data key pair that a request asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) action: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) named: &'a KeyIdentifier,
    pub(crate) context: Option<&'a EncryptionContext>,
    pub(crate) pair: DataKeyPairSpec,
    pub(crate) grant_tokens: Option<&'a GrantTokens>,
    pub(crate) dry_run: Option<bool>,
    pub(crate) disclose: bool,
    pub(crate) recipient: Option<&'a Recipient>,
}

/// The data key pair that was made.
pub(crate) struct Made {
    pub(crate) pair: DataKeyPair,
    pub(crate) key_arn: Arc<str>,
    pub(crate) material: MaterialId,
}

/// Decides, and makes the data key pair.
pub(crate) async fn make(service: &Service, call: &mut Call<'_>, wanted: &Wanted<'_>) -> Result<Made> {
    let tokens = token::presented(service, wanted.grant_tokens)?;
    // Before the key is looked for: what is wrong with it tells nobody whether there is such a key.
    let attested = recipient::attested(service, call, wanted.recipient)?;
    let found = load::key(service, call, wanted.action, wanted.named, Forms::KeyOrAlias).await?;
    let asks = Asks {
        encryption_context: wanted.context,
        attested: attested.as_ref(),
        encryption_algorithm: Some(EncryptionAlgorithm::SymmetricDefault),
        data_key_pair_spec: Some(wanted.pair),
        ..found.asks()
    };
    let key = call.authorize(service, wanted.action, found.key.clone(), asks).await?;
    tokens.are_of(&[&key])?;
    let key = key.usable_for(wanted.operation, KeyUsage::EncryptDecrypt)?.for_data_keys()?;
    spec::offered("KeyPairSpec", key_spec(wanted.pair)?, arn::partition(call.region()))?;
    call.not_dry_run(wanted.dry_run)?;
    let context = EncryptionContext::encode(wanted.context);
    let (vault, attested) = (&*service.vault, attested.as_ref());
    let pair = vault::data_key_pair(vault, &key, &context, wanted.pair, wanted.disclose, attested).await?;
    let material = key.current()?.id;
    call.set_used(Some(material), attested)?;
    Ok(Made { pair, key_arn: key.arn.clone(), material })
}

/// The key spec of the same name.
fn key_spec(pair: DataKeyPairSpec) -> Result<KeySpec> {
    let name = pair.as_str();
    KeySpec::from_str_exact(name).ok_or_else(|| Error::internal(format!("{name} is no key spec")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_of_a_key_spec_with_a_public_key() {
        for pair in DataKeyPairSpec::ALL {
            assert!(spec::is_asymmetric(key_spec(*pair).unwrap()), "{}", pair.as_str());
        }
    }
}
