//! Gives what an import needs: a public key to wrap key material with, and the token that belongs to it.

use std::sync::Arc;

use claviger_hsm_proto::ImportTerms;
use claviger_wire::arn;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::import_token::ImportToken;
use crate::kms::shapes::{Blob, KeyIdentifier, WrappingAlgorithm, WrappingKeySpec};
use crate::kms::{import, load};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct GetParametersForImport;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// How the material will be wrapped.
        required wrapping_algorithm: WrappingAlgorithm = "wrappingAlgorithm",
        /// Kind of the wrapping key.
        required wrapping_key_spec: WrappingKeySpec = "wrappingKeySpec",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    import_token: Blob,
    public_key: Blob,
    parameters_valid_to: f64,
}

/// How long the parameters are valid, in days.
const VALID_DAYS: u16 = 1;

impl Operation for GetParametersForImport {
    const NAME: &'static str = "GetParametersForImport";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (algorithm, wrapping_key) = (request.wrapping_algorithm, request.wrapping_key_spec);
        let asks = Asks { wrapping: Some((algorithm, wrapping_key)), ..Asks::default() };
        let key = load::managed(service, call, "kms:GetParametersForImport", &request.key_id, asks).await?;
        key.allows(Self::NAME)?;
        import::check_fit(algorithm, wrapping_key, key.spec, arn::partition(&key.region))?;
        let valid_to = call.now().plus_days(VALID_DAYS);
        let terms = ImportTerms {
            wrapping_key: wrapping_key.as_str(),
            algorithm: algorithm.as_str(),
            valid_to_ms: valid_to.0,
        };
        let parameters = vault::import_parameters(&*service.vault, &key, terms).await?;
        Ok(Response {
            key_id: key.arn.clone(),
            import_token: Blob(ImportToken::new(terms, &parameters.token).write()?),
            public_key: Blob(parameters.public),
            parameters_valid_to: valid_to.epoch(),
        })
    }
}
