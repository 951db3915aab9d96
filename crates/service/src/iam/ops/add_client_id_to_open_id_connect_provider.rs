//! Adds a client id to those that tokens of an OpenID Connect provider may be made out for. One that is there already is no error.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::provider;
use crate::iam::shapes::{ArnText, ClientId};
use crate::operation::Operation;

/// The operation.
pub struct AddClientIdToOpenIdConnectProvider;

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

impl Operation for AddClientIdToOpenIdConnectProvider {
    const NAME: &'static str = "AddClientIDToOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let action = "iam:AddClientIDToOpenIDConnectProvider";
        let found = provider::load(service, call, action, &request.arn, IamAsks::default()).await?;
        let id = &*request.client_id;
        provider::update(service, call, &found, |changed| {
            let known = found.client_ids.iter().map(String::as_str);
            changed.client_ids = provider::checked_client_ids(known.chain([id]))?;
            Ok(())
        })
        .await
    }
}
