//! Lists the OpenID Connect providers of the account.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::provider;
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListOpenIdConnectProviders;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {}
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(rename = "OpenIDConnectProviderList")]
    providers: Members<Entry>,
}

/// One provider.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    arn: String,
}

impl Operation for ListOpenIdConnectProviders {
    const NAME: &'static str = "ListOpenIDConnectProviders";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, _request: &mut Request) -> Result<Response> {
        call.authorize_iam("iam:ListOpenIDConnectProviders", "*", IamAsks::default())?;
        let region = call.region();
        let all = provider::all(service, call.caller().account()).await?;
        let entries: Vec<_> = all.iter().map(|provider| Entry { arn: provider.arn(region) }).collect();
        Ok(Response { providers: entries.into() })
    }
}
