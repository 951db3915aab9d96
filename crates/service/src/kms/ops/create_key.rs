//! Makes a key.

use claviger_hsm_proto::Binding;
use claviger_store::{Precondition, Write};
use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;
use std::sync::Arc;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::{Key, Material, key_arn};
use crate::kms::key_policy::{self, KeyPolicy};
use crate::kms::metadata::{KeyMetadata, TrailMetadata};
use crate::kms::shapes::{
    CustomKeyStoreId, CustomerMasterKeySpec, Description, KeySpec, KeyState, KeyUsage, Origin, PolicyText,
    Tags, XksKeyId,
};
use crate::kms::tags;
use crate::operation::Operation;
use crate::record::{self, MaterialOwner};
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
        let (spec, usage) = kind(request)?;
        let new_tags = request.tags.as_ref().map_or(&[][..], |tags| &tags.0);
        let asks = Asks {
            bypass_lockout_check: request.bypass_policy_lockout_safety_check,
            tags: request.tags.as_ref().map(|tags| &*tags.0),
            new_key: Some((spec, usage, Origin::AwsKms)),
            ..Asks::default()
        };
        call.authorize_account("kms:CreateKey", asks)?;
        if !new_tags.is_empty() {
            call.authorize_account("kms:TagResource", asks)?;
        }
        tags::check(new_tags)?;
        let id = service.entropy.uuid()?;
        let policy = policy(service, call, request, &id, asks).await?;
        let key = make(service, call, Plan { id, spec, usage, policy, request }).await?;
        call.touch(&key.account, &key.arn);
        call.set_response(&Elements { key_metadata: TrailMetadata::of(&key) })?;
        let owner = MaterialOwner { account: key.account.to_string(), key_id: key.id.clone() };
        let material = record::material(&key.region, &key.current()?.id.to_hex());
        let preconditions = vec![Precondition::Absent(key.name()), Precondition::Absent(material.clone())];
        let writes = vec![
            Write::Put { name: key.name(), value: key.encode()? },
            Write::Put { name: material, value: record::encode(&owner)? },
        ];
        call.commit(service, preconditions, writes).await?;
        Ok(Response { key_metadata: KeyMetadata::of(&key) })
    }
}

/// Spec and usage of the key, in AWS's order of checks; what this version does not serve says so.
fn kind(request: &Request) -> Result<(KeySpec, KeyUsage)> {
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
    if spec != KeySpec::SymmetricDefault {
        return not_served(&format!("KeySpec {}", spec.as_str()));
    }
    if usage != KeyUsage::EncryptDecrypt {
        let (usage, spec) = (usage.as_str(), spec.as_str());
        return Err(Error::validation(format!("KeyUsage {usage} is not compatible with KeySpec {spec}")));
    }
    match request.origin.unwrap_or(Origin::AwsKms) {
        Origin::AwsKms => {}
        origin => return not_served(&format!("Origin {}", origin.as_str())),
    }
    if request.custom_key_store_id.is_some() || request.xks_key_id.is_some() {
        return Err(Error::validation(
            "CustomKeyStoreId and XksKeyId need the origin of a custom key store.",
        ));
    }
    if request.multi_region == Some(true) { not_served("MultiRegion") } else { Ok((spec, usage)) }
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
    key_policy::check(service, call, policy, &arn, asks).await
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
    let made = vault::create_key(&*service.vault, binding).await?;
    let tags = plan.request.tags.iter().flat_map(|tags| &tags.0);
    Ok(Key {
        arn: key_arn(account, region, &plan.id).into(),
        account: account.into(),
        region: region.into(),
        id: plan.id,
        spec: plan.spec,
        usage: plan.usage,
        origin: Origin::AwsKms,
        state: KeyState::Enabled,
        created: call.now(),
        description: plan.request.description.as_deref().unwrap_or_default().to_owned(),
        deletion: None,
        tags: tags.map(|tag| (tag.key.to_string(), tag.value.to_string())).collect(),
        policy: Arc::new(plan.policy),
        materials: vec![Material::new(made.id, made.token, call.now())],
        public: made.public,
        pending: None,
        rotation: None,
        rotations_on_demand: 0,
        regions: None,
        pending_window_days: None,
        revision: 0,
    })
}
