//! Random bytes from the HSM.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::recipient;
use crate::kms::shapes::{Blob, CustomKeyStoreId, Disclosed, NumberOfBytes, Recipient};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct GenerateRandom;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// How many bytes, 1 to 1,024.
        optional number_of_bytes: NumberOfBytes = "numberOfBytes",
        /// Custom key store to take them from.
        optional custom_key_store_id: CustomKeyStoreId = "customKeyStoreId",
        /// An attested recipient.
        optional recipient: Recipient = "recipient",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Disclosed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
}

impl Operation for GenerateRandom {
    const NAME: &'static str = "GenerateRandom";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let Some(length) = request.number_of_bytes else {
            return Err(Error::validation("NumberOfBytes is required."));
        };
        let attested = recipient::attested(service, call, request.recipient.as_ref())?;
        let attested = attested.as_ref();
        call.authorize_account("kms:GenerateRandom", Asks { attested, of_no_key: true, ..Asks::default() })?;
        if request.custom_key_store_id.is_some() {
            let message = "CustomKeyStoreId is not served by this version of Claviger.";
            return Err(Error::new(Code::UnsupportedOperation, message));
        }
        let (plaintext, ciphertext_for_recipient) =
            vault::random(&*service.vault, length.0, attested).await?.members();
        call.set_used(None, attested)?;
        Ok(Response { plaintext, ciphertext_for_recipient })
    }
}
