//! Takes back the deletion of a key. The key is disabled afterwards.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, KeyState};
use crate::operation::Operation;

/// The operation.
pub struct CancelKeyDeletion;

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

impl Operation for CancelKeyDeletion {
    const NAME: &'static str = "CancelKeyDeletion";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let key =
            load::managed(service, call, "kms:CancelKeyDeletion", &request.key_id, Asks::default()).await?;
        key.allows(Self::NAME)?;
        let kept =
            Key { state: KeyState::Disabled, deletion: None, pending_window_days: None, ..Key::clone(&key) };
        // An imported key whose material went meanwhile waits for it again.
        let kept = kept.settled();
        call.set_response_key(&kept)?;
        let Change { preconditions, writes } = Change::of(&key, &kept)?;
        call.commit(service, preconditions, writes).await?;
        Ok(Response { key_id: kept.arn })
    }
}
