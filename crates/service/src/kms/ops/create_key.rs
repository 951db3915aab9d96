//! Makes a key.

use claviger_hsm_proto::Binding;
use claviger_wire::fault::Code;
use claviger_wire::{arn, shape};
use serde::Serialize;
use std::sync::Arc;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::{Key, Material, Regions, key_arn};
use crate::kms::key_count;
use crate::kms::key_policy::{self, KeyPolicy};
use crate::kms::metadata::{KeyMetadata, TrailMetadata};
use crate::kms::shapes::{
    CustomKeyStoreId, CustomerMasterKeySpec, Description, KeySpec, KeyState, KeyUsage, MultiRegionKeyType,
    Origin, PolicyText, Tags, XksKeyId,
};
use crate::kms::{spec, tags};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct CreateKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key policy; the default policy when absent.
        optional policy: PolicyText = "policy",
        /// What the key's owner says of it.
        optional description: Description = "description",
        /// What the key is for.
        optional key_usage: KeyUsage = "keyUsage",
        /// Older name of `key_spec`.
        optional customer_master_key_spec: CustomerMasterKeySpec = "customerMasterKeySpec",
        /// Kind of material.
        optional key_spec: KeySpec = "keySpec",
        /// Where the material comes from.
        optional origin: Origin = "origin",
        /// Custom key store.
        optional custom_key_store_id: CustomKeyStoreId = "customKeyStoreId",
        /// Whether the policy may lock its author out.
        optional bypass_policy_lockout_safety_check: bool = "bypassPolicyLockoutSafetyCheck",
        /// Tags.
        optional tags: Tags = "tags",
        /// Whether the key may have replicas.
        optional multi_region: bool = "multiRegion",
        /// Key of an external key manager.
        optional xks_key_id: XksKeyId = "xksKeyId",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_metadata: KeyMetadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements {
    key_metadata: TrailMetadata,
}

impl Operation for CreateKey {
    const NAME: &'static str = "CreateKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (spec, usage) = kind(request, call.region())?;
        let new_tags = request.tags.as_ref().map_or(&[][..], |tags| &tags.0);
        let asks = Asks {
            bypass_lockout_check: request.bypass_policy_lockout_safety_check,
            tags: request.tags.as_ref().map(|tags| &*tags.0),
            new_key: Some((spec, usage, request.origin.unwrap_or(Origin::AwsKms))),
            new_key_type: (request.multi_region == Some(true)).then_some(MultiRegionKeyType::Primary),
            ..Asks::default()
        };
        call.authorize_account("kms:CreateKey", asks)?;
        let id = new_id(service, request.multi_region)?;
        if !new_tags.is_empty() {
            call.authorize_tags_of_new(&key_arn(call.caller().account(), call.region(), &id), asks)?;
        }
        tags::check(new_tags)?;
        let policy = policy(service, call, request, &id, asks).await?;
        key_count::check(service, call.caller().account(), call.region()).await?;
        let key = make(service, call, Plan { id, spec, usage, policy, request }).await?;
        call.touch(&key.account, &key.arn);
        call.set_response(&Elements { key_metadata: TrailMetadata::of(&key) })?;
        key_count::commit(service, call, &key, Change::made(&key)?).await?;
        Ok(Response { key_metadata: KeyMetadata::of(&key) })
    }
}

