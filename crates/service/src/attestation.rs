//! Attestation documents of AWS Nitro Enclaves and NitroTPM: what a `Recipient` parameter carries.
//!
//! A document says which code runs where, and gives the public key to which an answer is to be encrypted. It is a
//! COSE_Sign1 message (RFC 9052) over a CBOR map, signed by a certificate of a few hours that leads to a root (AWS
//! Nitro Enclaves User Guide, "Verifying the root of trust"; Amazon EC2 User Guide, "Validate a NitroTPM Attestation
//! Document"). [`Roots::verify`] makes every check of both pages and hands out an [`Attested`], which has no other
//! constructor. Cheap checks come first: no signature is verified for a document that is not fresh.

mod chain;
mod envelope;
mod payload;
mod recipient;
mod refusal;

use std::collections::BTreeMap;

pub use chain::{NITRO_ROOT_G1, RootError, Roots};
pub use refusal::{Fault, Refusal};

use crate::moment::Moment;
use envelope::Envelope;
use payload::{Payload, Registers};

/// Longest document in bytes (AWS KMS API Reference, `RecipientInfo`).
pub const MAX_LEN: usize = 262_144;

/// Furthest a document's timestamp may be from the present, either way, in milliseconds: five minutes, as for a
/// signature of a request. It bounds how long a document that was seen on its way can be sent again.
pub const MAX_AGE_MS: u64 = 5 * 60 * 1000;

/// What a verified document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    module_id: String,
    public_key: Vec<u8>,
    pcrs: BTreeMap<u8, Vec<u8>>,
    nitrotpm_pcrs: BTreeMap<u8, Vec<u8>>,
}

impl Roots {
    /// Verifies a document, at a point in time.
    ///
    /// # Errors
    /// [`Refusal`], the first check that the document does not pass.
    pub fn verify(&self, document: &[u8], now: Moment) -> Result<Attested, Refusal> {
        if document.len() > MAX_LEN {
            return Err(Refusal::TooLong(document.len()));
        }
        let envelope = Envelope::read(document)?;
        let payload = Payload::read(envelope.payload())?;
        check_age(payload.timestamp, now)?;
        envelope.verify(&self.leaf_key(&payload, now)?)?;
        let public_key = payload.public_key.unwrap_or_default();
        recipient::check(public_key)?;
        let (pcrs, nitrotpm_pcrs) = match payload.registers {
            Registers::Enclave(pcrs) => (pcrs, BTreeMap::new()),
            Registers::Tpm(pcrs) => (BTreeMap::new(), pcrs),
        };
        Ok(Attested {
            module_id: payload.module_id.to_owned(),
            public_key: public_key.to_vec(),
            pcrs: owned(pcrs),
            nitrotpm_pcrs: owned(nitrotpm_pcrs),
        })
    }
}

fn check_age(timestamp: Moment, now: Moment) -> Result<(), Refusal> {
    if timestamp.0.abs_diff(now.0) > MAX_AGE_MS {
        return Err(Refusal::Stale { timestamp, now });
    }
    Ok(())
}

fn owned(registers: BTreeMap<u8, &[u8]>) -> BTreeMap<u8, Vec<u8>> {
    registers.into_iter().map(|(index, value)| (index, value.to_vec())).collect()
}

impl Attested {
    /// Who made the document, such as `i-0123456789abcdef0-enc0123456789abcdef`.
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// The recipient's RSA key of 2048 to 4096 bits, a DER `SubjectPublicKeyInfo` (RFC 5280) without a byte too many.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Platform configuration registers of an enclave, each of 32, 48 or 64 bytes, by index 0 to 31. Empty for NitroTPM.
    pub fn pcrs(&self) -> &BTreeMap<u8, Vec<u8>> {
        &self.pcrs
    }

    /// Platform configuration registers of a NitroTPM, by index 0 to 23. Empty for an enclave.
    pub fn nitrotpm_pcrs(&self) -> &BTreeMap<u8, Vec<u8>> {
        &self.nitrotpm_pcrs
    }

    /// The hash of the enclave's image, which is its register 0.
    pub fn image_sha384(&self) -> Option<&[u8]> {
        self.pcrs.get(&0).map(Vec::as_slice)
    }

    /// The value of a condition key of AWS KMS, in lower-case hexadecimal. The name stands in lower case and without
    /// its `kms:`, such as `recipientattestation:imagesha384`, `recipientattestation:pcr3` and
    /// `recipientattestation:nitrotpmpcr7`. Nothing for a register that the document does not have.
    pub fn condition(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix("recipientattestation:")?;
        let value = if name == "imagesha384" {
            self.image_sha384()
        } else if let Some(index) = name.strip_prefix("nitrotpmpcr") {
            self.nitrotpm_pcrs.get(&register(index)?).map(Vec::as_slice)
        } else {
            self.pcrs.get(&register(name.strip_prefix("pcr")?)?).map(Vec::as_slice)
        };
        value.map(hex)
    }
}

/// The index of a register, in its one spelling.
fn register(digits: &str) -> Option<u8> {
    let index: u8 = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
