//! Long-term credentials of an account's root user.

use claviger_hsm_proto::CredentialBinding;
use claviger_store::{Commit, Precondition, Read, Write};
use claviger_wire::arn;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::installation::Installation;
use crate::moment::{Entropy, Moment};
use crate::record::{self, AccountRecord, CredentialRecord};
use crate::vault::{self, Vault};

/// Shortest secret access key that may be brought along, in bytes.
pub const MIN_SECRET_LEN: usize = 16;
/// Longest secret access key that may be brought along, in bytes.
pub const MAX_SECRET_LEN: usize = 128;

/// A credential as its owner gets it, once.
pub struct NewCredential {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key. Cleared when dropped.
    pub secret_access_key: Zeroizing<String>,
}

/// Whether the text may be an access key id: 16 to 128 ASCII letters and digits (IAM, `AccessKeyIdType`).
///
/// Nothing that has a meaning in the credential scope or in a store's name may stand in one (attack A17).
pub fn is_access_key_id(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Makes a credential for an account's root user. It is handed over before it is committed: one that its owner does not
/// have would be of no use, and is not made.
///
/// # Errors
/// Where the store or the HSM fails, or whoever it is handed to; nothing was written.
pub async fn create_root(
    installation: &Installation,
    vault: &dyn Vault,
    entropy: &dyn Entropy,
    (account, now): (&str, Moment),
    hand_over: impl FnOnce(&NewCredential) -> Result<(), String>,
) -> Result<NewCredential> {
    let access_key_id = random_id(entropy, "AKIA", ACCESS_KEY_ID_LEN)?;
    let (token, secret_access_key) = create(vault, account, &access_key_id).await?;
    let made = NewCredential { access_key_id, secret_access_key };
    hand_over(&made).map_err(Error::internal)?;
    put(installation, account, &made.access_key_id, token, now).await?;
    Ok(made)
}

/// What became of a credential that an operator brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is the root user's.
    Taken,
    /// It was, until an operator deleted it; it is not taken again.
    Deleted,
}

/// Seals a credential that an operator brings along, replacing one of the same id and account.
///
/// # Errors
/// `ValidationException` for ids and secrets out of bounds or an id of another account; nothing was written.
pub async fn import_root(
    installation: &Installation,
    vault: &dyn Vault,
    account: &str,
    access_key_id: &str,
    secret_access_key: &str,
    now: Moment,
) -> Result<Imported> {
    if !arn::is_account(account) || !is_access_key_id(access_key_id) {
        return Err(Error::validation("the account or access key id is not valid"));
    }
    if !(MIN_SECRET_LEN..=MAX_SECRET_LEN).contains(&secret_access_key.len()) {
        return Err(Error::validation("the secret access key is too short or too long"));
    }
    let deleted = Read::One(record::deleted_root_key(access_key_id));
    if installation.store.read(vec![deleted]).await?.found.iter().flatten().next().is_some() {
        return Ok(Imported::Deleted);
    }
    let binding = CredentialBinding { account, access_key_id };
    let made = vault::create_credential(vault, binding, Some(secret_access_key.as_bytes())).await?;
    put(installation, account, access_key_id, made.token, now).await?;
    Ok(Imported::Taken)
}

/// Whether the account has, or had, a credential of its root user: it begins with one.
///
/// # Errors
/// Where the store fails.
pub async fn had_root(installation: &Installation, account: &str) -> Result<bool> {
    let found = installation.store.read(vec![Read::One(record::account(account))]).await?.found;
    Ok(found.iter().flatten().next().is_some())
}

/// Whether the credential exists and is of the account.
///
/// # Errors
/// Where the store fails.
pub async fn exists(installation: &Installation, account: &str, access_key_id: &str) -> Result<bool> {
    installation.cache.freshen().await?;
    let found = installation.cache.credential(access_key_id).await?;
    Ok(found.is_some_and(|credential| credential.record.account == account))
}

