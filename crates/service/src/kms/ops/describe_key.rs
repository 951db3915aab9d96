//! Describes a key.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::grant::token;
use crate::kms::identifier::Forms;
use crate::kms::load;
use crate::kms::metadata::KeyMetadata;
use crate::kms::shapes::{GrantTokens, KeyIdentifier};
use crate::operation::Operation;

/// The operation.
pub struct DescribeKey;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id, key ARN, alias name or alias ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Grant tokens.
        optional grant_tokens: GrantTokens = "grantTokens",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_metadata: KeyMetadata,
}

impl Operation for DescribeKey {
    const NAME: &'static str = "DescribeKey";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tokens = token::presented(service, request.grant_tokens.as_ref())?;
        let found = load::key(service, call, "kms:DescribeKey", &request.key_id, Forms::KeyOrAlias).await?;
        let key = call.authorize(service, "kms:DescribeKey", found.key.clone(), found.asks()).await?;
        tokens.are_of(&[&key])?;
        Ok(Response { key_metadata: KeyMetadata::of(&key) })
    }
}
