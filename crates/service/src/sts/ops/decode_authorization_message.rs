//! Decodes what an error said of a decision in encoded form. No error of Claviger does: those of KMS, IAM and STS say in
//! the clear which policy decided. So no message is one of ours.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::sts::shapes::EncodedMessage;

/// The operation.
pub struct DecodeAuthorizationMessage;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The message.
        required encoded_message: EncodedMessage = "encodedMessage",
    }
}

/// What it would answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    decoded_message: String,
}

impl Operation for DecodeAuthorizationMessage {
    const NAME: &'static str = "DecodeAuthorizationMessage";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(_service: &Service, call: &mut Call<'_>, _request: &mut Request) -> Result<Response> {
        call.authorize_iam("sts:DecodeAuthorizationMessage", "*", IamAsks::default())?;
        Err(Error::new(Code::InvalidAuthorizationMessage, "Message is not valid"))
    }
}
