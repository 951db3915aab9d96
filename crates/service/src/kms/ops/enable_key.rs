//! Makes a disabled key usable again.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
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
        match key.state {
            KeyState::Enabled | KeyState::Disabled => {}
            _ => return Err(key.invalid_state()),
        }
        if key.state != KeyState::Enabled {
            let changed = Key { state: KeyState::Enabled, ..Key::clone(&key) };
            let writes = vec![Write::Put { name: changed.name(), value: changed.encode()? }];
            call.commit(service, vec![load::unchanged(&key)], writes).await?;
        }
        Ok(())
    }
}
