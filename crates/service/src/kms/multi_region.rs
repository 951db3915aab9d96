//! Sets of multi-Region keys: what their members share, and how one commit changes all of them.
//!
//! A primary key and its replicas have the same id and the same material, so a blob that one made opens under each of
//! the others. The primary key is the source of what they share: material, rotation, and who the members are. Policy,
//! tags, description, aliases, state and deletion are each member's own (AWS KMS Developer Guide, "Multi-Region keys").
//!
//! All Regions of an installation stand in one store. A change of what is shared is therefore one commit for the whole
//! set, and nobody ever sees half of it: the states `Creating` and `Updating`, in which a key of AWS waits for other
//! Regions, are over here before the call that began them has answered.

use std::sync::Arc;

use claviger_store::Read;
use claviger_wire::fault::Code;

use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::{Key, Material, Regions, key_arn};
use crate::kms::key_policy::KeyPolicy;
use crate::kms::shapes::{KeyState, MultiRegionKeyType, Origin};
use crate::moment::Moment;
use crate::record;
use crate::vault;

impl Regions {
    /// A primary key without replicas.
    pub(crate) fn of_primary(region: &str) -> Self {
        Self { primary: region.to_owned(), replicas: Vec::new() }
    }

    /// What the member in a Region is to the set.
    pub fn kind(&self, region: &str) -> MultiRegionKeyType {
        if self.primary == region { MultiRegionKeyType::Primary } else { MultiRegionKeyType::Replica }
    }

    /// Whether a member is in the Region.
    pub fn contains(&self, region: &str) -> bool {
        self.members().any(|member| member == region)
    }

    /// The Regions of all members, the primary key's first.
    fn members(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.primary).chain(&self.replicas).map(String::as_str)
    }

    /// With one replica more.
    fn with(&self, region: &str) -> Self {
        let replicas = self.replicas.iter().cloned().chain([region.to_owned()]).collect();
        Self { primary: self.primary.clone(), replicas }
    }

    /// With one replica less.
    fn without(&self, region: &str) -> Self {
        let replicas = self.replicas.iter().filter(|replica| *replica != region).cloned().collect();
        Self { primary: self.primary.clone(), replicas }
    }

    /// With a replica and the primary key in each other's place.
    fn led_by(&self, region: &str) -> Self {
        let swapped =
            |replica: &String| if replica == region { self.primary.clone() } else { replica.clone() };
        Self { primary: region.to_owned(), replicas: self.replicas.iter().map(swapped).collect() }
    }
}

impl Key {
    /// What the key is to its set; `None` for a single-Region key.
    pub fn multi_region_type(&self) -> Option<MultiRegionKeyType> {
        self.regions.as_ref().map(|regions| regions.kind(&self.region))
    }

    /// The Regions of the key's set, for what only a primary key can do with them.
    ///
    /// # Errors
    /// `UnsupportedOperationException` for replicas and for single-Region keys.
    pub(crate) fn as_primary(&self) -> Result<&Regions> {
        let regions = self.regions.as_deref();
        regions.filter(|regions| regions.primary == *self.region).ok_or_else(|| self.not_primary())
    }

    /// Whether the key has what it shares from a primary key in another Region.
    pub(crate) fn is_replica(&self) -> bool {
        self.multi_region_type() == Some(MultiRegionKeyType::Replica)
    }

    /// Whether deleting the key has to wait until its replicas are gone.
    pub(crate) fn has_replicas(&self) -> bool {
        self.as_primary().is_ok_and(|regions| !regions.replicas.is_empty())
    }
}

