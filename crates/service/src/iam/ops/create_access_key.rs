//! Makes an access key of a user. Its secret is shown this once; the HSM made and sealed it.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::ExistingUserName;
use crate::iam::{access_key, load};
use crate::operation::Operation;
use crate::query::Secret;

/// The operation.
pub struct CreateAccessKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: ExistingUserName = "userName",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    access_key: AccessKey,
}

/// The one place where a secret access key stands in an answer. It does not print.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKey {
    user_name: String,
    access_key_id: String,
    status: &'static str,
    secret_access_key: Secret,
    create_date: String,
}

impl Operation for CreateAccessKey {
    const NAME: &'static str = "CreateAccessKey";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:CreateAccessKey", named, IamAsks::default()).await?;
        let (key, secret) = access_key::create(service, call, &user).await?;
        Ok(Response {
            access_key: AccessKey {
                user_name: key.user_name,
                access_key_id: key.access_key_id,
                status: key.status,
                secret_access_key: Secret(secret),
                create_date: key.create_date,
            },
        })
    }
}
