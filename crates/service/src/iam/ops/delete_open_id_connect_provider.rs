//! Deletes an OpenID Connect provider, and with it every session that it vouched for. One that is not there is no error.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::provider;
use crate::iam::shapes::ArnText;
use crate::operation::Operation;

/// The operation.
pub struct DeleteOpenIdConnectProvider;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// ARN of the provider.
        required arn: ArnText = "openIDConnectProviderArn",
    }
}

impl Operation for DeleteOpenIdConnectProvider {
    const NAME: &'static str = "DeleteOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let action = "iam:DeleteOpenIDConnectProvider";
        let found = provider::find(service, call, action, &request.arn, IamAsks::default()).await?;
        let Some(found) = found else { return Ok(()) };
        call.commit(service, vec![found.unchanged()], vec![Write::Delete(found.record_name())]).await
    }
}
