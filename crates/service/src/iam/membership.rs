//! Users in groups.

use claviger_store::Write;
use claviger_wire::fault::Code;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::Identity;
use crate::record;

/// Most groups of a user (quota).
const MAX_GROUPS: usize = 10;

/// Adds a user to a group; nothing changes where it is in it already.
pub(crate) async fn add(
    service: &Service,
    call: &mut Call<'_>,
    group: &Identity,
    user: &Identity,
) -> Result<()> {
    if user.groups.contains(&group.id) {
        return Ok(());
    }
    if user.groups.len() >= MAX_GROUPS {
        let message = format!("Cannot exceed quota for GroupsPerUser: {MAX_GROUPS}");
        return Err(Error::new(Code::LimitExceeded, message));
    }
    let mut changed = user.clone();
    changed.groups.push(group.id.clone());
    let name = record::iam::member(&user.account, &group.id, &user.id);
    // The group is written, too, so that one who is deleting it because it is empty meets a conflict.
    let writes = vec![changed.put()?, group.put()?, Write::Put { name, value: Vec::new() }];
    call.commit(service, vec![user.unchanged(), group.unchanged()], writes).await
}

/// Removes a user from a group.
///
/// # Errors
/// `NoSuchEntity` where it is not in it.
pub(crate) async fn remove(
    service: &Service,
    call: &mut Call<'_>,
    group: &Identity,
    user: &Identity,
) -> Result<()> {
    if !user.groups.contains(&group.id) {
        let text = format!("User {} not in group {}", user.name, group.name);
        return Err(Error::new(Code::NoSuchEntity, text));
    }
    let mut changed = user.clone();
    changed.groups.retain(|id| *id != group.id);
    let index = Write::Delete(record::iam::member(&user.account, &group.id, &user.id));
    call.commit(service, vec![user.unchanged(), group.unchanged()], vec![changed.put()?, index]).await
}
