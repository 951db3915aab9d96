//! Takes a device away from a user. It may then be given to another, or deleted.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{ExistingUserName, SerialNumber};
use crate::iam::{load, mfa};
use crate::operation::Operation;

/// The operation.
pub struct DeactivateMfaDevice;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: ExistingUserName = "userName",
        /// Serial number of the device.
        required serial_number: SerialNumber = "serialNumber",
    }
}

impl Operation for DeactivateMfaDevice {
    const NAME: &'static str = "DeactivateMFADevice";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let action = "iam:DeactivateMFADevice";
        let user = load::identity(service, call, action, (Kind::User, &name), IamAsks::default()).await?;
        let device = mfa::of_user(service, &user, &request.serial_number).await?;
        let mut changed = device.clone();
        (changed.record.user, changed.record.enabled_ms) = (None, None);
        let writes = vec![changed.put()?, Write::Delete(device.index(&user))];
        call.commit(service, vec![device.unchanged()], writes).await
    }
}
