//! Removes a client id from those that tokens of an OpenID Connect provider may be made out for. One that is not there is no error.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::provider;
use crate::iam::shapes::{ArnText, ClientId};
use crate::operation::Operation;

/// The operation.
pub struct RemoveClientIdFromOpenIdConnectProvider;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
        /// The client id.
        required client_id: ClientId = "clientID",
    }
}

impl Operation for RemoveClientIdFromOpenIdConnectProvider {
    const NAME: &'static str = "RemoveClientIDFromOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let action = "iam:RemoveClientIDFromOpenIDConnectProvider";
        let found = provider::load(service, call, action, &request.arn, IamAsks::default()).await?;
        let id = &*request.client_id;
        provider::update(service, call, &found, |changed| {
            changed.client_ids.retain(|known| known != id);
            Ok(())
        })
        .await
    }
}
