//! A key goes with its aliases, its material and every index of it.

use std::collections::VecDeque;

use claviger_store::{Read, Record, Write};
use minicbor::bytes::ByteVec;

use super::{Due, commit, forget, unchanged};
use crate::announcement::Announcement;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::change::Change;
use crate::kms::grant::Grant;
use crate::kms::grant::place::Count;
use crate::kms::key::Key;
use crate::kms::key_count::KeyCount;
use crate::kms::{load, multi_region};
use crate::moment::Moment;
use crate::record::{self, SweepRecord, Task};

/// Most aliases that one commit removes.
const MAX_ALIASES: usize = 50;
/// Most records of material that one commit removes: with fifty aliases and all the members of a multi-Region set it
/// stays below what a store takes.
const MAX_MATERIALS: usize = 20;
/// Most grants that one commit removes, for the same reason: each has up to four records.
const MAX_GRANTS: usize = 50;

/// Deletes a key whose waiting period is over.
pub(super) async fn delete(service: &Service, key: &Key, entry: &Record, now: Moment) -> Result<()> {
    let (Key { account, region, .. }, id) = (key, key.id());
    let prefix = record::aliases_of(account, region, id);
    let read = Read::Range { prefix, after: None, limit: MAX_ALIASES + 1 };
    let snapshot = service.installation.store.read(vec![read]).await?;
    let aliases: Vec<Record> = snapshot.found.into_iter().flatten().collect();
    if aliases.len() > MAX_ALIASES {
        return forget_aliases(service, key, entry, aliases).await;
    }
    let announcement = Announcement::of(service, "DeleteKey", key, None::<&()>, now).await?;

    let Change { mut preconditions, mut writes } = multi_region::leave(service, key, now).await?;
    writes.extend([Write::Delete(key.name()), Write::Delete(record::usage(account, region, id))]);
    for (task, moment) in key.due() {
        writes.push(Write::Delete(record::due(moment.0, account, region, id, task)));
    }
    writes.extend(aliases.iter().flat_map(|alias| without(key, alias)));
    let materials = key.material_ids().into_iter().map(|id| record::material(region, &id.to_hex()));
    let mut materials: VecDeque<Vec<u8>> = materials.collect();
    let now_gone = materials.drain(..materials.len().min(MAX_MATERIALS));
    writes.extend(now_gone.map(Write::Delete));
    if !materials.is_empty() {
        let name = record::due(now.0, account, region, id, Task::Sweep);
        writes.push(Write::Put { name, value: sweep_record(materials)? });
    }
    let grants = Count::read(service, key.place()).await?;
    if !grants.is_zero() {
        let name = record::due(now.0, account, region, id, Task::Grants);
        writes.push(Write::Put { name, value: Vec::new() });
    }
    writes.push(announcement.write(service)?);
    preconditions.push(grants.unchanged());
    preconditions.extend(aliases.iter().map(unchanged).chain([load::unchanged(key)]));
    let mut change = Change { preconditions, writes };
    KeyCount::read(service, account, region).await?.without_one(&mut change)?;
    commit(service, entry, change).await?;
    forget(service, key).await;
    announcement.deliver(service).await
}

/// The writes that remove an alias, found by the index of a key's aliases.
fn without(key: &Key, alias: &Record) -> [Write; 2] {
    let (Key { account, region, .. }, id) = (key, key.id());
    let name = record::rest(&alias.name, &record::aliases_of(account, region, id)).to_owned();
    [Write::Delete(record::alias(account, region, &name)), Write::Delete(alias.name.clone())]
}

/// Removes what aliases one commit can, when there are too many to go with their key. The key is still due.
async fn forget_aliases(
    service: &Service,
    key: &Key,
    entry: &Record,
    mut aliases: Vec<Record>,
) -> Result<()> {
    aliases.truncate(MAX_ALIASES);
    let preconditions = aliases.iter().map(unchanged).chain([load::unchanged(key)]).collect();
    let writes = aliases.iter().flat_map(|alias| without(key, alias)).collect();
    commit(service, entry, Change { preconditions, writes }).await
}

fn sweep_record(names: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<u8>> {
    record::encode(&SweepRecord { names: names.into_iter().map(ByteVec::from).collect() })
}

/// Removes what one commit could not, a part at a time.
pub(super) async fn sweep(service: &Service, entry: &Record) -> Result<()> {
    let SweepRecord { names } = record::decode(entry)?;
    let mut names: VecDeque<Vec<u8>> = names.into_iter().map(Vec::from).collect();
    let now_gone = names.drain(..names.len().min(MAX_MATERIALS));
    let mut writes: Vec<Write> = now_gone.map(Write::Delete).collect();
    writes.push(match names.is_empty() {
        true => Write::Delete(entry.name.clone()),
        false => Write::Put { name: entry.name.clone(), value: sweep_record(names)? },
    });
    commit(service, entry, Change { writes, ..Change::default() }).await
}

/// Removes the grants of a key that is deleted, a part at a time; with the last of them their count, which until then keeps
/// a replica from taking the key's place.
pub(super) async fn sweep_grants(service: &Service, due: &Due<'_>, entry: &Record) -> Result<()> {
    let place = (due.account, due.region, due.id);
    let read = Read::Range { prefix: record::grant::grants_on(place), after: None, limit: MAX_GRANTS };
    let snapshot = service.installation.store.read(vec![read]).await?;
    let found: Vec<Record> = snapshot.found.into_iter().flatten().collect();
    let mut writes = Vec::new();
    for grant in &found {
        writes.extend(Grant::decode(grant)?.records().map(Write::Delete));
    }
    if found.len() < MAX_GRANTS {
        writes.push(Write::Delete(record::grant::grant_count(place)));
        writes.push(Write::Delete(entry.name.clone()));
    }
    commit(service, entry, Change { writes, ..Change::default() }).await
}
