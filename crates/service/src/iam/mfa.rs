//! Virtual devices for multi-factor authentication: who has which, and whether a code is right.

pub(crate) mod code;
pub(crate) mod guesses;
pub(crate) mod picture;
pub(crate) mod seed;

use claviger_store::{Precondition, Read, Record, Revision, Write};
use claviger_wire::arn::{self, Arn};
use claviger_wire::fault::Code;
use zeroize::Zeroizing;

use crate::authn::Principal;
use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity};
use crate::moment::Moment;
use crate::record::{self, mfa::DeviceRecord};
use crate::sts::shapes::TokenCode;

/// Most devices of a user (quota).
const MAX_DEVICES: usize = 8;
/// What the resource part of a serial number begins with.
const RESOURCE: &str = "mfa";

/// A virtual device as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) record: DeviceRecord,
    pub(crate) revision: Revision,
}

impl Device {
    fn decode(stored: &Record) -> Result<Self> {
        let read: DeviceRecord = record::decode(stored)?;
        let device = Self { record: read, revision: stored.revision };
        if stored.name != device.record_name() {
            let name = String::from_utf8_lossy(&stored.name);
            return Err(Error::internal(format!(
                "record `{name}` holds another device, {}",
                device.record.name
            )));
        }
        Ok(device)
    }

    /// Its name as it is stored.
    pub(crate) fn key(&self) -> String {
        key(&self.record.name)
    }

    /// Name of its record.
    pub(crate) fn record_name(&self) -> Vec<u8> {
        record::mfa::device(&self.record.account, &self.key())
    }

    /// Its ARN, which is its serial number.
    pub(crate) fn serial_number(&self, region: &str) -> String {
        serial_number(region, &self.record.account, &self.record.name)
    }

    /// The write that keeps it as it is now.
    pub(crate) fn put(&self) -> Result<Write> {
        Ok(Write::Put { name: self.record_name(), value: record::encode(&self.record)? })
    }

    /// That it is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { name: self.record_name(), revision: self.revision }
    }

    /// That it is the user's.
    pub(crate) fn index(&self, user: &Identity) -> Vec<u8> {
        record::mfa::device_of(&user.account, &user.id, &self.key())
    }
}

/// The form of a name, path included, under which it is stored.
fn key(name: &str) -> String {
    identity::key(name.trim_start_matches('/'))
}

/// Serial number of a device; `name` is its path and name.
pub(crate) fn serial_number(region: &str, account: &str, name: &str) -> String {
    format!("arn:{}:iam::{account}:{RESOURCE}{name}", arn::partition(region))
}

/// The device of a serial number in an account.
pub(crate) async fn find(service: &Service, account: &str, serial: &str) -> Result<Option<Device>> {
    let name = Arn::parse(serial).and_then(|arn| arn.resource.strip_prefix(RESOURCE));
    let Some(name) = name.filter(|name| name.starts_with('/')) else { return Ok(None) };
    let read = Read::One(record::mfa::device(account, &key(name)));
    let found = service.installation.store.read(vec![read]).await?.found;
    let device = found.iter().flatten().next().map(Device::decode).transpose()?;
    let region = service.installation.iam_region();
    Ok(device.filter(|device| serial_number(region, account, &device.record.name) == serial))
}

/// Whether there is a device of this name, path included, in any spelling.
pub(crate) async fn exists(service: &Service, account: &str, name: &str) -> Result<bool> {
    let read = Read::One(record::mfa::device(account, &key(name)));
    Ok(service.installation.store.read(vec![read]).await?.found.iter().flatten().next().is_some())
}

/// Whether a record is that of a device that somebody has.
pub(crate) fn is_in_use(stored: &Record) -> Result<bool> {
    Device::decode(stored).map(|device| device.record.user.is_some())
}

/// Whether a user has a device.
pub(crate) async fn has_any(service: &Service, user: &Identity) -> Result<bool> {
    let prefix = record::mfa::devices_of(&user.account, &user.id);
    let read = Read::Range { prefix, after: None, limit: 1 };
    Ok(service.installation.store.read(vec![read]).await?.found.iter().flatten().next().is_some())
}

/// A seed as devices take it: base32 (RFC 4648), without padding.
pub(crate) fn base32(seed: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(totp_rs::Secret::from(seed.to_vec()).to_base32())
}

/// Finds a device of the caller's account, and decides whether the caller may do `action` with it.
///
/// # Errors
/// `AccessDenied`, `NoSuchEntity`.
pub(crate) async fn load(
    service: &Service,
    call: &mut Call<'_>,
    action: &'static str,
    serial: &str,
) -> Result<Device> {
    let found = find(service, call.caller().account(), serial).await?;
    let tags: Option<Vec<(String, String)>> = found
        .as_ref()
        .map(|device| device.record.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect());
    call.authorize_iam(action, serial, IamAsks { resource_tags: tags.as_deref(), ..IamAsks::default() })?;
    found.ok_or_else(|| no_such(serial))
}

/// The error of a device that does not exist.
pub(crate) fn no_such(serial: &str) -> Error {
    Error::new(Code::NoSuchEntity, format!("VirtualMFADevice with serial number {serial} does not exist."))
}

