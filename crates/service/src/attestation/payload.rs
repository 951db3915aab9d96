//! The content of a document: one CBOR map (RFC 8949) with the fields and limits that AWS documents.
//!
//! Both pages of AWS give the fields as a closed list, so an unknown one is refused: it could change what the others
//! mean, as `nitrotpm_pcrs` once did. Real documents write the map with and without its length, and write an optional
//! field that was not asked for as null or not at all. Nothing is copied, and nothing in here nests.

use std::collections::BTreeMap;

use minicbor::data::Type;
use minicbor::decode::{self, Decoder};

use super::refusal::{Fault, Refusal};
use crate::moment::Moment;

/// Longest certificate in bytes.
const MAX_CERTIFICATE_LEN: usize = 1024;
/// Most certificates of `cabundle`. AWS sets no limit and sends four; no path is longer than eight.
const MAX_CABUNDLE: usize = 16;
/// Longest `public_key` in bytes.
const MAX_PUBLIC_KEY_LEN: usize = 1024;
/// Longest `user_data` and `nonce` in bytes.
const MAX_USER_DATA_LEN: usize = 512;
/// Registers of an enclave.
const PCRS: u8 = 32;
/// Registers of a NitroTPM (TCG PC Client Platform TPM Profile).
const NITROTPM_PCRS: u8 = 24;
/// Most fields a document can have.
const MAX_FIELDS: usize = 10;

/// A document's fields, as they stand in it.
pub(super) struct Payload<'a> {
    pub(super) module_id: &'a str,
    pub(super) timestamp: Moment,
    pub(super) registers: Registers<'a>,
    pub(super) certificate: &'a [u8],
    /// Root first, as AWS orders them.
    pub(super) cabundle: Vec<&'a [u8]>,
    pub(super) public_key: Option<&'a [u8]>,
}

/// Platform configuration registers, by index.
pub(super) enum Registers<'a> {
    Enclave(BTreeMap<u8, &'a [u8]>),
    Tpm(BTreeMap<u8, &'a [u8]>),
}

/// The fields read so far.
#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    digest: Option<()>,
    timestamp: Option<Moment>,
    pcrs: Option<BTreeMap<u8, &'a [u8]>>,
    nitrotpm_pcrs: Option<BTreeMap<u8, &'a [u8]>>,
    certificate: Option<&'a [u8]>,
    cabundle: Option<Vec<&'a [u8]>>,
    public_key: Option<Option<&'a [u8]>>,
    user_data: Option<Option<&'a [u8]>>,
    nonce: Option<Option<&'a [u8]>>,
}

impl<'a> Payload<'a> {
    /// Reads the payload of a message.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut decoder = Decoder::new(bytes);
        let mut fields = Fields::default();
        let len = decoder.map().map_err(|_| Refusal::Payload)?;
        let mut count = 0;
        while more(&mut decoder, len, count).map_err(|_| Refusal::Payload)? {
            if count == MAX_FIELDS {
                return Err(Refusal::UnknownField);
            }
            fields.read(&mut decoder)?;
            count += 1;
        }
        if decoder.position() != bytes.len() {
            return Err(Refusal::Payload);
        }
        fields.complete()
    }
}

impl<'a> Fields<'a> {
    /// Reads one field.
    fn read(&mut self, decoder: &mut Decoder<'a>) -> Result<(), Refusal> {
        let certificate = 1..=MAX_CERTIFICATE_LEN;
        match decoder.str().map_err(|_| Refusal::Payload)? {
            "module_id" => field("module_id", &mut self.module_id, decoder, module_id),
            "digest" => field("digest", &mut self.digest, decoder, digest),
            "timestamp" => field("timestamp", &mut self.timestamp, decoder, timestamp),
            "pcrs" => field("pcrs", &mut self.pcrs, decoder, |d| registers(d, PCRS)),
            "nitrotpm_pcrs" => {
                field("nitrotpm_pcrs", &mut self.nitrotpm_pcrs, decoder, |d| registers(d, NITROTPM_PCRS))
            }
            "certificate" => {
                field("certificate", &mut self.certificate, decoder, |d| bytes(d, certificate.clone()))
            }
            "cabundle" => field("cabundle", &mut self.cabundle, decoder, |d| cabundle(d, &certificate)),
            "public_key" => {
                field("public_key", &mut self.public_key, decoder, |d| optional(d, MAX_PUBLIC_KEY_LEN))
            }
            "user_data" => {
                field("user_data", &mut self.user_data, decoder, |d| optional(d, MAX_USER_DATA_LEN))
            }
            "nonce" => field("nonce", &mut self.nonce, decoder, |d| optional(d, MAX_USER_DATA_LEN)),
            _ => Err(Refusal::UnknownField),
        }
    }

