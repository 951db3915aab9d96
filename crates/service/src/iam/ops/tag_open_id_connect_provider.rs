//! Adds tags to an OpenID Connect provider, replacing those of the same key.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::{ArnText, Tags};
use crate::iam::{provider, tags};
use crate::operation::Operation;

/// The operation.
pub struct TagOpenIdConnectProvider;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
        /// The tags.
        required tags: Tags = "tags",
    }
}

impl Operation for TagOpenIdConnectProvider {
    const NAME: &'static str = "TagOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let given = tags::checked(Some(&request.tags.0))?;
        let asks = IamAsks { tags: Some(&given), ..IamAsks::default() };
        let found = provider::load(service, call, "iam:TagOpenIDConnectProvider", &request.arn, asks).await?;
        provider::update(service, call, &found, |changed| tags::add(&mut changed.tags, &given)).await
    }
}
