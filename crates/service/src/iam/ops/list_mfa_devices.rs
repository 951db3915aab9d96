//! Lists the devices of a user, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{ExistingUserName, Marker, MaxItems};
use crate::iam::{load, mfa};
use crate::moment::Moment;
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListMfaDevices;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: ExistingUserName = "userName",
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// Most entries of a page: 100 when absent.
        optional max_items: MaxItems = "maxItems",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(rename = "MFADevices")]
    devices: Members<DeviceView>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

/// One device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeviceView {
    user_name: String,
    serial_number: String,
    enable_date: String,
}

impl Operation for ListMfaDevices {
    const NAME: &'static str = "ListMFADevices";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (name, region) = (load::user_name(call, request.user_name.as_deref())?, call.region());
        let action = "iam:ListMFADevices";
        let user = load::identity(service, call, action, (Kind::User, &name), IamAsks::default()).await?;
        let cursor = Cursor::read(service, call, &user.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(mfa::all_of(service, &user).await?, mfa::Device::key);
        let views: Vec<_> = page
            .items
            .iter()
            .map(|device| DeviceView {
                user_name: user.name.clone(),
                serial_number: device.serial_number(region),
                enable_date: Moment(device.record.enabled_ms.unwrap_or_default()).iso(),
            })
            .collect();
        Ok(Response { devices: views.into(), is_truncated: page.marker.is_some(), marker: page.marker })
    }
}