    /// All that must be there.
    fn complete(self) -> Result<Payload<'a>, Refusal> {
        let registers = match (self.pcrs, self.nitrotpm_pcrs) {
            (Some(pcrs), None) => Registers::Enclave(pcrs),
            (None, Some(pcrs)) => Registers::Tpm(pcrs),
            (Some(_), Some(_)) => return Err(Refusal::Field("nitrotpm_pcrs", Fault::Twice)),
            (None, None) => return Err(Refusal::Field("pcrs", Fault::Missing)),
        };
        required("digest", self.digest)?;
        Ok(Payload {
            module_id: required("module_id", self.module_id)?,
            timestamp: required("timestamp", self.timestamp)?,
            registers,
            certificate: required("certificate", self.certificate)?,
            cabundle: required("cabundle", self.cabundle)?,
            public_key: self.public_key.flatten(),
        })
    }
}

fn required<T>(name: &'static str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or(Refusal::Field(name, Fault::Missing))
}

/// Reads a field into its place, once.
fn field<'a, T>(
    name: &'static str,
    place: &mut Option<T>,
    decoder: &mut Decoder<'a>,
    read: impl FnOnce(&mut Decoder<'a>) -> Result<T, Fault>,
) -> Result<(), Refusal> {
    if place.is_some() {
        return Err(Refusal::Field(name, Fault::Twice));
    }
    *place = Some(read(decoder).map_err(|fault| Refusal::Field(name, fault))?);
    Ok(())
}

impl From<decode::Error> for Fault {
    fn from(_: decode::Error) -> Self {
        Self::Type
    }
}

/// Whether another element follows, in a map or array of a known length or of one that ends with a break.
fn more(decoder: &mut Decoder<'_>, len: Option<u64>, read: usize) -> Result<bool, decode::Error> {
    match len {
        Some(len) => Ok(u64::try_from(read).is_ok_and(|read| read < len)),
        None if decoder.datatype()? == Type::Break => {
            decoder.set_position(decoder.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

fn module_id<'a>(decoder: &mut Decoder<'a>) -> Result<&'a str, Fault> {
    let id = decoder.str()?;
    if id.is_empty() { Err(Fault::Size) } else { Ok(id) }
}

fn digest(decoder: &mut Decoder<'_>) -> Result<(), Fault> {
    if decoder.str()? == "SHA384" { Ok(()) } else { Err(Fault::Value) }
}

/// Milliseconds since 1970.
fn timestamp(decoder: &mut Decoder<'_>) -> Result<Moment, Fault> {
    match i64::try_from(decoder.u64()?) {
        Ok(milliseconds @ 1..) => Ok(Moment(milliseconds)),
        _ => Err(Fault::Value),
    }
}

/// Registers whose index is below a limit. A register of zeros is one that nothing was measured into.
fn registers<'a>(decoder: &mut Decoder<'a>, limit: u8) -> Result<BTreeMap<u8, &'a [u8]>, Fault> {
    let len = decoder.map()?;
    let mut found = BTreeMap::new();
    while more(decoder, len, found.len())? {
        let index = decoder.int()?;
        let index = u8::try_from(index).ok().filter(|index| *index < limit).ok_or(Fault::Value)?;
        let value = decoder.bytes()?;
        if !matches!(value.len(), 32 | 48 | 64) {
            return Err(Fault::Size);
        }
        if found.insert(index, value).is_some() {
            return Err(Fault::Twice);
        }
    }
    if found.is_empty() { Err(Fault::Size) } else { Ok(found) }
}

fn bytes<'a>(decoder: &mut Decoder<'a>, len: std::ops::RangeInclusive<usize>) -> Result<&'a [u8], Fault> {
    let value = decoder.bytes()?;
    if len.contains(&value.len()) { Ok(value) } else { Err(Fault::Size) }
}

fn cabundle<'a>(
    decoder: &mut Decoder<'a>,
    len: &std::ops::RangeInclusive<usize>,
) -> Result<Vec<&'a [u8]>, Fault> {
    let count = decoder.array()?;
    let mut found = Vec::new();
    while more(decoder, count, found.len())? {
        if found.len() == MAX_CABUNDLE {
            return Err(Fault::Size);
        }
        found.push(bytes(decoder, len.clone())?);
    }
    if found.is_empty() { Err(Fault::Size) } else { Ok(found) }
}

/// Bytes up to a length, or null.
fn optional<'a>(decoder: &mut Decoder<'a>, max: usize) -> Result<Option<&'a [u8]>, Fault> {
    if decoder.datatype()? == Type::Null {
        decoder.null()?;
        return Ok(None);
    }
    bytes(decoder, 0..=max).map(Some)
}
