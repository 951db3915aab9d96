//! A change of keys, with everything by which they are found, that is to be committed as one.

use std::collections::BTreeSet;

use claviger_hsm_proto::MaterialId;
use claviger_store::{Precondition, Write};

use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::load;
use crate::moment::Moment;
use crate::record::{self, MaterialOwner, Task};

/// What must hold, and what is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) preconditions: Vec<Precondition>,
    pub(crate) writes: Vec<Write>,
}

impl Change {
    /// Makes a key.
    pub(crate) fn made(key: &Key) -> Result<Self> {
        let mut change = Self::default();
        change.preconditions.push(Precondition::Absent(key.name()));
        // A replica takes the place of one that was deleted only once the grants on that are gone.
        change.preconditions.push(Precondition::Absent(record::grant::grant_count(key.place())));
        change.writes.push(Write::Put { name: key.name(), value: key.encode()? });
        change.reschedule(&[], key);
        change.index_materials(BTreeSet::new(), key)?;
        Ok(change)
    }

    /// Makes of a key what `after` says.
    pub(crate) fn of(before: &Key, after: &Key) -> Result<Self> {
        let mut change = Self::default();
        change.add(before, after)?;
        Ok(change)
    }

    /// The same for a further key.
    pub(crate) fn add(&mut self, before: &Key, after: &Key) -> Result<()> {
        self.preconditions.push(load::unchanged(before));
        self.writes.push(Write::Put { name: after.name(), value: after.encode()? });
        self.reschedule(&before.due(), after);
        self.index_materials(ids(before), after)
    }

    /// The index of what is due.
    fn reschedule(&mut self, old: &[(Task, Moment)], after: &Key) {
        let new = after.due();
        let name = |(task, moment): &(Task, Moment)| {
            record::due(moment.0, &after.account, &after.region, after.id(), *task)
        };
        let gone = old.iter().filter(|due| !new.contains(due)).map(|due| Write::Delete(name(due)));
        let come = new.iter().filter(|due| !old.contains(due));
        self.writes.extend(gone);
        self.writes.extend(come.map(|due| Write::Put { name: name(due), value: Vec::new() }));
    }

    /// The index by which a ciphertext finds its key. Material that is gone stays in it for as long as the key knows it.
    fn index_materials(&mut self, old: BTreeSet<MaterialId>, after: &Key) -> Result<()> {
        let new = ids(after);
        let name = |id: &MaterialId| record::material(&after.region, &id.to_hex());
        for id in new.difference(&old) {
            let owner = MaterialOwner { account: after.account.to_string(), key_id: after.id().to_owned() };
            self.preconditions.push(Precondition::Absent(name(id)));
            self.writes.push(Write::Put { name: name(id), value: record::encode(&owner)? });
        }
        self.writes.extend(old.difference(&new).map(|id| Write::Delete(name(id))));
        Ok(())
    }
}

fn ids(key: &Key) -> BTreeSet<MaterialId> {
    key.material_ids().into_iter().collect()
}
