//! Attested recipients: answers that only the code in an enclave can read ("Cryptographic attestation support in AWS KMS" of
//! the AWS KMS Developer Guide).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::attestation::Attested;
use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::shapes::{Blob, Disclosed, Recipient};
use crate::vault::Disclosure;

/// The recipient that a request names, once its attestation document is verified. Who names one never gets a clear
/// answer.
///
/// # Errors
/// `ValidationException`, also where the document or the mechanism is missing.
pub(crate) fn attested(
    service: &Service,
    call: &Call<'_>,
    recipient: Option<&Recipient>,
) -> Result<Option<Attested>> {
    let Some(recipient) = recipient else { return Ok(None) };
    let document = recipient.document().ok_or_else(|| {
        Error::validation("Recipient needs an AttestationDocument and a KeyEncryptionAlgorithm.")
    })?;
    Ok(Some(service.installation.attestation().verify(document, call.now())?))
}

impl Disclosure {
    /// The two members of an answer of which one is there: in the clear, or enveloped.
    pub(crate) fn members(self) -> (Option<Disclosed>, Option<Blob>) {
        match self {
            Self::Clear(bytes) => (Some(Disclosed(bytes)), None),
            Self::Enveloped(content) => (None, Some(Blob(content))),
        }
    }
}

/// Registers of an enclave that the trail shows beside the image's: those whose meaning AWS defines or reserves.
const SHOWN_PCRS: std::ops::RangeInclusive<u8> = 1..=8;

/// What the trail shows of a recipient: who it is, and the registers that hold something.
pub(crate) struct Shown<'a>(pub(crate) &'a Attested);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(attested) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("attestationDocumentModuleId", attested.module_id())?;
        if let Some(digest) = attested.condition("recipientattestation:imagesha384") {
            map.serialize_entry("attestationDocumentEnclaveImageDigest", &digest)?;
        }
        let measured = |value: &[u8]| value.iter().any(|byte| *byte != 0);
        let pcrs =
            attested.pcrs().iter().filter(|(index, value)| SHOWN_PCRS.contains(index) && measured(value));
        for (index, _) in pcrs {
            let value = attested.condition(&format!("recipientattestation:pcr{index}"));
            map.serialize_entry(&format!("attestationDocumentEnclavePCR{index}"), &value)?;
        }
        for (index, _) in attested.nitrotpm_pcrs().iter().filter(|(_, value)| measured(value)) {
            let value = attested.condition(&format!("recipientattestation:nitrotpmpcr{index}"));
            map.serialize_entry(&format!("attestationDocumentNitroTPMPCR{index}"), &value)?;
        }
        map.end()
    }
}
