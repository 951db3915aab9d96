//! Has a key deleted after a waiting period of 7 to 30 days. It cannot be used meanwhile. The period of a primary key that
//! has replicas begins when the last of them is gone.

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
use crate::moment::Moment;
use crate::operation::Operation;
use crate::usage;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<f64>,
    key_state: &'static str,
    pending_window_in_days: u16,
}

/// What the trail shows of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements {
    key_id: Arc<str>,
    key_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_window_in_days: Option<u16>,
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
        let key = load::own(service, call, "kms:ScheduleKeyDeletion", &request.key_id).await?;
        let trailing = usage::trailing_days(&service.installation, &key, call.now()).await?;
        let asks = Asks { pending_window_days: Some(days), trailing_days: Some(trailing), ..Asks::default() };
        let key = call.authorize(service, "kms:ScheduleKeyDeletion", key, asks).await?;
        key.allows(Self::NAME)?;
        let doomed = doomed(&key, call.now(), days);
        let (key_state, deletion) = (doomed.state.as_str(), doomed.deletion);
        call.set_response(&Elements {
            key_id: doomed.arn.clone(),
            key_state,
            deletion_date: deletion.map(Moment::trail_date),
            pending_window_in_days: doomed.pending_window_days,
        })?;
        let Change { preconditions, writes } = Change::of(&key, &doomed)?;
        call.commit(service, preconditions, writes).await?;
        vault::evict(&*service.vault, &doomed).await?;
        let key_id = doomed.arn;
        let deletion_date = deletion.map(Moment::epoch);
        Ok(Response { key_id, deletion_date, key_state, pending_window_in_days: days })
    }
}

/// The key as it waits to be deleted, or for its replicas to be.
fn doomed(key: &Key, now: Moment, days: u16) -> Key {
    if key.has_replicas() {
        let state = KeyState::PendingReplicaDeletion;
        Key { state, pending_window_days: Some(days), ..key.clone() }
    } else {
        Key { state: KeyState::PendingDeletion, deletion: Some(now.plus_days(days)), ..key.clone() }
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
