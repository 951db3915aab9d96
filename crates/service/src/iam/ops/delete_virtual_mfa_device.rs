//! Deletes a virtual device that is nobody's.

use claviger_store::Write;
use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::mfa;
use crate::iam::shapes::SerialNumber;
use crate::operation::Operation;

/// The operation.
pub struct DeleteVirtualMfaDevice;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Serial number of the device.
        required serial_number: SerialNumber = "serialNumber",
    }
}

impl Operation for DeleteVirtualMfaDevice {
    const NAME: &'static str = "DeleteVirtualMFADevice";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let device = mfa::load(service, call, "iam:DeleteVirtualMFADevice", &request.serial_number).await?;
        if device.record.user.is_some() {
            let text = "MFA VirtualDevice in use. Must deactivate first.";
            return Err(Error::new(Code::DeleteConflict, text));
        }
        call.commit(service, vec![device.unchanged()], vec![Write::Delete(device.record_name())]).await
    }
}
