//! Makes a replica of a multi-Region primary key in another Region.
//!
//! It answers the state `Creating`, as AWS does; as the replica is there whole once this answers, whoever looks next sees
//! it `Enabled`, or `PendingImport` where its material is imported.

use std::sync::Arc;

use claviger_wire::arn;
use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Authorized, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::{Key, key_arn};
use crate::kms::key_policy::{self, KeyPolicy};
use crate::kms::metadata::{KeyMetadata, TrailMetadata};
use crate::kms::multi_region::{self, Own};
use crate::kms::shapes::{
    Description, KeyIdentifier, KeyState, MultiRegionKeyType, PolicyText, RegionName, Tag, Tags,
};
use crate::kms::{key_count, load, tags};
use crate::operation::Operation;

/// The operation.
pub struct ReplicateKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN of the primary key.
        required key_id: KeyIdentifier = "keyId",
        /// Region of the replica.
        required replica_region: RegionName = "replicaRegion",
        /// Policy of the replica; the default policy when absent.
        optional policy: PolicyText = "policy",
        /// Whether the policy may lock its author out.
        optional bypass_policy_lockout_safety_check: bool = "bypassPolicyLockoutSafetyCheck",
        /// What the owner says of the replica.
        optional description: Description = "description",
        /// Tags of the replica.
        optional tags: Tags = "tags",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    replica_key_metadata: KeyMetadata,
    replica_policy: String,
    replica_tags: Vec<ReplicaTag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReplicaTag {
    tag_key: String,
    tag_value: String,
}

/// What the trail of the primary key's Region shows of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements<'a> {
    replica_key_metadata: TrailMetadata,
    replica_policy: &'a str,
    replica_tags: &'a [Tag],
}

/// What the trail of the replica's Region shows: the request of a `CreateKey` that would have made the replica.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Creation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bypass_policy_lockout_safety_check: Option<bool>,
    customer_master_key_spec: &'static str,
    description: &'a str,
    key_spec: &'static str,
    key_usage: &'static str,
    multi_region: bool,
    origin: &'static str,
    policy: &'a str,
    tags: &'a [Tag],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    key_metadata: TrailMetadata,
}

impl Operation for ReplicateKey {
    const NAME: &'static str = "ReplicateKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let region = &*request.replica_region;
        let asks = Asks { replica_region: Some(region), ..Asks::default() };
        let primary = load::managed(service, call, "kms:ReplicateKey", &request.key_id, asks).await?;
        primary.allows(Self::NAME)?;
        let set = primary.as_primary()?;
        check_region(service, &primary, region)?;
        // As AWS counts it: making the replica, and a dry run of that before.
        call.charge_elsewhere(region, "CreateKey", 2)?;
        let new_tags = request.tags.as_ref().map_or(&[][..], |tags| &tags.0);
        let policy = may_be_made(service, call, &primary, request, new_tags).await?;
        if set.contains(region) {
            let arn = key_arn(&primary.account, region, primary.id());
            return Err(Error::new(Code::AlreadyExists, format!("Key '{arn}' already exists")));
        }
        key_count::check(service, &primary.account, region).await?;
        let own = Own {
            description: request.description.as_deref().unwrap_or_default().to_owned(),
            tags: new_tags.iter().map(|tag| (tag.key.to_string(), tag.value.to_string())).collect(),
            policy: Arc::new(policy),
            created: call.now(),
        };
        let (replica, change) = multi_region::replicate(service, &primary, region, own).await?;
        let shown = Key { state: KeyState::Creating, materials: Vec::new(), ..replica.clone() };
        note(call, request, &shown, new_tags)?;
        key_count::commit(service, call, &replica, change).await?;
        let tag = |(tag_key, tag_value)| ReplicaTag { tag_key, tag_value };
        Ok(Response {
            replica_key_metadata: KeyMetadata::of(&shown),
            replica_policy: replica.policy.text().to_owned(),
            replica_tags: replica.tags.into_iter().map(tag).collect(),
        })
    }
}

/// Whether a replica of the key can be in the Region at all.
fn check_region(service: &Service, primary: &Key, region: &str) -> Result<()> {
    let partition = arn::partition(&primary.region);
    if arn::partition(region) != partition {
        return Err(Error::validation(format!("Region {region} is not in the partition {partition}.")));
    }
    if service.installation.regions.serve(region) {
        Ok(())
    } else {
        Err(Error::validation(format!("Region {region} is not served by this installation.")))
    }
}

/// Decides in the replica's Region whether the caller may make the replica, and checks its tags and its policy as
/// `CreateKey` does.
async fn may_be_made(
    service: &Service,
    call: &mut Call<'_>,
    primary: &Authorized<Arc<Key>>,
    request: &Request,
    new_tags: &[Tag],
) -> Result<KeyPolicy> {
    let region = &*request.replica_region;
    let asks = Asks {
        bypass_lockout_check: request.bypass_policy_lockout_safety_check,
        tags: request.tags.as_ref().map(|tags| &*tags.0),
        new_key: Some((primary.spec, primary.usage, primary.origin)),
        new_key_type: Some(MultiRegionKeyType::Replica),
        region: Some(region),
        ..Asks::default()
    };
    call.authorize_account("kms:CreateKey", asks)?;
    let arn = key_arn(&primary.account, region, primary.id());
    if !new_tags.is_empty() {
        call.authorize_tags_of_new(&arn, asks)?;
    }
    tags::check(new_tags)?;
    let Some(text) = &request.policy else {
        return KeyPolicy::parse(&key_policy::default_policy(&primary.account, region));
    };
    let policy = KeyPolicy::parse(text)?;
    key_policy::check(service, call, policy, (&arn, None), asks).await
}

/// Notes what the trails of both Regions show.
fn note(call: &mut Call<'_>, request: &Request, shown: &Key, new_tags: &[Tag]) -> Result<()> {
    call.set_response(&Elements {
        replica_key_metadata: TrailMetadata::of(shown),
        replica_policy: shown.policy.text(),
        replica_tags: new_tags,
    })?;
    let creation = Creation {
        bypass_policy_lockout_safety_check: request.bypass_policy_lockout_safety_check,
        customer_master_key_spec: shown.spec.as_str(),
        description: &shown.description,
        key_spec: shown.spec.as_str(),
        key_usage: shown.usage.as_str(),
        multi_region: true,
        origin: shown.origin.as_str(),
        policy: shown.policy.text(),
        tags: new_tags,
    };
    let created = Created { key_metadata: TrailMetadata::of(shown) };
    call.happens_elsewhere("CreateKey", shown, &creation, &created)
}
