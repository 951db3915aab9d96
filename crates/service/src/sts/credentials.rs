//! Temporary credentials: an access key id and a secret of their own, and the token that says what they are good for.

use claviger_wire::fault::Code;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::authn::session::MAX_TOKEN_LEN;
use crate::call::Call;
use crate::credential::{self, ACCESS_KEY_ID_LEN};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::moment::Moment;
use crate::query::Secret;
use crate::record::iam::SessionRecord;

/// Credentials as an answer shows them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Secret,
    expiration: String,
}

/// Credentials as the trail shows them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    access_key_id: String,
    expiration: String,
}

impl Credentials {
    pub(super) fn shown(&self) -> Shown {
        Shown { access_key_id: self.access_key_id.clone(), expiration: self.expiration.clone() }
    }
}

/// A session of `principal` in `account` that begins now and is good for so many seconds; the rest is empty.
pub(super) fn session(
    service: &Service,
    call: &Call<'_>,
    (account, principal): (&str, &str),
    seconds: u32,
) -> Result<SessionRecord> {
    let now = call.now().0;
    Ok(SessionRecord {
        account: account.to_owned(),
        access_key_id: credential::random_id(&*service.entropy, "ASIA", ACCESS_KEY_ID_LEN)?,
        secret: Vec::new(),
        issued_ms: now,
        expires_ms: now.saturating_add(i64::from(seconds).saturating_mul(1000)),
        principal: principal.to_owned(),
        name: None,
        source_key: None,
        policy: None,
        managed: Vec::new(),
        tags: Vec::new(),
        transitive: Vec::new(),
        source_identity: None,
        federation: None,
        mfa_ms: None,
        federated_user: None,
    })
}

/// Has the HSM make the secret, and seals the token.
///
/// # Errors
/// `PackedPolicyTooLarge` where the token would be too long to carry.
pub(super) async fn issue(
    service: &Service,
    call: &mut Call<'_>,
    mut session: SessionRecord,
) -> Result<Credentials> {
    call.gives_credentials = true;
    let (secret, clear) =
        credential::create(&*service.vault, &session.account, &session.access_key_id).await?;
    session.secret = secret;
    let token = service.installation.sessions.seal(&session)?;
    if token.len() > MAX_TOKEN_LEN {
        let text = "Packed policy consumes more than 100% of allotted space, please use smaller policy.";
        return Err(Error::new(Code::PackedPolicyTooLarge, text));
    }
    Ok(Credentials {
        access_key_id: session.access_key_id,
        secret_access_key: Secret(clear),
        session_token: Secret(Zeroizing::new(token)),
        expiration: Moment(session.expires_ms).iso(),
    })
}
