//! What the API and the trail say about a key.

use std::sync::Arc;

use serde::Serialize;

use crate::kms::key::{Key, Material, Regions, key_arn};
use crate::kms::shapes::{ExpirationModel, KeySpec, KeyState};
use crate::kms::spec::Listed;
use crate::moment::Moment;

/// `KeyMetadata` of the API.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyMetadata {
    #[serde(rename = "AWSAccountId")]
    aws_account_id: String,
    key_id: String,
    arn: Arc<str>,
    creation_date: f64,
    enabled: bool,
    description: String,
    key_usage: &'static str,
    key_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<f64>,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<&'static str>,
    key_manager: &'static str,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    #[serde(flatten)]
    algorithms: Listed,
    multi_region: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region_configuration: Option<MultiRegionConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_deletion_window_in_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_key_material_id: Option<String>,
}

/// `MultiRegionConfiguration` of the API: where the members of the key's set are.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRegionConfiguration {
    multi_region_key_type: &'static str,
    primary_key: MultiRegionKey,
    replica_keys: Vec<MultiRegionKey>,
}

/// `MultiRegionKey` of the API.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRegionKey {
    arn: String,
    region: String,
}

impl MultiRegionConfiguration {
    fn of(key: &Key, regions: &Regions) -> Self {
        let member = |region: &String| MultiRegionKey {
            arn: key_arn(&key.account, region, key.id()),
            region: region.clone(),
        };
        Self {
            multi_region_key_type: regions.kind(&key.region).as_str(),
            primary_key: member(&regions.primary),
            replica_keys: regions.replicas.iter().map(member).collect(),
        }
    }
}

impl KeyMetadata {
    /// Describes a key.
    pub fn of(key: &Key) -> Self {
        let symmetric = key.spec == KeySpec::SymmetricDefault;
        let current = key.materials.last().filter(|_| symmetric);
        Self {
            aws_account_id: key.account.to_string(),
            key_id: key.id().to_owned(),
            arn: key.arn.clone(),
            creation_date: key.created.epoch(),
            enabled: key.state == KeyState::Enabled,
            description: key.description.clone(),
            key_usage: key.usage.as_str(),
            key_state: key.state.as_str(),
            deletion_date: key.deletion.map(|moment| moment.epoch()),
            valid_to: valid_to(key).map(Moment::epoch),
            origin: key.origin.as_str(),
            expiration_model: expiration_model(key).map(ExpirationModel::as_str),
            key_manager: key.manager(),
            customer_master_key_spec: key.spec.as_str(),
            key_spec: key.spec.as_str(),
            algorithms: Listed::in_answers(key.spec, key.usage),
            multi_region: key.regions.is_some(),
            multi_region_configuration: key
                .regions
                .as_ref()
                .map(|regions| MultiRegionConfiguration::of(key, regions)),
            pending_deletion_window_in_days: key.pending_window_days,
            current_key_material_id: current.map(|material| material.id.to_hex()),
        }
    }
}

/// When the first of the materials that the key needs expires.
fn valid_to(key: &Key) -> Option<Moment> {
    key.materials.iter().filter_map(Material::expiry).min()
}

/// Whether imported material expires; nothing where there is none.
fn expiration_model(key: &Key) -> Option<ExpirationModel> {
    let mut there = key.materials.iter().filter(|material| material.is_present());
    let imported = there.any(|material| material.imported.is_some());
    imported.then(|| match valid_to(key) {
        Some(_) => ExpirationModel::Expires,
        None => ExpirationModel::DoesNotExpire,
    })
}

/// `keyMetadata` of the trail: the same in lower camel case, with dates in words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrailMetadata {
    #[serde(rename = "aWSAccountId")]
    aws_account_id: String,
    key_id: String,
    arn: Arc<str>,
    creation_date: String,
    enabled: bool,
    description: String,
    key_usage: &'static str,
    key_state: &'static str,
    origin: &'static str,
    key_manager: &'static str,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    #[serde(flatten)]
    algorithms: Listed,
    multi_region: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region_configuration: Option<TrailConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_key_material_id: Option<String>,
}

/// `multiRegionConfiguration` of the trail.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrailConfiguration {
    multi_region_key_type: &'static str,
    primary_key: TrailKey,
    replica_keys: Vec<TrailKey>,
}

/// A member of a set as the trail shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrailKey {
    arn: String,
    region: String,
}

impl From<MultiRegionConfiguration> for TrailConfiguration {
    fn from(shown: MultiRegionConfiguration) -> Self {
        let member = |key: MultiRegionKey| TrailKey { arn: key.arn, region: key.region };
        Self {
            multi_region_key_type: shown.multi_region_key_type,
            primary_key: member(shown.primary_key),
            replica_keys: shown.replica_keys.into_iter().map(member).collect(),
        }
    }
}

impl TrailMetadata {
    pub(crate) fn of(key: &Key) -> Self {
        let shown = KeyMetadata::of(key);
        Self {
            aws_account_id: shown.aws_account_id,
            key_id: shown.key_id,
            arn: shown.arn,
            creation_date: key.created.trail_date(),
            enabled: shown.enabled,
            description: shown.description,
            key_usage: shown.key_usage,
            key_state: shown.key_state,
            origin: shown.origin,
            key_manager: shown.key_manager,
            customer_master_key_spec: shown.customer_master_key_spec,
            key_spec: shown.key_spec,
            algorithms: Listed::in_trail(key.spec, key.usage),
            multi_region: shown.multi_region,
            multi_region_configuration: shown.multi_region_configuration.map(Into::into),
            current_key_material_id: shown.current_key_material_id,
        }
    }
}
