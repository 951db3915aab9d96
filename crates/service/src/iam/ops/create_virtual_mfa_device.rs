//! Makes a virtual device for multi-factor authentication. What its codes are made of is shown this once.

use claviger_store::Precondition;
use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::mfa::code::SEED_LEN;
use crate::iam::mfa::{self, Device, picture};
use crate::iam::shapes::{DeviceName, EntityPath, Tags};
use crate::iam::views::{self, TagView};
use crate::iam::{identity, tags};
use crate::operation::Operation;
use crate::query::{self, Members, Secret};
use crate::record::mfa::DeviceRecord;

/// The operation.
pub struct CreateVirtualMfaDevice;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Its path: `/` when absent.
        optional path: EntityPath = "path",
        /// Its name.
        required name: DeviceName = "virtualMFADeviceName",
        /// Its tags.
        optional tags: Tags = "tags",
    }
}

/// What it answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    #[serde(rename = "VirtualMFADevice")]
    device: Made,
}

/// The one place where a seed stands in an answer. It does not print.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    serial_number: String,
    /// The seed in base32 (RFC 4648), which is in base64, as blobs are.
    base32_string_seed: Secret,
    #[serde(rename = "QRCodePNG")]
    picture: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Members<TagView>>,
}

impl Operation for CreateVirtualMfaDevice {
    const NAME: &'static str = "CreateVirtualMFADevice";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let tags = tags::checked(request.tags.as_ref().map(|tags| &*tags.0))?;
        let (region, account) = (call.region(), call.caller().account());
        let name = format!("{}{}", request.path.as_deref().unwrap_or("/"), &*request.name);
        let serial_number = mfa::serial_number(region, account, &name);
        let asks = IamAsks { tags: (!tags.is_empty()).then_some(&*tags), ..IamAsks::default() };
        call.authorize_iam("iam:CreateVirtualMFADevice", &serial_number, asks)?;
        if !tags.is_empty() {
            call.authorize_iam("iam:TagMFADevice", &serial_number, asks)?;
        }
        if mfa::exists(service, account, &name).await? {
            let text = "MFADevice entity at the same path and name already exists.";
            return Err(Error::new(Code::EntityAlreadyExists, text));
        }
        let mut device = Device {
            record: DeviceRecord {
                account: account.to_owned(),
                name,
                seed: Vec::new(),
                created_ms: call.now().0,
                tags: identity::tag_records(&tags),
                user: None,
                enabled_ms: None,
                drift: 0,
                last_step: 0,
            },
            revision: 0,
        };
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        service.entropy.fill(&mut *seed)?;
        device.record.seed =
            service.installation.seeds.seal(&*service.entropy, &device.record_name(), &*seed)?;
        let seed = mfa::base32(&*seed);
        let link = Zeroizing::new(format!("otpauth://totp/{}@{account}?secret={}", &*request.name, *seed));
        let made = Made {
            serial_number,
            base32_string_seed: blob(seed.as_bytes()),
            picture: blob(&picture::of(&link)?),
            tags: views::tags(&tags),
        };
        let shown = serde_json::json!({ "virtualMFADevice": { "serialNumber": &made.serial_number } });
        call.set_response(&query::trail_form(&shown))?;
        let absent = Precondition::Absent(device.record_name());
        call.commit(service, vec![absent], vec![device.put()?]).await?;
        Ok(Response { device: made })
    }
}

fn blob(bytes: &[u8]) -> Secret {
    Secret(Zeroizing::new(base64_simd::STANDARD.encode_to_string(bytes)))
}
