//! Tells whether a key rotates by itself, and when it will.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, KeyState};
use crate::operation::Operation;

/// The operation.
pub struct GetKeyRotationStatus;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
    }
}

/// What it answers. A rotation on demand is done when its call is answered, so none is ever seen running.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_rotation_enabled: bool,
    key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_in_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<f64>,
}

impl Operation for GetKeyRotationStatus {
    const NAME: &'static str = "GetKeyRotationStatus";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        // Works across accounts, unlike what changes the rotation.
        let action = "kms:GetKeyRotationStatus";
        let found = load::key(service, call, action, &request.key_id, Forms::KeyOnly).await?;
        let key = call.authorize(service, action, found.key, Asks::default()).await?;
        key.allows(Self::NAME)?;
        let is_doomed = matches!(key.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion);
        let rotation = key.rotation.filter(|_| !is_doomed);
        Ok(Response {
            key_rotation_enabled: rotation.is_some(),
            key_id: key.id().to_owned(),
            rotation_period_in_days: rotation.map(|rotation| rotation.period_days),
            next_rotation_date: rotation.map(|rotation| rotation.next.epoch()),
        })
    }
}
