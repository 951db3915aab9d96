//! Rotates a key now: new material, or for an imported key the material that waits for it.

use std::sync::Arc;

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::kms::shapes::{KeyIdentifier, Origin};
use crate::kms::{load, multi_region, rotation};
use crate::moment::Moment;
use crate::operation::Operation;

/// The operation.
pub struct RotateKeyOnDemand;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
}

/// Most rotations on demand of one key.
const MAX_ROTATIONS: u16 = 25;
/// How long before an automatic rotation none on demand is taken, in milliseconds.
const AUTOMATIC_MS: i64 = 20 * 60 * 1000;

impl Operation for RotateKeyOnDemand {
    const NAME: &'static str = "RotateKeyOnDemand";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let key =
            load::managed(service, call, "kms:RotateKeyOnDemand", &request.key_id, Asks::default()).await?;
        key.allows(Self::NAME)?;
        check_rotatable(&key, call.now())?;
        let latest = service.installation.latest(call.now());
        if key.origin == Origin::External && !multi_region::awaits_rotation(service, &key, latest).await? {
            let arn = &key.arn;
            let message = format!("No available key material pending rotation for the key: {arn}.");
            return Err(Error::new(Code::KmsInvalidState, message));
        }
        call.set_response_key(&key)?;
        let (change, announcement) = rotation::rotate(service, &key, true, call.now()).await?;
        call.commit(service, change.preconditions, change.writes).await?;
        announcement.deliver(service).await?;
        Ok(Response { key_id: key.arn.clone() })
    }
}

fn check_rotatable(key: &Key, now: Moment) -> Result<()> {
    let arn = &key.arn;
    if key.rotations_on_demand >= MAX_ROTATIONS {
        let message = format!(
            "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be \
             performed for this key: {arn}"
        );
        return Err(Error::new(Code::LimitExceeded, message));
    }
    if key.rotation.is_some_and(|rotation| rotation.next.0.saturating_sub(now.0) <= AUTOMATIC_MS) {
        let message = "The request was rejected because an automatic rotation of this key is currently in progress or \
                       scheduled to begin within the next 20 minutes.";
        return Err(Error::new(Code::Conflict, message));
    }
    Ok(())
}
