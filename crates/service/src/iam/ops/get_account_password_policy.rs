//! Tells what passwords of the account must be like.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::login;
use crate::operation::Operation;

/// The operation.
pub struct GetAccountPasswordPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {}
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    password_policy: Policy,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    minimum_password_length: u32,
    require_symbols: bool,
    require_numbers: bool,
    require_uppercase_characters: bool,
    require_lowercase_characters: bool,
    allow_users_to_change_password: bool,
    expire_passwords: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_password_age: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_reuse_prevention: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard_expiry: Option<bool>,
}

impl Operation for GetAccountPasswordPolicy {
    const NAME: &'static str = "GetAccountPasswordPolicy";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, _request: &mut Request) -> Result<Response> {
        call.authorize_iam("iam:GetAccountPasswordPolicy", "*", IamAsks::default())?;
        let account = call.caller().account();
        let Some((policy, _)) = login::policy(service, account).await? else {
            let text = format!("The Password Policy with domain name {account} cannot be found.");
            return Err(Error::new(Code::NoSuchEntity, text));
        };
        Ok(Response {
            password_policy: Policy {
                minimum_password_length: policy.minimum_length,
                require_symbols: policy.symbols,
                require_numbers: policy.numbers,
                require_uppercase_characters: policy.uppercase,
                require_lowercase_characters: policy.lowercase,
                allow_users_to_change_password: policy.users_may_change,
                expire_passwords: policy.max_age_days.is_some(),
                max_password_age: policy.max_age_days,
                password_reuse_prevention: policy.reuse_prevention,
                hard_expiry: policy.hard_expiry,
            },
        })
    }
}
