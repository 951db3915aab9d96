//! A new generation of key material. Older ones decrypt for as long as the key exists.

use std::sync::Arc;

use serde::Serialize;

use crate::announcement::Announcement;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::{Key, Material, Rotated, Rotation};
use crate::kms::multi_region;
use crate::kms::shapes::Origin;
use crate::moment::Moment;
use crate::vault;

/// `RotationType` of a rotation.
pub(crate) const fn type_of(on_demand: bool) -> &'static str {
    if on_demand { "ON_DEMAND" } else { "AUTOMATIC" }
}

/// `serviceEventDetails` of `RotateKey`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    key_id: &'a str,
    rotation_type: &'static str,
    key_origin: &'static str,
    previous_key_material_id: String,
    current_key_material_id: String,
}

/// Makes the next generation of a key's material: the change that makes it current, and the event that belongs to it.
///
/// # Errors
/// Those of the HSM and the ledger. An imported key must have material that waits for its rotation; where a Region has lost it
/// since that was looked at, a conflict.
pub(crate) async fn rotate(
    service: &Service,
    key: &Arc<Key>,
    on_demand: bool,
    now: Moment,
) -> Result<(Change, Announcement)> {
    let previous = key.current()?.id.to_hex();
    let made = if key.origin == Origin::External {
        let waits = key.pending.as_deref().cloned();
        waits.ok_or_else(|| Error::internal("no imported material waits for its rotation"))?
    } else {
        let made = vault::create_key(&*service.vault, key.binding()).await?;
        Material::new(made.id, made.token, now)
    };
    let details = Details {
        key_id: key.id(),
        rotation_type: type_of(on_demand),
        key_origin: key.origin.as_str(),
        previous_key_material_id: previous,
        current_key_material_id: made.id.to_hex(),
    };
    let announcement = Announcement::of(service, "RotateKey", key, Some(&details), now).await?;
    let material = Material { rotated: Some(Rotated { at: now, on_demand }), ..made };
    let next = with_generation(key, material, now);
    let has_current = |member: &Key| member.materials.last().is_some_and(Material::is_present);
    let mut change = multi_region::share_where(service, key, &next, has_current).await?;
    change.writes.push(announcement.write(service)?);
    Ok((change, announcement))
}

fn with_generation(key: &Key, material: Material, now: Moment) -> Key {
    let on_demand = material.rotated.is_some_and(|rotated| rotated.on_demand);
    let mut next = Key { pending: None, ..key.clone() };
    next.materials.push(material);
    if on_demand {
        // The automatic schedule does not move.
        next.rotations_on_demand = next.rotations_on_demand.saturating_add(1);
    } else {
        next.rotation = key.rotation.map(|rotation| rotation.after(now));
    }
    next
}

impl Rotation {
    /// The schedule after the rotation that was due has happened. One that is late by more than a day, as that of a key that was
    /// disabled or of an installation that was switched off, begins the period anew ("rotates it immediately, and every
    /// year thereafter", `GetKeyRotationStatus`).
    fn after(self, now: Moment) -> Self {
        let is_late = self.next.plus_days(1) < now;
        Self { next: if is_late { now } else { self.next }.plus_days(self.period_days), ..self }
    }
}
