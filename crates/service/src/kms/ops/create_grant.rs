//! Allows a principal to use a key, within limits.

use claviger_wire::shape;
use serde::Serialize;

use crate::attestation::hex;
use crate::authn::Principal;
use crate::call::grant::GrantAsks;
use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::grant::party::Party;
use crate::kms::grant::place::{self, Count};
use crate::kms::grant::{Grant, token, wanted};
use crate::kms::identifier::Forms;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{
    GrantConstraints, GrantName, GrantOperation, GrantOperations, GrantTokens, KeyIdentifier, PrincipalId,
    ServicePrincipal,
};
use crate::operation::Operation;
use crate::record::grant::TokenRecord;

/// The operation.
pub struct CreateGrant;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Whom the grant is for. Either this or a service.
        optional grantee: PrincipalId = "granteePrincipal",
        /// Who may retire it.
        optional retiring: PrincipalId = "retiringPrincipal",
        /// What it allows.
        required operations: GrantOperations = "operations",
        /// When it allows it.
        optional constraints: GrantConstraints = "constraints",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
        /// With a name, the same request makes one grant, however often it is made.
        optional name: GrantName = "name",
        /// Whether only to say if it would succeed.
        optional dry_run: bool = "dryRun",
        /// The service that the grant is for.
        optional grantee_service: ServicePrincipal = "granteeServicePrincipal",
        /// The service that may retire it.
        optional retiring_service: ServicePrincipal = "retiringServicePrincipal",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    grant_token: String,
    grant_id: String,
}

/// What the trail shows: not the token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements<'a> {
    grant_id: &'a str,
    key_id: &'a str,
}

impl Operation for CreateGrant {
    const NAME: &'static str = "CreateGrant";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let action = "kms:CreateGrant";
        check_parties(request)?;
        let operations = wanted::operations(&request.operations.0)?;
        let constraints = request.constraints.clone().unwrap_or_default();
        wanted::check_constraints(&constraints)?;
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let found = load::key(service, call, action, &request.key_id, Forms::KeyOnly).await?;
        let asks = Asks {
            encryption_context: constraints.context(),
            grant: Some(asks_of(request, &operations, &constraints)),
            ..call.asks_on_grants()
        };
        let key = call.authorize(service, action, found.key, asks).await?;
        tokens.are_of(&[&key])?;
        key.allows(Self::NAME)?;
        wanted::check_fit(&key, &operations, &constraints)?;
        let grant = of_request(service, call, request, &key, operations, constraints).await?;
        let before = place::made_before(service, &grant).await?;
        let count = Count::read(service, key.place()).await?;
        if before.is_none() {
            count.check_quota()?;
        }
        call.not_dry_run(request.dry_run)?;
        let is_new = before.is_none();
        let grant = before.unwrap_or(grant);
        let grant_token = service.installation.grant_tokens.seal(&*service.entropy, &token_of(&grant))?;
        call.set_response(&Elements { grant_id: &grant.id, key_id: &key.arn })?;
        if is_new {
            let Change { mut preconditions, writes } = place::add(&grant, &count)?;
            preconditions.push(load::unchanged(&key));
            call.commit(service, preconditions, writes).await?;
        }
        Ok(Response { grant_token, grant_id: grant.id })
    }
}

/// Checks that the grant is for one, and that at most one may retire it.
fn check_parties(request: &Request) -> Result<()> {
    let Request { grantee, grantee_service, retiring, retiring_service, constraints, .. } = request;
    if grantee.is_some() == grantee_service.is_some() {
        return Err(Error::validation(
            "Exactly one of GranteePrincipal and GranteeServicePrincipal must be specified.",
        ));
    }
    if retiring.is_some() && retiring_service.is_some() {
        return Err(Error::validation(
            "At most one of RetiringPrincipal and RetiringServicePrincipal can be specified.",
        ));
    }
    let has_source = constraints.as_ref().is_some_and(|constraints| constraints.source_arn.is_some());
    if grantee_service.is_some() && !has_source {
        return Err(Error::validation("GranteeServicePrincipal requires a SourceArn constraint."));
    }
    if grantee_service.is_some() && retiring.is_none() && retiring_service.is_none() {
        return Err(Error::validation(
            "GranteeServicePrincipal requires RetiringPrincipal or RetiringServicePrincipal.",
        ));
    }
    Ok(())
}

fn asks_of<'a>(
    request: &'a Request,
    operations: &'a [GrantOperation],
    constraints: &'a GrantConstraints,
) -> GrantAsks<'a> {
    GrantAsks {
        operations,
        constraints,
        grantee: request.grantee.as_deref(),
        grantee_service: request.grantee_service.as_deref(),
        retiring: request.retiring.as_deref(),
        retiring_service: request.retiring_service.as_deref(),
    }
}

/// The grant that a request describes, bound to the principals that it means now.
async fn of_request(
    service: &Service,
    call: &Call<'_>,
    request: &Request,
    key: &Key,
    operations: Vec<GrantOperation>,
    constraints: GrantConstraints,
) -> Result<Grant> {
    let (cache, region) = (&service.installation.cache, call.region());
    let grantee = match (&request.grantee, &request.grantee_service) {
        (Some(arn), _) => Party::of_arn(cache, region, arn).await?,
        (None, Some(name)) => Party::service(name),
        (None, None) => return Err(Error::internal("a grant for nobody was not refused")),
    };
    let retiring = match (&request.retiring, &request.retiring_service) {
        (Some(arn), _) => Some(Party::of_arn(cache, region, arn).await?),
        (None, service) => service.as_deref().map(Party::service),
    };
    let mut id = [0; 32];
    service.entropy.fill(&mut id)?;
    Ok(Grant {
        account: key.account.to_string(),
        region: key.region.to_string(),
        key: key.id().to_owned(),
        id: hex(&id),
        name: request.name.as_deref().map(str::to_owned),
        created: call.now(),
        grantee,
        retiring,
        // A service is of no account: what it makes for itself is the key's account's to retire.
        issuer: match call.caller().principal() {
            Principal::Service => key.account.to_string(),
            _ => call.caller().account().to_owned(),
        },
        operations,
        constraints,
        revision: 0,
    })
}

fn token_of(grant: &Grant) -> TokenRecord {
    TokenRecord {
        account: grant.account.clone(),
        region: grant.region.clone(),
        key: grant.key.clone(),
        grant: grant.id.clone(),
    }
}
