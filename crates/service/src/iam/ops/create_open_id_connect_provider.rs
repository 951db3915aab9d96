//! Registers an OpenID Connect provider, whose tokens may then be exchanged for sessions of roles that trust it.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::credential;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::lifecycle::ID_LEN;
use crate::iam::provider::{self, Provider};
use crate::iam::shapes::{ClientIds, ContextProvider, IdentityCenterArn, ProviderUrl, Tags, Thumbprints};
use crate::iam::tags;
use crate::iam::views::{self, TagView};
use crate::operation::Operation;
use crate::query::{self, Members};

/// The operation.
pub struct CreateOpenIdConnectProvider;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its address: the `iss` of its tokens.
        required url: ProviderUrl = "url",
        /// For whom its tokens must be made out.
        optional client_ids: ClientIds = "clientIDList",
        /// Fingerprints of authorities that vouch for its servers, where those that are configured do not.
        optional thumbprints: Thumbprints = "thumbprintList",
        /// Its tags.
        optional tags: Tags = "tags",
        /// What IAM Identity Center is told of whom it vouches for: not served.
        optional context_provider: ContextProvider = "contextProvider",
        /// Instance of IAM Identity Center: not served.
        optional identity_center: IdentityCenterArn = "identityCenterInstanceArn",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(rename = "OpenIDConnectProviderArn")]
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Members<TagView>>,
}

impl Operation for CreateOpenIdConnectProvider {
    const NAME: &'static str = "CreateOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tags = tags::checked(request.tags.as_ref().map(|tags| &*tags.0))?;
        let url = provider::checked_address(&request.url)?;
        let (region, account) = (call.region(), call.caller().account());
        let arn = provider::arn_of(region, account, url);
        let asks = IamAsks { tags: (!tags.is_empty()).then_some(&*tags), ..IamAsks::default() };
        call.authorize_iam("iam:CreateOpenIDConnectProvider", &arn, asks)?;
        if !tags.is_empty() {
            call.authorize_iam("iam:TagOpenIDConnectProvider", &arn, asks)?;
        }
        if request.context_provider.is_some() || request.identity_center.is_some() {
            let text = "IAM Identity Center is not served by this version of Claviger.";
            return Err(Error::new(Code::UnsupportedOperation, text));
        }
        let ids = request.client_ids.iter().flat_map(|ids| &ids.0).map(|id| &**id);
        let prints = request.thumbprints.iter().flat_map(|prints| &prints.0).map(|print| &**print);
        let made = Provider {
            account: account.into(),
            url: url.to_owned(),
            id: credential::random_id(&*service.entropy, "", ID_LEN)?,
            client_ids: provider::checked_client_ids(ids)?,
            thumbprints: provider::checked_thumbprints(prints)?,
            created: call.now(),
            tags,
            revision: 0,
        };
        let response = Response { arn, tags: views::tags(&made.tags) };
        call.set_response(&query::trail_form(&response))?;
        provider::create(service, call, &made).await?;
        Ok(response)
    }
}
