//! Replaces the fingerprints of the authorities that vouch for the servers of an OpenID Connect provider.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::provider;
use crate::iam::shapes::{ArnText, Thumbprints};
use crate::operation::Operation;

/// The operation.
pub struct UpdateOpenIdConnectProviderThumbprint;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
        /// The fingerprints.
        required thumbprints: Thumbprints = "thumbprintList",
    }
}

impl Operation for UpdateOpenIdConnectProviderThumbprint {
    const NAME: &'static str = "UpdateOpenIDConnectProviderThumbprint";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let action = "iam:UpdateOpenIDConnectProviderThumbprint";
        let found = provider::load(service, call, action, &request.arn, IamAsks::default()).await?;
        let prints = provider::checked_thumbprints(request.thumbprints.0.iter().map(|print| &**print))?;
        provider::update(service, call, &found, |changed| {
            changed.thumbprints = prints;
            Ok(())
        })
        .await
    }
}
