//! Ends the rotation of a key by itself.

use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::shapes::KeyIdentifier;
use crate::kms::{load, multi_region};
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
            let changed = Key { rotation: None, ..Key::clone(&key) };
            let change = multi_region::share(service, &key, &changed).await?;
            call.commit(service, change.preconditions, change.writes).await?;
        }
        Ok(())
    }
}