/// Spec and usage of the key, in AWS's order of checks; what this version does not serve says so.
fn kind(request: &Request, region: &str) -> Result<(KeySpec, KeyUsage)> {
    let older = request.customer_master_key_spec.and_then(|spec| KeySpec::from_str_exact(spec.as_str()));
    if let (Some(one), Some(other)) = (request.key_spec, older)
        && one != other
    {
        return Err(Error::validation(
            "KeySpec and CustomerMasterKeySpec must be the same when both are given.",
        ));
    }
    let spec = request.key_spec.or(older).unwrap_or(KeySpec::SymmetricDefault);
    let usage = match (spec, request.key_usage) {
        (_, Some(usage)) => usage,
        (KeySpec::SymmetricDefault, None) => KeyUsage::EncryptDecrypt,
        (_, None) => {
            let message =
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.";
            return Err(Error::validation(message));
        }
    };
    let not_served = |what: &str| {
        Err(Error::new(
            Code::UnsupportedOperation,
            format!("{what} is not served by this version of Claviger."),
        ))
    };
    if spec::algorithms(spec, usage).is_empty() {
        let (usage, spec) = (usage.as_str(), spec.as_str());
        return Err(Error::validation(format!("KeyUsage {usage} is not compatible with KeySpec {spec}")));
    }
    spec::offered("KeySpec", spec, arn::partition(region))?;
    match request.origin.unwrap_or(Origin::AwsKms) {
        Origin::AwsKms | Origin::External => {}
        origin => return not_served(&format!("Origin {}", origin.as_str())),
    }
    if request.custom_key_store_id.is_some() || request.xks_key_id.is_some() {
        return Err(Error::validation(
            "CustomKeyStoreId and XksKeyId need the origin of a custom key store.",
        ));
    }
    Ok((spec, usage))
}

/// A random UUID; for a multi-Region key without its dashes, after a prefix that tells it apart.
fn new_id(service: &Service, multi_region: Option<bool>) -> Result<String> {
    let id = service.entropy.uuid()?;
    Ok(if multi_region == Some(true) { format!("mrk-{}", id.replace('-', "")) } else { id })
}

/// The policy of the new key: the one given, checked, or the default one.
async fn policy(
    service: &Service,
    call: &Call<'_>,
    request: &Request,
    id: &str,
    asks: Asks<'_>,
) -> Result<KeyPolicy> {
    let (account, region) = (call.caller().account(), call.region());
    let Some(text) = &request.policy else {
        return KeyPolicy::parse(&key_policy::default_policy(account, region));
    };
    let policy = KeyPolicy::parse(text)?;
    let arn = key_arn(account, region, id);
    key_policy::check(service, call, policy, (&arn, None), asks).await
}

/// What to make.
struct Plan<'a> {
    id: String,
    spec: KeySpec,
    usage: KeyUsage,
    policy: KeyPolicy,
    request: &'a Request,
}

async fn make(service: &Service, call: &Call<'_>, plan: Plan<'_>) -> Result<Key> {
    let (account, region) = (call.caller().account(), call.region());
    let binding =
        Binding { account, region, key_id: &plan.id, spec: plan.spec.as_str(), usage: plan.usage.as_str() };
    let origin = plan.request.origin.unwrap_or(Origin::AwsKms);
    let made = match origin {
        Origin::External => None,
        _ => Some(vault::create_key(&*service.vault, binding).await?),
    };
    let state = if made.is_some() { KeyState::Enabled } else { KeyState::PendingImport };
    let (material, public) = made.map(|made| ((made.id, made.token), made.public)).unzip();
    let tags = plan.request.tags.iter().flat_map(|tags| &tags.0);
    let is_multi_region = plan.request.multi_region == Some(true);
    Ok(Key {
        arn: key_arn(account, region, &plan.id).into(),
        account: account.into(),
        region: region.into(),
        spec: plan.spec,
        usage: plan.usage,
        origin,
        state,
        created: call.now(),
        description: plan.request.description.as_deref().unwrap_or_default().to_owned(),
        deletion: None,
        tags: tags.map(|tag| (tag.key.to_string(), tag.value.to_string())).collect(),
        policy: Arc::new(plan.policy),
        materials: material.into_iter().map(|(id, token)| Material::new(id, token, call.now())).collect(),
        public: public.flatten(),
        pending: None,
        rotation: None,
        rotations_on_demand: 0,
        regions: is_multi_region.then(|| Box::new(Regions::of_primary(region))),
        pending_window_days: None,
        aliases: Vec::new(),
        managed_by: None,
        revision: 0,
    })
}
