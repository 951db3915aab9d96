//! Tells when and for what an access key was last used.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::access_key;
use crate::iam::shapes::AccessKeyId;
use crate::moment::Moment;
use crate::operation::Operation;

/// The operation.
pub struct GetAccessKeyLastUsed;

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
    user_name: String,
    access_key_last_used: LastUsed,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LastUsed {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_date: Option<String>,
    service_name: String,
    region: String,
}

impl Operation for GetAccessKeyLastUsed {
    const NAME: &'static str = "GetAccessKeyLastUsed";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let id = &request.access_key_id;
        let user = access_key::owner(service, call, "iam:GetAccessKeyLastUsed", id).await?;
        let used = service.installation.last_used.of(&*service.installation.store, id);
        let used = used.await?;
        Ok(Response {
            user_name: user.name.clone(),
            access_key_last_used: match used {
                Some(used) => LastUsed {
                    last_used_date: Some(Moment(used.at_ms).iso()),
                    service_name: used.service,
                    region: used.region,
                },
                None => LastUsed {
                    last_used_date: None,
                    service_name: "N/A".to_owned(),
                    region: "N/A".to_owned(),
                },
            },
        })
    }
}
