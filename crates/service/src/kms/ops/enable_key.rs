//! Makes a disabled key usable again.

use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, KeyState};
use crate::operation::Operation;

/// The operation.
pub struct EnableKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
    }
}

impl Operation for EnableKey {
    const NAME: &'static str = "EnableKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let key = load::managed(service, call, "kms:EnableKey", &request.key_id, Asks::default()).await?;
        call.set_response_key(&key)?;
        key.allows(Self::NAME)?;
        if key.state != KeyState::Enabled {
            let changed = Key { state: KeyState::Enabled, ..Key::clone(&key) };
            let Change { preconditions, writes } = Change::of(&key, &changed)?;
            call.commit(service, preconditions, writes).await?;
        }
        Ok(())
    }
}
