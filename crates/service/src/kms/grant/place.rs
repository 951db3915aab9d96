//! Where grants stand, and how many there are.

use claviger_store::{Precondition, Read, Revision, Write};
use claviger_wire::fault::Code;

use super::Grant;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::record::{
    self,
    grant::{CountRecord, Place, PointerRecord},
};

/// Most grants on a key (quota).
pub(crate) const MAX_GRANTS: u32 = 50_000;

/// The grant of an id on a key.
///
/// # Errors
/// A conflict where it went between two reads.
pub(crate) async fn find(service: &Service, place: Place<'_>, id: &str) -> Result<Option<Grant>> {
    let found = at(service, record::grant::grant_id(place, id)).await?;
    match found {
        Some(grant) if grant.id != id => Err(Error::internal(format!("grant {} stands for {id}", grant.id))),
        found => Ok(found),
    }
}

/// The grant that the same request, with the same name, has made.
///
/// # Errors
/// As [`find`].
pub(crate) async fn made_before(service: &Service, grant: &Grant) -> Result<Option<Grant>> {
    let Some(digest) = grant.request() else { return Ok(None) };
    let found = at(service, record::grant::grant_name(grant.place(), &digest)).await?;
    match found {
        Some(found) if found.request().as_ref() != Some(&digest) => {
            Err(Error::internal(format!("grant {} stands for another request", found.id)))
        }
        found => Ok(found),
    }
}

/// The grant that a pointer leads to.
async fn at(service: &Service, pointer: Vec<u8>) -> Result<Option<Grant>> {
    let store = &service.installation.store;
    let found = store.read(vec![Read::One(pointer)]).await?.found;
    let Some(pointer) = found.into_iter().flatten().next() else { return Ok(None) };
    let PointerRecord { name } = record::decode(&pointer)?;
    let found = store.read(vec![Read::One(name)]).await?.found;
    // A grant and what leads to it come and go together.
    let found = found.into_iter().flatten().next().ok_or(claviger_store::Error::Conflict)?;
    Grant::decode(&found).map(Some)
}

/// How many grants a key has, as it was read. Whoever makes or removes one writes it, so they do so one after the other.
#[derive(Debug)]
pub(crate) struct Count {
    name: Vec<u8>,
    count: u32,
    revision: Option<Revision>,
}

impl Count {
    pub(crate) async fn read(service: &Service, place: Place<'_>) -> Result<Self> {
        let name = record::grant::grant_count(place);
        let found = service.installation.store.read(vec![Read::One(name.clone())]).await?.found;
        let Some(found) = found.into_iter().flatten().next() else {
            return Ok(Self { name, count: 0, revision: None });
        };
        let CountRecord { count } = record::decode(&found)?;
        Ok(Self { name, count, revision: Some(found.revision) })
    }

    /// Checks that there may be one more.
    ///
    /// # Errors
    /// `LimitExceededException`.
    pub(crate) fn check_quota(&self) -> Result<()> {
        if self.count < MAX_GRANTS {
            return Ok(());
        }
        Err(Error::new(Code::LimitExceeded, format!("A key may have at most {MAX_GRANTS} grants.")))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.revision.is_none()
    }

    /// That it is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        match self.revision {
            Some(revision) => Precondition::Unchanged { name: self.name.clone(), revision },
            None => Precondition::Absent(self.name.clone()),
        }
    }

    fn put(&self, count: u32) -> Result<Write> {
        let name = self.name.clone();
        match count {
            0 => Ok(Write::Delete(name)),
            count => Ok(Write::Put { name, value: record::encode(&CountRecord { count })? }),
        }
    }
}

/// The change that makes a grant.
pub(crate) fn add(grant: &Grant, count: &Count) -> Result<Change> {
    let (mut preconditions, mut writes) = grant.made()?;
    preconditions.push(count.unchanged());
    writes.push(count.put(count.count + 1)?);
    Ok(Change { preconditions, writes })
}

/// The change that removes a grant.
pub(crate) async fn remove(service: &Service, grant: &Grant) -> Result<Change> {
    let count = Count::read(service, grant.place()).await?;
    let mut writes: Vec<Write> = grant.records().map(Write::Delete).collect();
    writes.push(count.put(count.count.saturating_sub(1))?);
    Ok(Change { preconditions: vec![grant.unchanged(), count.unchanged()], writes })
}
