//! Tells which account a long-term access key belongs to. AWS documents no exemption from its permission, as it does for
//! `GetCallerIdentity` and `GetSessionToken`.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::sts::shapes::AccessKeyId;

/// The operation.
pub struct GetAccessKeyInfo;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Which.
        required access_key_id: AccessKeyId = "accessKeyId",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    account: String,
}

impl Operation for GetAccessKeyInfo {
    const NAME: &'static str = "GetAccessKeyInfo";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        call.authorize_iam("sts:GetAccessKeyInfo", "*", IamAsks::default())?;
        let credential = service.installation.cache.credential(&request.access_key_id).await?;
        let unknown = || Error::validation(format!("Invalid AccessKeyId: {}", &*request.access_key_id));
        let account = credential.ok_or_else(unknown)?.record.account.clone();
        Ok(Response { account })
    }
}
