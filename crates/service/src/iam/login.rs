//! Passwords of users, with which they will sign in to the console.

use claviger_store::{Precondition, Read, Revision, Write};
use claviger_wire::fault::Code;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::Identity;
use crate::iam::password::{self, SALT_LEN};
use crate::iam::shapes::Password;
use crate::moment::Moment;
use crate::record::{self, login::PasswordPolicyRecord, login::ProfileRecord};

/// A password's record as it stands.
pub(crate) struct Profile {
    pub(crate) record: ProfileRecord,
    revision: Revision,
}

/// What answers show of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProfileView {
    user_name: String,
    create_date: String,
    password_reset_required: bool,
}

impl ProfileView {
    pub(crate) fn of(user: &Identity, record: &ProfileRecord) -> Self {
        Self {
            user_name: user.name.clone(),
            create_date: Moment(record.created_ms).iso(),
            password_reset_required: record.reset_required,
        }
    }
}

fn name(user: &Identity) -> Vec<u8> {
    record::login::profile(&user.account, &user.id)
}

/// The password of a user, if it has one.
pub(crate) async fn find(service: &Service, user: &Identity) -> Result<Option<Profile>> {
    let found = service.installation.store.read(vec![Read::One(name(user))]).await?.found;
    let decode = |found: &claviger_store::Record| {
        Ok(Profile { record: record::decode(found)?, revision: found.revision })
    };
    found.iter().flatten().next().map(decode).transpose()
}

/// The password of a user.
///
/// # Errors
/// `NoSuchEntity`.
pub(crate) async fn load(service: &Service, user: &Identity) -> Result<Profile> {
    let missing = || format!("Login Profile for User {} cannot be found.", user.name);
    find(service, user).await?.ok_or_else(|| Error::new(Code::NoSuchEntity, missing()))
}

/// What passwords of an account must be like, where somebody has said so, and the revision that says it.
pub(crate) async fn policy(
    service: &Service,
    account: &str,
) -> Result<Option<(PasswordPolicyRecord, Revision)>> {
    let read = Read::One(record::login::policy(account));
    let found = service.installation.store.read(vec![read]).await?.found;
    found.iter().flatten().next().map(|found| Ok((record::decode(found)?, found.revision))).transpose()
}

/// A password that may be given to a user of an account.
pub(crate) struct Fit<'a> {
    password: &'a Password,
    /// How many of those before it must not be.
    remembered: usize,
}

/// Checks a password against what the account's must be like. To be asked before anything is hashed.
///
/// # Errors
/// `PasswordPolicyViolation`.
pub(crate) async fn fit<'a>(service: &Service, account: &str, given: &'a Password) -> Result<Fit<'a>> {
    let policy = policy(service, account).await?.map(|(policy, _)| policy);
    password::check(policy.as_ref(), account, &given.0)?;
    let remembered = policy.and_then(|policy| policy.reuse_prevention).unwrap_or_default();
    Ok(Fit { password: given, remembered: usize::try_from(remembered).unwrap_or(usize::MAX) })
}

/// Gives a user its first password. The user is written, too, so that one who is deleting it meets a conflict.
///
/// # Errors
/// `EntityAlreadyExists`, `PasswordPolicyViolation`, `Throttling`.
pub(crate) async fn create(
    service: &Service,
    call: &mut Call<'_>,
    user: &Identity,
    (given, reset_required): (&Password, bool),
) -> Result<ProfileRecord> {
    if find(service, user).await?.is_some() {
        let text = format!("Login Profile for user {} already exists.", user.name);
        return Err(Error::new(Code::EntityAlreadyExists, text));
    }
    let given = fit(service, &user.account, given).await?.password.clone();
    let mut salt = [0; SALT_LEN];
    service.entropy.fill(&mut salt)?;
    let now_ms = call.now().0;
    let turn = service.installation.hashing.turn().await?;
    let made = turn.run(move |pepper| pepper.first(&given.0, salt, now_ms)).await??;
    let made = ProfileRecord { reset_required, ..made };
    let shown = serde_json::json!({ "loginProfile": ProfileView::of(user, &made) });
    call.set_response(&crate::query::trail_form(&shown))?;
    let writes = vec![Write::Put { name: name(user), value: record::encode(&made)? }, user.put()?];
    call.commit(service, vec![Precondition::Absent(name(user)), user.unchanged()], writes).await?;
    Ok(made)
}

/// Gives a user another password, or asks it to change the one it has.
///
/// # Errors
/// `PasswordPolicyViolation` where it was used before, `Throttling`.
pub(crate) async fn update(
    service: &Service,
    call: &mut Call<'_>,
    user: &Identity,
    profile: &Profile,
    (given, reset_required): (Option<Fit<'_>>, Option<bool>),
) -> Result<()> {
    let mut changed = match given {
        None => profile.record.clone(),
        Some(Fit { password, remembered }) => {
            let (record, given, now_ms) = (profile.record.clone(), password.clone(), call.now().0);
            let turn = service.installation.hashing.turn().await?;
            turn.run(move |pepper| pepper.changed(&record, &given.0, remembered, now_ms)).await??
        }
    };
    changed.reset_required = reset_required.unwrap_or(changed.reset_required);
    let write = Write::Put { name: name(user), value: record::encode(&changed)? };
    call.commit(service, vec![unchanged(user, profile)], vec![write]).await
}

/// Takes a user's password away.
pub(crate) async fn delete(
    service: &Service,
    call: &mut Call<'_>,
    user: &Identity,
    profile: &Profile,
) -> Result<()> {
    call.commit(service, vec![unchanged(user, profile)], vec![Write::Delete(name(user))]).await
}

fn unchanged(user: &Identity, profile: &Profile) -> Precondition {
    Precondition::Unchanged { name: name(user), revision: profile.revision }
}

/// Whether the password is the user's. Too many wrong ones are answered like wrong ones for a while.
///
/// # Errors
/// `Throttling`.
pub(crate) async fn is_right(
    service: &Service,
    user: &Identity,
    profile: &Profile,
    given: &Password,
    now: Moment,
) -> Result<bool> {
    let name = name(user);
    let turn = service.installation.hashing.turn().await?;
    // Counted before it is known whether it is right: who goes away meanwhile has guessed, too.
    let Some(guess) = service.installation.guesses.count(&name, now) else {
        return Ok(false);
    };
    let (record, given) = (profile.record.clone(), given.clone());
    let right = turn.run(move |pepper| pepper.verify(&record, &given.0)).await?.is_ok_and(|right| right);
    if right {
        guess.was_right();
    }
    Ok(right)
}
