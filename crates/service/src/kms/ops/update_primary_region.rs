//! Makes a replica of a multi-Region key its primary key, and the primary key a replica.
//!
//! One commit changes the whole set, so no key is ever seen in the state `Updating`.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::key_arn;
use crate::kms::shapes::{KeyIdentifier, RegionName};
use crate::kms::{load, multi_region};
use crate::operation::Operation;

/// The operation.
pub struct UpdatePrimaryRegion;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN of the primary key.
        required key_id: KeyIdentifier = "keyId",
        /// Region of the replica that becomes the primary key.
        required primary_region: RegionName = "primaryRegion",
    }
}

/// What the trail of the new primary key's Region shows of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements<'a> {
    key_id: &'a str,
}

/// The permission it needs on both keys.
const ACTION: &str = "kms:UpdatePrimaryRegion";

impl Operation for UpdatePrimaryRegion {
    const NAME: &'static str = "UpdatePrimaryRegion";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let region = &*request.primary_region;
        let asks = Asks { primary_region: Some(region), ..Asks::default() };
        let primary = load::managed(service, call, ACTION, &request.key_id, asks).await?;
        primary.allows(Self::NAME)?;
        let regions = primary.as_primary()?;
        if regions.primary == region {
            let message = format!("{} is the multi-region primary key already.", primary.arn);
            return Err(Error::new(Code::UnsupportedOperation, message));
        }
        let missing = || {
            let arn = key_arn(&primary.account, region, primary.id());
            Error::new(Code::NotFound, format!("Key '{arn}' does not exist"))
        };
        if !regions.contains(region) {
            return Err(missing());
        }
        call.charge_elsewhere(region, Self::NAME, 1)?;
        let found = load::by_id(service, &primary.account, region, primary.id()).await?;
        let replica = load::as_of_now(service, call, found.ok_or_else(missing)?);
        let replica = call.authorize(service, ACTION, replica, Asks { region: Some(region), ..asks }).await?;
        replica.allows_state(Self::NAME)?;
        let change = multi_region::move_primary(service, &primary, &replica).await?;
        call.set_response_key(&primary)?;
        call.happens_elsewhere(Self::NAME, &replica, &*request, &Elements { key_id: &replica.arn })?;
        call.commit(service, change.preconditions, change.writes).await
    }
}
