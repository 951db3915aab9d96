//! AWS managed keys: one for each service in each account and Region, made when it is first used, and belonging to the
//! service ("AWS managed keys", KMS Developer Guide). Its policy lets everyone in the account use it through the service,
//! and lets nobody change it.

use std::sync::Arc;

use claviger_store::{Commit, Precondition, Write};
use claviger_wire::arn;
use claviger_wire::fault::Code;
use serde::Serialize;

use crate::announcement::Announcement;
use crate::authn::Caller;
use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::{Key, Material, Rotation, key_arn};
use crate::kms::key_policy::KeyPolicy;
use crate::kms::shapes::{KeySpec, KeyState, KeyUsage, Origin};
use crate::moment::Moment;
use crate::record::{self, AliasRecord};
use crate::services::ServiceIdentity;
use crate::vault;

/// Days between rotations ("AWS KMS rotates AWS managed keys every year").
const ROTATION_DAYS: u16 = 365;
/// What a service does with a key that it has not used before. Nothing can be decrypted under a key that is not there.
const FIRST_USES: [&str; 8] = [
    "kms:CreateGrant",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptTo",
];

/// `serviceEventDetails` of the making.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    key_id: &'a str,
    alias_name: String,
}

impl Key {
    /// `KeyManager`.
    pub(crate) fn manager(&self) -> &'static str {
        if self.managed_by.is_some() { "AWS" } else { "CUSTOMER" }
    }

    /// Whether this is an AWS managed key that is not there yet ([`wanted`]).
    pub(crate) fn is_wanted(&self) -> bool {
        self.managed_by.is_some() && self.materials.is_empty()
    }
}

/// The key that a predefined alias of the caller's account would name if it were there: without material, so that
/// nothing can be done with it, but with its policy, so that it can be decided about. There is one for the service
/// itself, and for whoever describes it, as `DescribeKey` documents.
pub(crate) fn wanted(
    service: &Service,
    call: &Call<'_>,
    action: &str,
    alias: &str,
) -> Result<Option<Arc<Key>>> {
    let Some(owner) = service.installation.services.of_alias(alias) else { return Ok(None) };
    let is_first_use = match call.caller().through() {
        Some(through) => {
            through.on_behalf && through.service.name == owner.name && FIRST_USES.contains(&action)
        }
        None => action == "kms:DescribeKey",
    };
    if !is_first_use {
        return Ok(None);
    }
    let (account, region, now) = (call.caller().account(), call.region(), call.now());
    let id = service.entropy.uuid()?;
    Ok(Some(Arc::new(Key {
        arn: key_arn(account, region, &id).into(),
        account: account.into(),
        region: region.into(),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        state: KeyState::Enabled,
        created: now,
        description: format!("Default key that protects my {} when no other key is defined", owner.protects),
        deletion: None,
        tags: Vec::new(),
        policy: Arc::new(KeyPolicy::parse(&policy(owner, account, region))?),
        materials: Vec::new(),
        public: None,
        pending: None,
        rotation: Some(Rotation { period_days: ROTATION_DAYS, next: now.plus_days(ROTATION_DAYS) }),
        rotations_on_demand: 0,
        regions: None,
        pending_window_days: None,
        aliases: Vec::new(),
        managed_by: Some(owner.name.as_str().into()),
        revision: 0,
    })))
}

/// Makes the key that a call wants, if it may use it and nothing but the lack of it stood in its way. Answers whether the
/// call is to be tried again: with the key, be it this one or that of whoever was faster.
pub(crate) async fn make_wanted(
    service: &Service,
    call: &mut Call<'_>,
    refused: Option<&Error>,
) -> Result<bool> {
    let Some(wanted) = call.wanted.take() else { return Ok(false) };
    // Without material an operation cannot go on; and what is not in the store cannot be unchanged.
    if refused.is_some_and(|error| error.code != Code::KmsInternal && !error.conflict) {
        return Ok(false);
    }
    match make(service, call.caller(), &wanted, call.now()).await {
        Err(error) if !error.conflict => Err(error),
        _ => Ok(true),
    }
}

async fn make(service: &Service, caller: &Caller, wanted: &Key, now: Moment) -> Result<()> {
    let owner = wanted.managed_by.as_deref().unwrap_or_default();
    let made = vault::create_key(&*service.vault, wanted.binding()).await?;
    let key = Key { materials: vec![Material::new(made.id, made.token, now)], ..wanted.clone() };
    let name = format!("aws/{owner}");
    let alias = record::alias(&key.account, &key.region, &name);
    let details = Details { key_id: key.id(), alias_name: format!("alias/{name}") };
    let announcement = Announcement::of(service, "CreateKey", &key, Some(&details), now).await?;
    let Change { mut preconditions, mut writes } = Change::made(&key)?;
    preconditions.push(Precondition::Absent(alias.clone()));
    preconditions.extend(caller.holds(service).await?);
    let points = AliasRecord { target: key.id().to_owned(), created_ms: now.0, updated_ms: now.0 };
    writes.push(Write::Put { name: alias, value: record::encode(&points)? });
    let back = record::alias_of(&key.account, &key.region, key.id(), &name);
    writes.push(Write::Put { name: back, value: Vec::new() });
    writes.push(announcement.write(service)?);
    service.installation.store.commit(Commit { preconditions, writes }).await.map_err(Error::from)?;
    service.installation.schedule.notify_one();
    announcement.deliver(service).await
}

/// The policy of a service's keys in an account, in the words of AWS's own.
fn policy(owner: &ServiceIdentity, account: &str, region: &str) -> String {
    let ServiceIdentity { name, title, .. } = owner;
    let (partition, via) = (arn::partition(region), owner.in_region(region));
    let actions = owner.operations().iter().filter_map(|operation| action(operation));
    let mut actions: Vec<String> = actions.map(|action| format!("\"kms:{action}\"")).collect();
    actions.dedup();
    let actions = actions.join(",");
    format!(
        r#"{{"Version":"2012-10-17","Id":"auto-{name}-2","Statement":[{{"Sid":"Allow access through {title} for all principals in the account that are authorized to use {title}","Effect":"Allow","Principal":{{"AWS":"*"}},"Action":[{actions}],"Resource":"*","Condition":{{"StringEquals":{{"kms:ViaService":"{via}","kms:CallerAccount":"{account}"}}}}}},{{"Sid":"Allow direct access to key metadata to the account","Effect":"Allow","Principal":{{"AWS":"arn:{partition}:iam::{account}:root"}},"Action":["kms:Describe*","kms:Get*","kms:List*","kms:RevokeGrant"],"Resource":"*"}}]}}"#
    )
}

/// The action by which AWS's policies allow an operation to a service.
fn action(operation: &str) -> Option<&str> {
    match operation {
        "ReEncrypt" => Some("ReEncrypt*"),
        _ if operation.starts_with("GenerateDataKey") => Some("GenerateDataKey*"),
        "Encrypt" | "Decrypt" | "DescribeKey" | "CreateGrant" => Some(operation),
        _ => None,
    }
}
