//! Access keys of users.

use std::sync::Arc;

use claviger_store::{Precondition, Write};
use claviger_wire::fault::Code;
use zeroize::Zeroizing;

use crate::cache::Credential;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::credential::{self, ACCESS_KEY_ID_LEN};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity};
use crate::iam::views::{self, AccessKeyMetadata};
use crate::moment::Moment;
use crate::query;
use crate::record::{self, CredentialRecord};

/// Most access keys of a user (quota).
const MAX_KEYS: usize = 2;

fn no_such_key(id: &str) -> Error {
    Error::new(Code::NoSuchEntity, format!("The Access Key with id {id} cannot be found"))
}

/// Makes an access key. Answers what may be shown of it, and its secret.
///
/// # Errors
/// `LimitExceeded`.
pub(crate) async fn create(
    service: &Service,
    call: &mut Call<'_>,
    user: &Identity,
) -> Result<(AccessKeyMetadata, Zeroizing<String>)> {
    if user.keys.len() >= MAX_KEYS {
        let message = format!("Cannot exceed quota for AccessKeysPerUser: {MAX_KEYS}");
        return Err(Error::new(Code::LimitExceeded, message));
    }
    let id = credential::random_id(&*service.entropy, "AKIA", ACCESS_KEY_ID_LEN)?;
    let (token, secret) = credential::create(&*service.vault, &user.account, &id).await?;
    let shown = AccessKeyMetadata {
        user_name: user.name.clone(),
        access_key_id: id.clone(),
        status: views::status(true),
        create_date: call.now().iso(),
    };
    call.set_response(&query::trail_form(&serde_json::json!({ "accessKey": &shown })))?;
    let mut changed = user.clone();
    changed.keys.push(id.clone());
    let made = CredentialRecord {
        account: user.account.to_string(),
        principal: user.id.clone(),
        token,
        created_ms: call.now().0,
        inactive: None,
    };
    let name = record::credential(&id);
    let preconditions = vec![user.unchanged(), Precondition::Absent(name.clone())];
    let writes = vec![changed.put()?, Write::Put { name, value: record::encode(&made)? }];
    call.commit(service, preconditions, writes).await?;
    Ok((shown, secret))
}

/// The access keys of a user, without their secrets.
pub(crate) async fn all(service: &Service, user: &Identity) -> Result<Vec<AccessKeyMetadata>> {
    let mut keys = Vec::new();
    for id in &user.keys {
        let credential = service.installation.cache.credential(id).await?;
        keys.extend(credential.map(|credential| AccessKeyMetadata {
            user_name: user.name.clone(),
            access_key_id: id.clone(),
            status: views::status(credential.record.is_active()),
            create_date: Moment(credential.record.created_ms).iso(),
        }));
    }
    Ok(keys)
}

/// An access key of the user.
async fn of(service: &Service, user: &Identity, id: &str) -> Result<Arc<Credential>> {
    if !user.keys.iter().any(|key| key == id) {
        return Err(no_such_key(id));
    }
    let credential = service.installation.cache.credential(id).await?;
    credential.filter(|it| it.record.principal == user.id).ok_or_else(|| no_such_key(id))
}

fn unchanged(id: &str, credential: &Credential) -> Precondition {
    Precondition::Unchanged { name: record::credential(id), revision: credential.revision }
}

/// Switches an access key on or off.
pub(crate) async fn switch(
    service: &Service,
    call: &mut Call<'_>,
    user: &Identity,
    id: &str,
    inactive: bool,
) -> Result<()> {
    let credential = of(service, user, id).await?;
    let changed = CredentialRecord { inactive: Some(inactive), ..credential.record.clone() };
    let write = Write::Put { name: record::credential(id), value: record::encode(&changed)? };
    call.commit(service, vec![user.unchanged(), unchanged(id, &credential)], vec![write]).await
}

/// Deletes an access key.
pub(crate) async fn delete(service: &Service, call: &mut Call<'_>, user: &Identity, id: &str) -> Result<()> {
    let credential = of(service, user, id).await?;
    let mut changed = user.clone();
    changed.keys.retain(|key| key != id);
    let gone = [record::credential(id), record::iam::last_used(id)].map(Write::Delete);
    let writes = gone.into_iter().chain([changed.put()?]).collect();
    service.installation.last_used.forget(id);
    call.commit(service, vec![user.unchanged(), unchanged(id, &credential)], writes).await
}

/// The user whose access key this is, in the caller's account.
///
/// # Errors
/// `AccessDenied`, `NoSuchEntity`.
pub(crate) async fn owner(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    id: &str,
) -> Result<Arc<Identity>> {
    let (cache, account) = (&service.installation.cache, call.caller().account());
    let credential = cache.credential(id).await?;
    let user = match credential.filter(|it| it.record.account == account) {
        Some(credential) => identity::by_id(cache, account, &credential.record.principal).await?,
        None => None,
    };
    let resource = user.as_ref().map_or_else(|| "*".to_owned(), |user| user.arn(call.region()));
    let tags = user.as_ref().map(|user| user.tags.as_slice());
    call.authorize_iam(action, &resource, IamAsks { resource_tags: tags, ..IamAsks::default() })?;
    user.ok_or_else(|| no_such_key(id))
}
