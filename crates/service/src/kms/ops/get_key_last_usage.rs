//! Tells what a key was last used for. What is known of it is a minute old at most ([`crate::usage`]).

use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::load;
use crate::kms::shapes::KeyIdentifier;
use crate::moment::Moment;
use crate::operation::Operation;
use crate::usage::{self, Use};

/// The operation.
pub struct GetKeyLastUsage;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: String,
    key_last_usage: KeyLastUsage,
    tracking_start_date: f64,
    key_creation_date: f64,
}

/// Empty for a key that was not used.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyLastUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_trail_event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_request_id: Option<String>,
}

impl KeyLastUsage {
    /// In whole seconds, as AWS answers and as its event has it; but nothing was used before its uses are tracked, which
    /// is known to the millisecond.
    fn of(used: &Use, tracked_since: Moment) -> Self {
        Self {
            operation: Some(used.operation.as_str()),
            timestamp: Some(used.at.whole_seconds().max(tracked_since).epoch()),
            cloud_trail_event_id: Some(used.event_id.to_string()),
            kms_request_id: Some(used.request_id.to_string()),
        }
    }
}

impl Operation for GetKeyLastUsage {
    const NAME: &'static str = "GetKeyLastUsage";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let asks = Asks::default();
        let key = load::managed(service, call, "kms:GetKeyLastUsage", &request.key_id, asks).await?;
        let installation = &service.installation;
        let last = usage::last(installation, &key).await?;
        let tracked_since = usage::tracked_since(installation, &key);
        Ok(Response {
            key_id: key.id().to_owned(),
            key_last_usage: last.map(|used| KeyLastUsage::of(&used, tracked_since)).unwrap_or_default(),
            tracking_start_date: tracked_since.epoch(),
            key_creation_date: key.created.epoch(),
        })
    }
}
