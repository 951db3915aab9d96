//! Has a key rotate by itself, each so many days.

use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::{Key, Rotation};
use crate::kms::shapes::{KeyIdentifier, RotationPeriodInDays};
use crate::kms::{load, multi_region};
use crate::operation::Operation;

/// The operation.
pub struct EnableKeyRotation;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Days between rotations; 365 when absent.
        optional rotation_period_in_days: RotationPeriodInDays = "rotationPeriodInDays",
    }
}

/// Days between rotations where none are given.
const DEFAULT_DAYS: u16 = 365;

impl Operation for EnableKeyRotation {
    const NAME: &'static str = "EnableKeyRotation";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let period_days = request.rotation_period_in_days.map_or(DEFAULT_DAYS, |days| days.0);
        let asks = Asks { rotation_period_days: Some(period_days), ..Asks::default() };
        let key = load::managed(service, call, "kms:EnableKeyRotation", &request.key_id, asks).await?;
        key.allows(Self::NAME)?;
        call.set_response_key(&key)?;
        // Saying again what holds already does not put the next rotation off.
        if key.rotation.is_none_or(|rotation| rotation.period_days != period_days) {
            let rotation = Rotation { period_days, next: call.now().plus_days(period_days) };
            let changed = Key { rotation: Some(rotation), ..Key::clone(&key) };
            let change = multi_region::share(service, &key, &changed).await?;
            call.commit(service, change.preconditions, change.writes).await?;
        }
        Ok(())
    }
}
