//! Adds tags to a key, or changes the values of those it has.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, Tags};
use crate::kms::tags;
use crate::operation::Operation;

/// The operation.
pub struct TagResource;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// The tags.
        required tags: Tags = "tags",
    }
}

impl Operation for TagResource {
    const NAME: &'static str = "TagResource";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let asks = Asks { tags: Some(&request.tags.0), ..Asks::default() };
        let key = load::managed(service, call, "kms:TagResource", &request.key_id, asks).await?;
        key.allows(Self::NAME)?;
        tags::check(&request.tags.0)?;
        let mut changed = Key::clone(&key);
        tags::upsert(&mut changed.tags, &request.tags.0)?;
        call.set_response_key(&changed)?;
        let writes = vec![Write::Put { name: changed.name(), value: changed.encode()? }];
        call.commit(service, vec![load::unchanged(&key)], writes).await
    }
}