/// The other members of a key's set, as the store has them now; none for a single-Region key.
///
/// Read from the store and not from the cache: the task that deletes keys makes no request that would freshen it.
pub(crate) async fn others(service: &Service, key: &Key) -> Result<Vec<Key>> {
    let Some(regions) = &key.regions else { return Ok(Vec::new()) };
    let names = regions.members().map(|region| record::key(&key.account, region, key.id()));
    let snapshot = service.installation.store.read(names.map(Read::One).collect()).await?;
    let mut members = Vec::with_capacity(regions.replicas.len());
    for (region, found) in regions.members().zip(snapshot.found) {
        let is_itself = region == &*key.region;
        match found.first() {
            // The set may be another by now.
            found if is_itself && found.is_none_or(|record| record.revision != key.revision) => {
                return Err(claviger_store::Error::Conflict.into());
            }
            Some(_) if is_itself => {}
            Some(record) => members.push(service.installation.cache.decode_key(record)?),
            None => return Err(damaged(key)),
        }
    }
    if members.iter().all(|member| member.regions == key.regions) { Ok(members) } else { Err(damaged(key)) }
}

fn damaged(key: &Key) -> Error {
    Error::internal(format!("the members of {} do not agree on who they are", key.id()))
}

/// Most replicas of a key. More Regions than AWS has, and what one commit of the store changes together: some 200 parts with
/// all the materials that may be, some 130 that say what the caller stands on, and what goes along.
const MAX_REPLICAS: usize = 32;
/// Most generations of material that a key can have when it is replicated, for the same reason: sixteen years of the
/// shortest period of rotation.
const MAX_MATERIALS: usize = 64;

/// What is a replica's own from its beginning.
pub(crate) struct Own {
    pub(crate) description: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) policy: Arc<KeyPolicy>,
    pub(crate) created: Moment,
}

/// A new replica of a primary key, and the change that makes it.
///
/// # Errors
/// `LimitExceededException`; where the HSM or the store fails. Nothing was written.
pub(crate) async fn replicate(
    service: &Service,
    primary: &Key,
    region: &str,
    own: Own,
) -> Result<(Key, Change)> {
    let regions = primary.as_primary()?.with(region);
    let too_many =
        |what: &str| Error::new(Code::LimitExceeded, format!("{} has more than {what}.", primary.arn));
    if regions.replicas.len() > MAX_REPLICAS {
        return Err(too_many(&format!("{MAX_REPLICAS} replicas with this one")));
    }
    if primary.all_materials().count() > MAX_MATERIALS {
        return Err(too_many(&format!("{MAX_MATERIALS} key materials to replicate")));
    }
    let imports = primary.origin == Origin::External;
    let blank = Key {
        arn: key_arn(&primary.account, region, primary.id()).into(),
        region: region.into(),
        state: if imports { KeyState::PendingImport } else { KeyState::Enabled },
        created: own.created,
        description: own.description,
        tags: own.tags,
        policy: own.policy,
        deletion: None,
        pending_window_days: None,
        managed_by: None,
        materials: Vec::new(),
        pending: None,
        aliases: Vec::new(),
        revision: 0,
        ..primary.clone()
    };
    let changed = Key { regions: Some(Box::new(regions)), ..primary.clone() };
    let replica = shared(service, &changed, &blank).await?;
    let mut change = Change::made(&replica)?;
    change.add(primary, &changed)?;
    for member in others(service, primary).await? {
        change.add(&member, &Key { regions: changed.regions.clone(), ..member.clone() })?;
    }
    Ok((replica, change))
}

/// The change that makes a replica the primary key and the primary key a replica. Rotation follows, as it is a property
/// of the set.
///
/// # Errors
/// A conflict where the replica is no longer as it was decided about; where the store fails. Nothing was written.
pub(crate) async fn move_primary(service: &Service, primary: &Key, replica: &Key) -> Result<Change> {
    let regions = Some(Box::new(primary.as_primary()?.led_by(&replica.region)));
    let mut change = Change::of(primary, &Key { regions: regions.clone(), ..primary.clone() })?;
    for member in others(service, primary).await? {
        if member.region == replica.region && member.revision != replica.revision {
            return Err(claviger_store::Error::Conflict.into());
        }
        change.add(&member, &Key { regions: regions.clone(), ..member.clone() })?;
    }
    Ok(change)
}

