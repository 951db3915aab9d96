//! Tells of an OpenID Connect provider.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::provider;
use crate::iam::shapes::ArnText;
use crate::iam::views::{self, TagView};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct GetOpenIdConnectProvider;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    url: String,
    #[serde(rename = "ClientIDList")]
    client_ids: Members<String>,
    thumbprint_list: Members<String>,
    create_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Members<TagView>>,
}

impl Operation for GetOpenIdConnectProvider {
    const NAME: &'static str = "GetOpenIDConnectProvider";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let action = "iam:GetOpenIDConnectProvider";
        let found = provider::load(service, call, action, &request.arn, IamAsks::default()).await?;
        Ok(Response {
            url: found.url.clone(),
            client_ids: found.client_ids.clone().into(),
            thumbprint_list: found.thumbprints.clone().into(),
            create_date: found.created.iso(),
            tags: views::tags(&found.tags),
        })
    }
}
