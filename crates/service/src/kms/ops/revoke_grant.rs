//! Takes a grant away, as who administers its key. When it answers, no later call is allowed by the grant, on any host.

use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::change::Change;
use crate::kms::grant::{self, place};
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::shapes::{GrantId, KeyIdentifier};
use crate::operation::Operation;

/// The operation.
pub struct RevokeGrant;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// The grant.
        required grant_id: GrantId = "grantId",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

impl Operation for RevokeGrant {
    const NAME: &'static str = "RevokeGrant";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let action = "kms:RevokeGrant";
        grant::check_id(&request.grant_id)?;
        let found = load::key(service, call, action, &request.key_id, Forms::KeyOnly).await?;
        let key = call.authorize(service, action, found.key, call.asks_on_grants()).await?;
        key.allows(Self::NAME)?;
        let id = &request.grant_id;
        let grant = place::find(service, key.place(), id).await?.ok_or_else(|| grant::not_found(id))?;
        call.not_dry_run(request.dry_run)?;
        call.set_response_key(&key)?;
        let Change { preconditions, writes } = place::remove(service, &grant).await?;
        call.commit(service, preconditions, writes).await
    }
}