/// The device of a serial number, if it is the user's.
///
/// # Errors
/// `NoSuchEntity`.
pub(crate) async fn of_user(service: &Service, user: &Identity, serial: &str) -> Result<Device> {
    let found = find(service, &user.account, serial).await?;
    let own = found.filter(|device| device.record.user.as_deref() == Some(&user.id));
    own.ok_or_else(|| {
        let text = format!("MFA Device with serial number {serial} is not valid for user {}.", user.name);
        Error::new(Code::NoSuchEntity, text)
    })
}

/// The devices of a user.
pub(crate) async fn all_of(service: &Service, user: &Identity) -> Result<Vec<Device>> {
    let prefix = record::mfa::devices_of(&user.account, &user.id);
    let read = Read::Range { prefix: prefix.clone(), after: None, limit: MAX_DEVICES };
    let names = service.installation.store.read(vec![read]).await?.found;
    let names = names.iter().flatten().map(|entry| record::rest(&entry.name, &prefix));
    let reads: Vec<Read> = names.map(|name| Read::One(record::mfa::device(&user.account, name))).collect();
    service.installation.store.read(reads).await?.found.iter().flatten().map(Device::decode).collect()
}

/// The devices of a page of records.
pub(crate) fn decoded(records: &[Record]) -> Result<Vec<Device>> {
    records.iter().map(Device::decode).collect()
}

/// Gives a device to a user, who shows two codes of it, one after the other.
///
/// # Errors
/// `EntityAlreadyExists`, `LimitExceeded`, `InvalidAuthenticationCode`.
pub(crate) async fn enable(
    service: &Service,
    call: &mut Call<'_>,
    user: &Identity,
    device: Device,
    codes: (&str, &str),
) -> Result<()> {
    if device.record.user.is_some() {
        return Err(Error::new(Code::EntityAlreadyExists, "MFA device is already in use."));
    }
    if all_of(service, user).await?.len() >= MAX_DEVICES {
        let text = format!("Cannot exceed quota for MFADevicesPerUser: {MAX_DEVICES}");
        return Err(Error::new(Code::LimitExceeded, text));
    }
    let mut changed = synchronized(service, call.now(), &device, codes)?;
    changed.record.user = Some(user.id.clone());
    changed.record.enabled_ms = Some(call.now().0);
    let index = Write::Put { name: device.index(user), value: Vec::new() };
    // The user is written, too, so that one who is deleting it meets a conflict.
    let writes = vec![changed.put()?, user.put()?, index];
    call.commit(service, vec![device.unchanged(), user.unchanged()], writes).await
}

/// The device with its clock set by two codes, one after the other.
///
/// # Errors
/// `InvalidAuthenticationCode`.
pub(crate) fn synchronized(
    service: &Service,
    now: Moment,
    device: &Device,
    codes: (&str, &str),
) -> Result<Device> {
    let seed = opened(service, device)?;
    let record = &device.record;
    let found = service
        .installation
        .guesses
        .attempt(&device.record_name(), now, || code::consecutive(&seed, codes, now, record.last_step));
    let (drift, last_step) = found.ok_or_else(|| {
        Error::new(Code::InvalidAuthenticationCode, "Authentication code for device is not valid.")
    })?;
    Ok(Device { record: DeviceRecord { drift, last_step, ..record.clone() }, ..device.clone() })
}

fn opened(service: &Service, device: &Device) -> Result<Zeroizing<Vec<u8>>> {
    service.installation.seeds.open(&device.record_name(), &device.record.seed)
}

/// A code that was right. It counts once it is committed.
#[derive(Debug)]
pub(crate) struct Proof {
    preconditions: Vec<Precondition>,
    writes: Vec<Write>,
}

impl Proof {
    /// Uses the code up, together with the event of what it was used for: the caller's parameters and answer must have
    /// been noted.
    pub(crate) async fn commit(self, service: &Service, call: &mut Call<'_>) -> Result<()> {
        call.commit(service, self.preconditions, self.writes).await
    }
}

/// Checks the code of a device of the caller, where the request brings one.
///
/// # Errors
/// `AccessDenied`.
pub(crate) async fn prove(
    service: &Service,
    call: &Call<'_>,
    serial: Option<&str>,
    given: Option<&TokenCode>,
) -> Result<Option<Proof>> {
    let denied = |text: &str| Error::new(Code::AccessDenied, text);
    let (serial, given) = match (serial, given) {
        (None, None) => return Ok(None),
        (Some(serial), Some(given)) => (serial, given),
        _ => {
            return Err(denied(
                "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.",
            ));
        }
    };
    let caller = call.caller();
    let user = caller.standing().identity.as_ref().filter(|_| caller.principal() == Principal::User);
    let device = match user {
        Some(user) => find(service, &user.account, serial)
            .await?
            .filter(|device| device.record.user.as_deref() == Some(&user.id)),
        None => None,
    };
    let device = device.ok_or_else(|| {
        denied(
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is \
             valid and associated with this user.",
        )
    })?;
    let seed = opened(service, &device)?;
    let (record, now) = (&device.record, call.now());
    let step = service.installation.guesses.attempt(&device.record_name(), now, || {
        code::accepted(&seed, &given.0, now, record.drift, record.last_step)
    });
    let last_step =
        step.ok_or_else(|| denied("MultiFactorAuthentication failed with invalid MFA one time pass code."))?;
    let changed = Device { record: DeviceRecord { last_step, ..record.clone() }, ..device.clone() };
    Ok(Some(Proof { preconditions: vec![device.unchanged()], writes: vec![changed.put()?] }))
}
