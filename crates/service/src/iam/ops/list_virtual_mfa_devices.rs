//! Lists the virtual devices of the account, a page at a time, without what their codes are made of.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity;
use crate::iam::listing::Cursor;
use crate::iam::mfa;
use crate::iam::shapes::{AssignmentStatus, Marker, MaxItems};
use crate::iam::views;
use crate::moment::Moment;
use crate::operation::Operation;
use crate::query::Members;
use crate::record;

/// The operation.
pub struct ListVirtualMfaDevices;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Only those that are somebody's, or nobody's.
        optional assignment_status: AssignmentStatus = "assignmentStatus",
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
    #[serde(rename = "VirtualMFADevices")]
    devices: Members<DeviceView>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

/// One device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeviceView {
    serial_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<views::User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_date: Option<String>,
}

impl Operation for ListVirtualMfaDevices {
    const NAME: &'static str = "ListVirtualMFADevices";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let (region, account) = (call.region(), call.caller().account().to_owned());
        call.authorize_iam("iam:ListVirtualMFADevices", "*", IamAsks::default())?;
        let status = request.assignment_status.unwrap_or(AssignmentStatus::Any);
        let cursor =
            Cursor::read(service, call, status.as_str(), request.marker.as_ref(), request.max_items)?;
        let page = cursor.records(&record::mfa::devices(&account)).await?;
        let mut views = Vec::new();
        for device in mfa::decoded(&page.items)? {
            let user = match &device.record.user {
                Some(id) => identity::by_id(&service.installation.cache, &account, id).await?,
                None => None,
            };
            if status.includes(user.is_some()) {
                views.push(DeviceView {
                    serial_number: device.serial_number(region),
                    user: user.map(|user| views::User::listed(&user, region)),
                    enable_date: device.record.enabled_ms.map(|at| Moment(at).iso()),
                });
            }
        }
        Ok(Response { devices: views.into(), is_truncated: page.marker.is_some(), marker: page.marker })
    }
}