/// What else changes when a key is deleted: the other members forget it, and a primary key that waited for its last
/// replica begins its own waiting period.
///
/// # Errors
/// Where the store fails, and for a primary key that has replicas; nothing was written.
pub(crate) async fn leave(service: &Service, key: &Key, now: Moment) -> Result<Change> {
    if key.has_replicas() {
        return Err(Error::internal(format!("{} is to be deleted before its replicas", key.arn)));
    }
    let mut change = Change::default();
    for member in others(service, key).await? {
        let regions = member.regions.as_ref().map(|regions| Box::new(regions.without(&key.region)));
        let mut left = Key { regions, ..member.clone() };
        if left.state == KeyState::PendingReplicaDeletion && !left.has_replicas() {
            let days = left.pending_window_days.take();
            let days = days.ok_or_else(|| Error::internal(format!("{} has no waiting period", left.arn)))?;
            (left.state, left.deletion) = (KeyState::PendingDeletion, Some(now.plus_days(days)));
        }
        change.add(&member, &left)?;
    }
    Ok(change)
}

/// The change of a key that its replicas share: `changed` is the key as it will be. New material is wrapped for each of
/// their Regions by the HSM; imported material is only made known to them. A key without replicas changes alone, and so
/// does a replica: what it has from its primary key stays as it is.
///
/// # Errors
/// Where the HSM or the store fails; nothing was written.
pub(crate) async fn share(service: &Service, key: &Key, changed: &Key) -> Result<Change> {
    share_where(service, key, changed, |_| true).await
}

/// The same, where each replica as it will be can be what it is to be.
///
/// # Errors
/// A conflict where one cannot.
pub(crate) async fn share_where(
    service: &Service,
    key: &Key,
    changed: &Key,
    suits: impl Fn(&Key) -> bool,
) -> Result<Change> {
    let mut change = Change::of(key, changed)?;
    if key.has_replicas() {
        for replica in others(service, key).await? {
            let follower = shared(service, changed, &replica).await?;
            if !suits(&follower) {
                return Err(claviger_store::Error::Conflict.into());
            }
            if follower.encode()? != replica.encode()? {
                change.add(&replica, &follower)?;
            }
        }
    }
    Ok(change)
}

/// A replica with all that it shares as its primary key has it.
async fn shared(service: &Service, primary: &Key, replica: &Key) -> Result<Key> {
    let mut materials = Vec::with_capacity(primary.materials.len());
    for material in &primary.materials {
        materials.push(follow(service, primary, material, replica).await?);
    }
    let pending = match &primary.pending {
        Some(material) => Some(Box::new(follow(service, primary, material, replica).await?)),
        None => None,
    };
    let follower = Key {
        materials,
        pending,
        public: primary.public.clone(),
        rotation: primary.rotation,
        rotations_on_demand: primary.rotations_on_demand,
        regions: primary.regions.clone(),
        ..replica.clone()
    };
    Ok(follower.settled())
}

/// A primary key's material as its replica has it: what it holds already, or taken to its Region by the HSM. Imported
/// material does not travel; its owner imports it again, and until then the replica only knows of it.
async fn follow(service: &Service, primary: &Key, material: &Material, replica: &Key) -> Result<Material> {
    if let Some(held) = replica.all_materials().find(|held| held.id == material.id) {
        return Ok(Material { rotated: material.rotated, ..held.clone() });
    }
    if primary.origin == Origin::External {
        return Ok(material.emptied());
    }
    let domain = service.installation.domain;
    let token = vault::transfer(&*service.vault, primary, material, domain, &replica.region).await?;
    Ok(Material { token, ..material.clone() })
}

/// Whether the imported material that waits for its rotation is there in every Region: it cannot become current before.
/// `now` is the latest moment that anybody saw.
///
/// # Errors
/// Where the store fails.
pub(crate) async fn awaits_rotation(service: &Service, key: &Key, now: Moment) -> Result<bool> {
    let Some(pending) = key.pending.as_ref().filter(|pending| pending.is_usable(now)) else {
        return Ok(false);
    };
    let holds = |member: &Key| {
        member.pending.as_ref().is_some_and(|held| held.id == pending.id && held.is_usable(now))
    };
    Ok(others(service, key).await?.iter().all(holds))
}
