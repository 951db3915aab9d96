//! Makes a key unusable. When it answers, no copy of the key is left unwrapped in the HSM.

use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, KeyState};
use crate::operation::Operation;
use crate::usage;
use crate::vault;

/// The operation.
pub struct DisableKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
    }
}

impl Operation for DisableKey {
    const NAME: &'static str = "DisableKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let key = load::own(service, call, "kms:DisableKey", &request.key_id).await?;
        let trailing = usage::trailing_days(&service.installation, &key, call.now()).await?;
        let asks = Asks { trailing_days: Some(trailing), ..Asks::default() };
        let key = call.authorize(service, "kms:DisableKey", key, asks).await?;
        call.set_response_key(&key)?;
        key.allows(Self::NAME)?;
        if key.state != KeyState::Disabled {
            let changed = Key { state: KeyState::Disabled, ..Key::clone(&key) };
            let Change { preconditions, writes } = Change::of(&key, &changed)?;
            call.commit(service, preconditions, writes).await?;
        }
        // Also when the key was disabled before: the call that disabled it may not have got this far.
        vault::evict(&*service.vault, &key).await
    }
}
