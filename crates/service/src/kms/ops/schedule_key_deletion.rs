//! Has a key deleted after a waiting period of 7 to 30 days. It cannot be used meanwhile.

use std::sync::Arc;

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::change::Change;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, KeyState, PendingWindowInDays};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct ScheduleKeyDeletion;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Waiting period; 30 days when absent.
        optional pending_window_in_days: PendingWindowInDays = "pendingWindowInDays",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    deletion_date: f64,
    key_state: &'static str,
    pending_window_in_days: u16,
}

/// What the trail shows of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements {
    key_id: Arc<str>,
    key_state: &'static str,
    deletion_date: String,
}

/// Shortest waiting period, in days.
const MIN_DAYS: u16 = 7;
/// Longest waiting period, and the default, in days.
const MAX_DAYS: u16 = 30;

impl Operation for ScheduleKeyDeletion {
    const NAME: &'static str = "ScheduleKeyDeletion";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let days = waiting_period(request.pending_window_in_days)?;
        let asks = Asks { pending_window_days: Some(days), ..Asks::default() };
        let key = load::managed(service, call, "kms:ScheduleKeyDeletion", &request.key_id, asks).await?;
        key.allows(Self::NAME)?;
        let deletion = call.now().plus_days(days);
        let doomed = Key { state: KeyState::PendingDeletion, deletion: Some(deletion), ..Key::clone(&key) };
        let key_state = doomed.state.as_str();
        let elements =
            Elements { key_id: doomed.arn.clone(), key_state, deletion_date: deletion.trail_date() };
        call.set_response(&elements)?;
        let Change { preconditions, writes } = Change::of(&key, &doomed)?;
        call.commit(service, preconditions, writes).await?;
        vault::evict(&*service.vault, &doomed).await?;
        let key_id = doomed.arn;
        Ok(Response { key_id, deletion_date: deletion.epoch(), key_state, pending_window_in_days: days })
    }
}

/// The model bounds the member to 1..365; the service takes 7..30.
fn waiting_period(asked: Option<PendingWindowInDays>) -> Result<u16> {
    let days = asked.map_or(MAX_DAYS, |days| days.0);
    let bound = match days {
        _ if days < MIN_DAYS => format!("greater than or equal to {MIN_DAYS}"),
        _ if days > MAX_DAYS => format!("less than or equal to {MAX_DAYS}"),
        _ => return Ok(days),
    };
    Err(Error::validation(format!(
        "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: Member must \
         have value {bound}"
    )))
}
