//! Takes back the deletion of a key. The key is disabled afterwards.

use std::sync::Arc;

use claviger_store::Write;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, KeyState};
use crate::operation::Operation;
use crate::record;

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
        let deletion = match (key.state, key.deletion) {
            (KeyState::PendingDeletion, Some(deletion)) => deletion,
            (KeyState::PendingDeletion, None) => return Err(Error::internal("a key to delete has no date")),
            _ => return Err(not_pending(&key)),
        };
        let kept = Key { state: KeyState::Disabled, deletion: None, ..Key::clone(&key) };
        call.set_response_key(&kept)?;
        let writes = vec![
            Write::Put { name: kept.name(), value: kept.encode()? },
            Write::Delete(record::due(deletion.0, &kept.account, &kept.region, &kept.id)),
        ];
        call.commit(service, vec![load::unchanged(&key)], writes).await?;
        service.installation.deletions.notify_one();
        Ok(Response { key_id: kept.arn })
    }
}

/// Key states, code 4: every other state answers the same.
fn not_pending(key: &Key) -> Error {
    let message = format!("{} is not pending deletion.", key.arn);
    Error::new(claviger_wire::fault::Code::KmsInvalidState, message)
}
