//! Gives a virtual device to a user, who shows two codes of it, one after the other.

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
pub struct EnableMfaDevice;

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

impl Operation for EnableMfaDevice {
    const NAME: &'static str = "EnableMFADevice";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let named = (Kind::User, &*request.user_name);
        let user = load::identity(service, call, "iam:EnableMFADevice", named, IamAsks::default()).await?;
        let device = mfa::find(service, &user.account, &request.serial_number).await?;
        let device = device.ok_or_else(|| mfa::no_such(&request.serial_number))?;
        mfa::enable(service, call, &user, device, (&request.code_1.0, &request.code_2.0)).await
    }
}
