//! Sets the clock of a user's device by two codes, one after the other.

use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::shapes::{AuthenticationCode, ExistingUserName, SerialNumber};
use crate::iam::{load, mfa};
use crate::operation::Operation;

/// The operation.
pub struct ResyncMfaDevice;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is.
        required user_name: ExistingUserName = "userName",
        /// Serial number of the device.
        required serial_number: SerialNumber = "serialNumber",
        /// A code of the device.
        required code_1: AuthenticationCode = "authenticationCode1",
        /// The code after that.
        required code_2: AuthenticationCode = "authenticationCode2",
    }
}

impl Operation for ResyncMfaDevice {
    const NAME: &'static str = "ResyncMFADevice";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::User, &*request.user_name);
        let user = load::identity(service, call, "iam:ResyncMFADevice", named, IamAsks::default()).await?;
        let device = mfa::of_user(service, &user, &request.serial_number).await?;
        let codes = (request.code_1.0.as_str(), request.code_2.0.as_str());
        let changed = mfa::synchronized(service, call.now(), &device, codes)?;
        call.commit(service, vec![device.unchanged()], vec![changed.put()?]).await
    }
}
