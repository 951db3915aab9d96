//! What only roles have.

use claviger_wire::fault::Code;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::document::{self, Bound};
use crate::iam::identity::{Identity, Role};
use crate::iam::shapes::MaxSigninSessionDuration;

/// Most characters of a trust policy, white space apart (quota).
const MAX_TRUST: usize = 2_048;

/// A trust policy that someone wants to put.
///
/// # Errors
/// `MalformedPolicyDocument`, `LimitExceeded`.
pub(crate) async fn trust(service: &Service, text: &str) -> Result<Bound> {
    if document::counted(text) > MAX_TRUST {
        let message = format!("Cannot exceed quota for ACLSizePerRole: {MAX_TRUST}");
        return Err(Error::new(Code::LimitExceeded, message));
    }
    Bound::trust(&service.installation.cache, text).await
}

/// Changes what only roles have. Answers the role as it is then.
pub(crate) async fn update(
    service: &Service,
    call: &mut Call<'_>,
    role: &Identity,
    change: impl FnOnce(&mut Role) + Send,
) -> Result<Identity> {
    let mut only = role.as_role()?.clone();
    change(&mut only);
    let changed = Identity { role: Some(only), ..role.clone() };
    call.commit(service, vec![role.unchanged()], vec![changed.put()?]).await?;
    Ok(changed)
}

/// Refuses a limit of console sessions: there are none, and keeping it would promise that it is held.
pub(crate) fn no_signin(limit: Option<MaxSigninSessionDuration>) -> Result<()> {
    match limit {
        Some(_) => Err(Error::new(
            Code::UnsupportedOperation,
            "MaxSigninSessionDuration is not served by this version of Claviger.",
        )),
        None => Ok(()),
    }
}
