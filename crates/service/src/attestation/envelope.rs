//! The signed message around a document: COSE_Sign1 (RFC 9052), tagged or not.

use aws_lc_rs::signature::ParsedPublicKey;
use coset::{
    CborSerializable, CoseSign1, Header, RegisteredLabelWithPrivate, TaggedCborSerializable, iana::Algorithm,
};
use minicbor::data::{Tag, Type};
use minicbor::decode::{self, Decoder};

use super::refusal::Refusal;

/// CBOR tag of COSE_Sign1 (RFC 9052, section 2).
const COSE_SIGN1: u64 = 18;
/// Longest protected header in bytes. The only one allowed takes four.
const MAX_HEADER_LEN: usize = 16;
/// Length of an ES384 signature in bytes (RFC 9053, section 2.1).
const SIGNATURE_LEN: usize = 96;

/// A message whose form is right and whose signature is not verified yet.
pub(super) struct Envelope(CoseSign1);

impl Envelope {
    /// Reads a message. What AWS documents of its headers is all that is accepted: ES384 in the protected one and
    /// nothing else, nothing in the unprotected one, which is not signed.
    pub(super) fn read(document: &[u8]) -> Result<Self, Refusal> {
        let tagged = shape(document).map_err(|_| Refusal::Envelope("not a COSE_Sign1 message"))??;
        let message =
            if tagged { CoseSign1::from_tagged_slice(document) } else { CoseSign1::from_slice(document) };
        let message = message.map_err(|_| Refusal::Envelope("the headers cannot be read"))?;
        let expected =
            Header { alg: Some(RegisteredLabelWithPrivate::Assigned(Algorithm::ES384)), ..Header::default() };
        if message.protected.header != expected {
            return Err(Refusal::Envelope("the protected header is not ES384 alone"));
        }
        Ok(Self(message))
    }

    /// The signed content.
    pub(super) fn payload(&self) -> &[u8] {
        self.0.payload.as_deref().unwrap_or_default()
    }

    /// Verifies the signature over the Sig_structure (RFC 9052, section 4.4), without external data.
    pub(super) fn verify(&self, key: &ParsedPublicKey) -> Result<(), Refusal> {
        let verified = self.0.verify_signature(&[], |signature, signed| key.verify_sig(signed, signature));
        verified.map_err(|_| Refusal::Signature)
    }
}

/// Walks over the message without taking memory, so that what is decoded afterwards is small or flat. Answers whether
/// it is tagged.
fn shape(document: &[u8]) -> Result<Result<bool, Refusal>, decode::Error> {
    let refused = |fault| Ok(Err(Refusal::Envelope(fault)));
    let mut decoder = Decoder::new(document);
    let tagged = decoder.datatype()? == Type::Tag;
    if tagged && decoder.tag()? != Tag::new(COSE_SIGN1) {
        return refused("another tag");
    }
    if decoder.array()? != Some(4) {
        return refused("not four parts");
    }
    if decoder.bytes()?.len() > MAX_HEADER_LEN {
        return refused("the protected header is too long");
    }
    if decoder.map()? != Some(0) {
        return refused("the unprotected header is not empty");
    }
    if decoder.bytes()?.is_empty() {
        return refused("no payload");
    }
    if decoder.bytes()?.len() != SIGNATURE_LEN {
        return refused("the signature has a wrong length");
    }
    if decoder.position() != document.len() {
        return refused("bytes follow");
    }
    Ok(Ok(tagged))
}
