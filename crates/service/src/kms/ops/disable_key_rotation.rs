//! Ends the rotation of a key by itself.

use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::kms::shapes::KeyIdentifier;
use crate::kms::{load, members};
use crate::operation::Operation;

/// The operation.
pub struct DisableKeyRotation;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
    }
}

impl Operation for DisableKeyRotation {
    const NAME: &'static str = "DisableKeyRotation";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let key =
            load::managed(service, call, "kms:DisableKeyRotation", &request.key_id, Asks::default()).await?;
        key.allows(Self::NAME)?;
        call.set_response_key(&key)?;
        if key.rotation.is_some() {
            let mut change = Change::default();
            for member in members::of(&key) {
                change.add(&member, &Key { rotation: None, ..Key::clone(&member) })?;
            }
            call.commit(service, change.preconditions, change.writes).await?;
        }
        Ok(())
    }
}
