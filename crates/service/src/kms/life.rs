//! What a key's material and dates mean: when something is due, and which state follows.

use std::sync::Arc;

use claviger_hsm_proto::MaterialId;

use crate::kms::key::{Key, Material};
use crate::kms::shapes::{KeySpec, KeyState};
use crate::moment::Moment;
use crate::record::Task;

impl Material {
    /// When the material expires; `None` where it does not, or is gone.
    pub(crate) fn expiry(&self) -> Option<Moment> {
        self.imported.as_ref().filter(|_| self.is_present()).and_then(|imported| imported.expires)
    }

    /// Whether the material is there and has not expired.
    pub(crate) fn is_usable(&self, now: Moment) -> bool {
        self.is_present() && self.expiry().is_none_or(|expiry| expiry > now)
    }

    /// The same without the material itself. What was said of it stays, but for when it expires.
    pub(crate) fn emptied(&self) -> Self {
        let mut imported = self.imported.clone();
        if let Some(imported) = &mut imported {
            imported.expires = None;
        }
        Self { token: Vec::new(), imported, ..self.clone() }
    }
}

impl Key {
    /// Whether the key encrypts symmetrically: only then can it have more than one material.
    pub(crate) fn is_symmetric(&self) -> bool {
        self.spec == KeySpec::SymmetricDefault
    }

    /// Every material, also one that waits for its rotation.
    pub(crate) fn all_materials(&self) -> impl Iterator<Item = &Material> {
        self.materials.iter().chain(self.pending.as_deref())
    }

    /// Ids of every material.
    pub(crate) fn material_ids(&self) -> Vec<MaterialId> {
        self.all_materials().map(|material| material.id).collect()
    }

    /// When the next of its materials expires.
    pub(crate) fn expiry(&self) -> Option<Moment> {
        self.all_materials().filter_map(Material::expiry).min()
    }

    /// What is to be done with the key by itself, and when. This is what the index of due things says of it.
    pub(crate) fn due(&self) -> Vec<(Task, Moment)> {
        let deletion = self.deletion.filter(|_| self.state == KeyState::PendingDeletion);
        // A key that is disabled or waits for its deletion does not rotate; when it is enabled again, a date that has
        // passed is due at once. Of a multi-Region set the primary key rotates, and takes the others with it.
        let rotates = matches!(self.state, KeyState::Enabled | KeyState::Updating) && !self.is_replica();
        let rotation = self.rotation.filter(|_| rotates).map(|rotation| rotation.next);
        let tasks = [
            deletion.map(|moment| (Task::Deletion, moment)),
            self.expiry().map(|moment| (Task::Expiry, moment)),
            rotation.map(|moment| (Task::Rotation, moment)),
        ];
        tasks.into_iter().flatten().map(|(task, moment)| (task, Moment(moment.0.max(0)))).collect()
    }

    /// The key in the state that follows from its materials, which came or went.
    #[must_use]
    pub(crate) fn settled(mut self) -> Self {
        let whole = !self.materials.is_empty() && self.materials.iter().all(Material::is_present);
        self.state = match (self.state, whole) {
            (KeyState::PendingImport, true) => KeyState::Enabled,
            (KeyState::Enabled | KeyState::Disabled | KeyState::Updating, false) => KeyState::PendingImport,
            (state, _) => state,
        };
        self
    }

    /// The key without the materials that have expired.
    pub(crate) fn without_expired(&self, now: Moment) -> Self {
        self.without(|material| material.is_present() && !material.is_usable(now))
    }

    /// The key without these materials. What has encrypted it still knows, and so does a replica what its primary key
    /// has; but one that waited for its rotation leaves nothing behind.
    pub(crate) fn without(&self, is_gone: impl Fn(&Material) -> bool) -> Self {
        let mut left = self.clone();
        if !left.is_replica() {
            left.pending.take_if(|material| is_gone(material));
        }
        for material in left.materials.iter_mut().chain(left.pending.as_deref_mut()) {
            if is_gone(material) {
                *material = material.emptied();
            }
        }
        left.settled()
    }

    /// The key in the state it has at a moment: material that has expired by then counts as gone, although it is still
    /// there because the scheduler has not come to it.
    pub(crate) fn as_of(self: Arc<Self>, now: Moment) -> Arc<Self> {
        match self.expiry() {
            Some(expiry) if expiry <= now => {
                let state = self.without_expired(now).state;
                Arc::new(Self { state, ..Self::clone(&self) })
            }
            _ => self,
        }
    }
}
