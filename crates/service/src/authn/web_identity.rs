//! Who an identity provider says is calling: the one kind of caller that signs nothing.
//!
//! Only `AssumeRoleWithWebIdentity` is reached this way ([`Authentication::WebIdentity`](crate::operation)); everything
//! else asks for a signature.

use std::sync::Arc;

use claviger_wire::arn::{self, Arn};
use claviger_wire::codec;
use claviger_wire::fault::Code;
use claviger_wire::json::Value;

use super::Caller;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::provider::{self, Provider};
use crate::moment::Moment;
use crate::oidc::token::{self, Claims, Unverified};
use crate::record::federation::{ClaimRecord, FederationRecord};
use crate::sts::ops::assume_role_with_web_identity::Request;

/// Someone whom an identity provider vouches for. Made of a verified token, and of nothing else.
#[derive(Debug, Clone)]
pub(crate) struct WebIdentity {
    provider: Arc<Provider>,
    subject: String,
    /// For whom the token is, among those that the provider is registered for.
    audience: String,
    claims: Claims,
    federation: FederationRecord,
}

impl WebIdentity {
    fn new(provider: Arc<Provider>, claims: Claims) -> Result<Self> {
        let audiences = token::accepted_audiences(&claims, &provider.client_ids)?;
        let audience = audiences.first().cloned().unwrap_or_default();
        let subject = claims.sub.clone().unwrap_or_default();
        let federation = FederationRecord {
            provider: provider.url.clone(),
            provider_id: provider.id.clone(),
            claims: conditions(&claims, audiences),
        };
        Ok(Self { provider, subject, audience, claims, federation })
    }

    /// The provider that vouches.
    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// `sub`
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// For whom the token is.
    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    /// Everything that the token says.
    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What a session of it carries on.
    pub(crate) fn federation(&self) -> &FederationRecord {
        &self.federation
    }
}

/// The claims that conditions may ask for ("Available keys for AWS OIDC federation").
fn conditions(claims: &Claims, audiences: Vec<String>) -> Vec<ClaimRecord> {
    let mut all: Vec<ClaimRecord> = Vec::new();
    let mut add = |name: &str, values: &[String]| {
        if !values.is_empty() {
            all.push(ClaimRecord { name: name.to_owned(), values: values.to_vec() });
        }
    };
    add("aud", &audiences);
    add("sub", claims.sub.as_slice());
    add("amr", claims.amr.as_ref().map_or(&[], token::OneOrMore::all));
    add("azp", claims.azp.as_slice());
    add("email", claims.email.as_slice());
    if claims.azp.is_some() {
        add("oaud", claims.aud.as_ref().map_or(&[], token::OneOrMore::all));
    }
    all
}

/// Authenticates the caller of `AssumeRoleWithWebIdentity` by the token in its request.
///
/// # Errors
/// What is wrong with the request or the token. Nobody is authenticated then, so nothing of it reaches the trail.
pub(crate) async fn authenticate(service: &Service, body: &Value<'_>, now: Moment) -> Result<Arc<Caller>> {
    let request: Request = codec::decode(body)?;
    if request.provider_id.is_some() {
        let text =
            "ProviderId is for OAuth 2.0 access tokens, which are not served; OpenID Connect needs none.";
        return Err(Error::new(Code::InvalidParameterValue, text));
    }
    let account = Arn::parse(&request.role_arn).map(|arn| arn.account).filter(|it| arn::is_account(it));
    let account = account.ok_or_else(|| Error::validation(format!("{} is invalid", &*request.role_arn)))?;
    let token = Unverified::read(&request.web_identity_token.0)?;
    let unknown =
        || token::invalid(format!("No OpenIDConnect provider found in your account for {}", token.issuer()));
    if !service.installation.cache.account_is_open(account).await? {
        return Err(unknown());
    }
    let address = provider::address(token.issuer()).ok_or_else(unknown)?;
    let provider = provider::of_address(&service.installation.cache, account, address).await?;
    let provider = provider.ok_or_else(unknown)?;
    // The clock of what expires: a token does not live again because a clock is set back.
    let latest = service.installation.latest(now);
    token.check(&provider.client_ids, latest)?;
    let keys = service.installation.issuers.keys_for(&provider, &token, latest).await?;
    let claims = keys.verify(&token)?;
    let identity = WebIdentity::new(provider, claims)?;
    Ok(Arc::new(Caller::of_web_identity(identity, service.installation.home_region())))
}