/// Whether an access key id stands for a principal already, of whatever account.
///
/// # Errors
/// Where the store fails.
pub async fn is_taken(installation: &Installation, access_key_id: &str) -> Result<bool> {
    installation.cache.freshen().await?;
    Ok(installation.cache.credential(access_key_id).await?.is_some())
}

async fn put(
    installation: &Installation,
    account: &str,
    access_key_id: &str,
    token: Vec<u8>,
    now: Moment,
) -> Result<()> {
    let name = record::credential(access_key_id);
    let account_name = record::account(account);
    let reads = vec![Read::One(name.clone()), Read::One(account_name.clone())];
    let mut found = installation.store.read(reads).await?.found.into_iter();
    let (found, of_account) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
    let precondition = match found.into_iter().next() {
        None => Precondition::Absent(name.clone()),
        Some(found) => {
            let held: CredentialRecord = record::decode(&found)?;
            if held.account != account || held.principal != "root" {
                return Err(Error::validation("the access key id belongs to someone else"));
            }
            Precondition::Unchanged { name: name.clone(), revision: found.revision }
        }
    };
    let value = record::encode(&CredentialRecord::of_root(account, token, now))?;
    let deleted = Precondition::Absent(record::deleted_root_key(access_key_id));
    let writes = vec![Write::Put { name, value }];
    let mut commit = Commit { preconditions: vec![precondition, deleted], writes };
    let (mut of_account, precondition) = match of_account.into_iter().next() {
        Some(found) => {
            let revision = found.revision;
            (record::decode(&found)?, Precondition::Unchanged { name: account_name.clone(), revision })
        }
        None => (AccountRecord::unnamed(account, now), Precondition::Absent(account_name.clone())),
    };
    if !of_account.root_keys.iter().any(|key| key == access_key_id) {
        of_account.root_keys.push(access_key_id.to_owned());
        commit.preconditions.push(precondition);
        commit.writes.push(Write::Put { name: account_name, value: record::encode(&of_account)? });
    }
    installation.store.commit(commit).await?;
    Ok(())
}

/// Length of a long-term or temporary access key id that is made here, in characters.
pub(crate) const ACCESS_KEY_ID_LEN: usize = 20;

/// A prefix that says what it names, and random characters of base32 (RFC 4648), `len` characters in all.
pub(crate) fn random_id(entropy: &dyn Entropy, prefix: &str, len: usize) -> Result<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = vec![0; len.saturating_sub(prefix.len())];
    entropy.fill(&mut bytes)?;
    let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).map(|letter| char::from(*letter));
    Ok(prefix.chars().chain(bytes.iter().filter_map(letter)).collect())
}

/// Has the HSM make a secret access key and seal it for an access key id.
pub(crate) async fn create(
    vault: &dyn Vault,
    account: &str,
    access_key_id: &str,
) -> Result<(Vec<u8>, Zeroizing<String>)> {
    let made = vault::create_credential(vault, CredentialBinding { account, access_key_id }, None).await?;
    let secret = made.secret.ok_or_else(|| Error::internal("the HSM made a credential without a secret"))?;
    let secret = std::str::from_utf8(&secret).map_err(|_| Error::internal("the HSM's secret is not text"))?;
    Ok((made.token, Zeroizing::new(secret.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::is_access_key_id;

    /// Attack A17: key ids with characters that mean something elsewhere.
    #[test]
    fn a17_access_key_ids_are_letters_and_digits() {
        assert!(is_access_key_id("AKIAIOSFODNN7EXAMPLE"));
        for text in [
            "AKIA/OSFODNN7EXAMPLE",
            "AKIA+OSFODNN7EXAMPLE",
            "AKIAÉOSFODNN7EXAMPL",
            "short",
            &"A".repeat(1024),
        ] {
            assert!(!is_access_key_id(text), "{text}");
        }
    }
}
