//! Aliases: the rules of their names, and how operations find them.

use std::borrow::Cow;
use std::sync::Arc;

use claviger_policy::Values;
use claviger_store::{Precondition, Read, Revision};
use claviger_wire::fault::Code;

use crate::call::{Asks, Authorized, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{AliasName, KeyIdentifier};
use crate::quota::ALIASES_LIMIT;
use crate::record::{self, AliasRecord};

/// The name without `alias/`, for operations that change aliases.
///
/// # Errors
/// `ValidationException` without the prefix, `NotAuthorizedException` for names reserved for AWS services,
/// `InvalidAliasNameException` for an empty name.
pub(crate) fn changeable(name: &AliasName) -> Result<&str> {
    let Some(short) = name.strip_prefix("alias/") else {
        let message = "Alias must start with the prefix \"alias/\". Please see \
                       https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
        return Err(Error::validation(message));
    };
    if short.starts_with("aws/") {
        return Err(Error::bare(Code::NotAuthorized));
    }
    if short.is_empty() {
        return Err(Error::bare(Code::InvalidAliasName));
    }
    Ok(short)
}

/// An alias as it stands in the store.
pub(crate) struct Held {
    pub(crate) name: Vec<u8>,
    pub(crate) record: AliasRecord,
    revision: Revision,
}

impl Held {
    /// That the alias is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { name: self.name.clone(), revision: self.revision }
    }
}

/// Reads an alias that is to be changed.
///
/// # Errors
/// `NotFoundException`.
pub(crate) async fn held(service: &Service, account: &str, region: &str, short: &str) -> Result<Held> {
    let name = record::alias(account, region, short);
    let found = service.installation.store.read(vec![Read::One(name.clone())]).await?.found;
    let entry = found.into_iter().flatten().next();
    let entry = entry.ok_or_else(|| load::alias_not_found(account, region, short))?;
    Ok(Held { name, record: record::decode(&entry)?, revision: entry.revision })
}

/// Checks that a key may get one more alias.
///
/// Whoever makes it must also write the key's record, so that two aliases made at once are counted one after the
/// other, however many calls race to name it.
///
/// # Errors
/// `LimitExceededException`.
pub(crate) async fn check_quota(service: &Service, key: &Key) -> Result<()> {
    let prefix = record::aliases_of(&key.account, &key.region, key.id());
    let quota = service.installation.quotas.max_aliases(&key.account);
    let read = Read::Range { prefix, after: None, limit: quota };
    let held: usize = service.installation.store.read(vec![read]).await?.found.iter().map(Vec::len).sum();
    if held < quota {
        return Ok(());
    }
    let message = format!("A key may have at most {quota} aliases.");
    Err(Error::new(Code::LimitExceeded, message))
}

/// The aliases of a key, as conditions ask for them. Beyond what quotas can allow no Allow by them holds ("ABAC for AWS KMS"): one that
/// nobody could name stands among them then, and conflicts.
pub(crate) fn of_key(key: &Key) -> Values<'_> {
    let names = key.aliases.iter().map(|name| Cow::Borrowed(name.as_str()));
    match key.aliases.len() > ALIASES_LIMIT {
        true => Values::Conflicting(names.chain([Cow::Borrowed("")]).collect()),
        false => Values::Set(names.collect()),
    }
}

/// Finds the key that an alias is to name, and decides about it.
///
/// # Errors
/// `ValidationException` where an alias is given.
pub(crate) async fn target(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    named: &KeyIdentifier,
) -> Result<Authorized<Arc<Key>>> {
    if named.starts_with("alias/") || named.contains(":alias/") {
        return Err(Error::validation("Aliases must refer to keys. Not aliases"));
    }
    load::managed(service, call, action, named, Asks::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        let check =
            |name: &str| changeable(&AliasName(name.to_owned())).map(str::to_owned).map_err(|e| e.code);
        assert_eq!(check("alias/app/main"), Ok("app/main".to_owned()));
        assert_eq!(check("app"), Err(Code::Validation));
        assert_eq!(check("alias/aws/s3"), Err(Code::NotAuthorized));
        assert_eq!(check("alias/"), Err(Code::InvalidAliasName));
    }
}
