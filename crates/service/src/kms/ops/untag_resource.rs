//! Removes tags from a key. A tag that the key does not have is no error.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, TagKeys};
use crate::kms::tags;
use crate::operation::Operation;

/// The operation.
pub struct UntagResource;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Keys of the tags.
        required tag_keys: TagKeys = "tagKeys",
    }
}

impl Operation for UntagResource {
    const NAME: &'static str = "UntagResource";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let asks = Asks { tag_keys: Some(&request.tag_keys.0), ..Asks::default() };
        let key = load::managed(service, call, "kms:UntagResource", &request.key_id, asks).await?;
        key.allows(Self::NAME)?;
        request.tag_keys.0.iter().try_for_each(tags::check_key)?;
        let mut changed = Key::clone(&key);
        changed.tags.retain(|(name, _)| !request.tag_keys.0.iter().any(|gone| **gone == **name));
        call.set_response_key(&changed)?;
        let writes = vec![Write::Put { name: changed.name(), value: changed.encode()? }];
        call.commit(service, vec![load::unchanged(&key)], writes).await
    }
}
