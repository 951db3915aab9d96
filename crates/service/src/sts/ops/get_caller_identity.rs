//! Tells a caller who it is. Needs no permission.

use serde::Serialize;

use crate::call::Call;

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    arn: String,
    user_id: String,
    account: String,
}

/// Carries it out.
pub(crate) fn run(call: &mut Call<'_>) -> Response {
    call.needs_no_permission();
    let caller = call.caller();
    Response {
        arn: caller.arn().to_owned(),
        user_id: caller.principal_id().to_owned(),
        account: caller.account().to_owned(),
    }
}
