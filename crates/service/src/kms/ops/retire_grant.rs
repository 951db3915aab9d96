//! Gives a grant up, as who may retire it. When it answers, no later call is allowed by the grant, on any host.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::grant::GrantAsks;
use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::grant::{self, place, token};
use crate::kms::identifier::Forms;
use crate::kms::key::key_arn;
use crate::kms::load;
use crate::kms::shapes::{GrantId, GrantToken, KeyIdentifier};
use crate::operation::Operation;

/// The operation.
pub struct RetireGrant;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// A token of the grant. Either this, or its key and its id.
        optional grant_token: GrantToken = "grantToken",
        /// Key id or key ARN.
        optional key_id: KeyIdentifier = "keyId",
        /// The grant.
        optional grant_id: GrantId = "grantId",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
    }
}

/// What the trail shows beside the key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Additional<'a> {
    grant_id: &'a str,
}

impl Operation for RetireGrant {
    const NAME: &'static str = "RetireGrant";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        call.hide_parameters();
        let (key_id, id) = named(service, call, request)?;
        let found = load::key(service, call, "kms:RetireGrant", &key_id, Forms::KeyOnly).await?;
        let grant = place::find(service, found.key.place(), &id).await?;
        let caller = call.caller();
        // Of a grant that is not there only the account of the key learns that.
        let right = match &grant {
            Some(grant) => grant.right_to_retire(caller),
            None => grant::right_of_account(caller, &[&found.key.account]),
        };
        let asks = Asks {
            encryption_context: grant.as_ref().and_then(|grant| grant.constraints.context()),
            grant: grant.as_ref().map(|grant| GrantAsks::constrained(&grant.constraints)),
            ..Asks::default()
        };
        let key = call.authorize_retirement(found.key, right, asks)?;
        key.allows(Self::NAME)?;
        call.set_additional(&Additional { grant_id: &id })?;
        let grant = grant.ok_or_else(|| match request.grant_token {
            Some(_) => token::invalid(),
            None => grant::not_found(&id),
        })?;
        call.not_dry_run(request.dry_run)?;
        call.set_response_key(&key)?;
        let Change { preconditions, writes } = place::remove(service, &grant).await?;
        call.commit(service, preconditions, writes).await
    }
}

/// The key and the id of the grant that a request names.
fn named(service: &Service, call: &Call<'_>, request: &Request) -> Result<(KeyIdentifier, String)> {
    match (&request.grant_token, &request.key_id, &request.grant_id) {
        (Some(token), None, None) => {
            let said = service.installation.grant_tokens.open(&token.0)?;
            if said.region != call.region() {
                return Err(token::invalid());
            }
            Ok((KeyIdentifier(key_arn(&said.account, &said.region, &said.key)), said.grant))
        }
        (None, Some(key), Some(id)) => grant::check_id(id).map(|()| (key.clone(), id.0.clone())),
        _ => Err(Error::validation("Either GrantToken, or KeyId and GrantId must be specified.")),
    }
}
