//! Changes what a key's owner says of it.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{Description, KeyIdentifier};
use crate::operation::Operation;

/// The operation.
pub struct UpdateKeyDescription;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// The new description; may be empty.
        required description: Description = "description",
    }
}

impl Operation for UpdateKeyDescription {
    const NAME: &'static str = "UpdateKeyDescription";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let key = load::managed(service, call, "kms:UpdateKeyDescription", &request.key_id, Asks::default())
            .await?;
        key.allows(Self::NAME)?;
        let changed = Key { description: request.description.to_string(), ..Key::clone(&key) };
        call.set_response_key(&changed)?;
        let writes = vec![Write::Put { name: changed.name(), value: changed.encode()? }];
        call.commit(service, vec![load::unchanged(&key)], writes).await
    }
}
