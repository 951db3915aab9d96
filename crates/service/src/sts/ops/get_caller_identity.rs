//! Tells a caller who it is. Needs no permission.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::operation::Operation;

/// The operation.
pub struct GetCallerIdentity;

shape! {
    /// What it takes: nothing.
    #[derive(Debug)]
    pub struct Request {}
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    arn: String,
    user_id: String,
    account: String,
}

impl Operation for GetCallerIdentity {
    const NAME: &'static str = "GetCallerIdentity";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(_service: &Service, call: &mut Call<'_>, _request: &mut Request) -> Result<Response> {
        call.needs_no_permission("sts:GetCallerIdentity")?;
        let caller = call.caller();
        Ok(Response {
            arn: caller.arn().to_owned(),
            user_id: caller.principal_id().to_owned(),
            account: caller.account().to_owned(),
        })
    }
}
