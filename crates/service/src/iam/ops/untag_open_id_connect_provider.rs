//! Takes tags of an OpenID Connect provider away.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::{ArnText, TagKeys};
use crate::iam::{provider, tags};
use crate::operation::Operation;

/// The operation.
pub struct UntagOpenIdConnectProvider;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
        /// Keys of the tags.
        required tag_keys: TagKeys = "tagKeys",
    }
}

impl Operation for UntagOpenIdConnectProvider {
    const NAME: &'static str = "UntagOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let names: Vec<String> = request.tag_keys.0.iter().map(|key| key.to_string()).collect();
        let asks = IamAsks { tag_keys: Some(&names), ..IamAsks::default() };
        let found =
            provider::load(service, call, "iam:UntagOpenIDConnectProvider", &request.arn, asks).await?;
        let keys = &request.tag_keys.0;
        provider::update(service, call, &found, |changed| {
            tags::remove(&mut changed.tags, keys);
            Ok(())
        })
        .await
    }
}
