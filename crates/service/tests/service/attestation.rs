//! Attestation documents: what is accepted, and for each check a document that it refuses.

#[path = "attestation/certificates.rs"]
mod certificates;

use std::sync::OnceLock;

use claviger_service::attestation::{Attested, Fault, MAX_AGE_MS, MAX_LEN, Refusal, Roots};
use claviger_service::{Error, Moment};
use claviger_wire::fault::Code;
use coset::cbor::Value;
use coset::iana::{Algorithm, HeaderParameter};
use coset::{Header, HeaderBuilder};
use der::asn1::{BitString, Null, ObjectIdentifier, UintRef};
use der::{Encode, Sequence};
use proptest::prelude::*;

use crate::enclave::{Chain, Document, recipient_spki};
use crate::world::START;

/// One chain and the roots that trust it, for all tests that break something else.
fn good() -> &'static (Chain, Roots) {
    static GOOD: OnceLock<(Chain, Roots)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let chain = Chain::new(START);
        let roots = chain.roots();
        (chain, roots)
    })
}

fn document() -> Document {
    Document::enclave(&good().0, START)
}

fn check_refused(what: &str, document: &[u8], expected: Refusal) {
    check_refused_by(&good().1, START, what, document, expected);
}

fn check_refused_by(roots: &Roots, now: Moment, what: &str, document: &[u8], expected: Refusal) {
    let refusal = roots.verify(document, now).expect_err(what);
    // Of what the verifier says of certificates, the first word: details follow in its own form.
    let refusal = match refusal {
        Refusal::Chain(cause) => unverified(cause.split(['(', ' ']).next().unwrap_or_default()),
        other => other,
    };
    assert_eq!(refusal, expected, "{what}");
}

fn check_accepted(what: &str, document: &[u8]) -> Attested {
    good().1.verify(document, START).unwrap_or_else(|refusal| panic!("{what}: {refusal}"))
}

fn unverified(cause: &str) -> Refusal {
    Refusal::Chain(cause.to_owned())
}

#[test]
fn an_enclave_is_recognized() {
    let attested = check_accepted("good", &document().sign());
    assert_eq!(attested.module_id(), "i-0123456789abcdef0-enc0123456789abcdef");
    assert_eq!(attested.public_key(), recipient_spki());
    assert_eq!(attested.image_sha384(), Some(&[1; 48][..]));
    assert_eq!((attested.pcrs().len(), attested.nitrotpm_pcrs().len()), (16, 0));
    check_conditions(
        &attested,
        &[
            ("imagesha384", Some("01".repeat(48))),
            ("pcr0", Some("01".repeat(48))),
            ("pcr10", Some("0b".repeat(48))),
            ("pcr16", None),
            ("pcr00", None),
            ("pcr+1", None),
            ("pcr256", None),
            ("pcr", None),
            ("nitrotpmpcr0", None),
            ("", None),
        ],
    );
    assert_eq!(attested.condition("pcr0"), None);
}

#[test]
fn an_instance_with_a_nitrotpm_is_recognized() {
    let attested = check_accepted("nitrotpm", &Document::nitrotpm(&good().0, START).sign());
    assert_eq!(attested.image_sha384(), None);
    assert_eq!((attested.pcrs().len(), attested.nitrotpm_pcrs().len()), (0, 24));
    check_conditions(
        &attested,
        &[
            ("imagesha384", None),
            ("pcr0", None),
            ("nitrotpmpcr0", Some("01".repeat(48))),
            ("nitrotpmpcr23", Some("18".repeat(48))),
            ("nitrotpmpcr24", None),
            ("nitrotpmpcr07", None),
        ],
    );
}

fn check_conditions(attested: &Attested, expected: &[(&str, Option<String>)]) {
    for (name, value) in expected {
        assert_eq!(attested.condition(&format!("recipientattestation:{name}")), *value, "{name}");
    }
}

/// What AWS's own documents vary in, and what their specification allows.
#[test]
fn every_allowed_form_is_accepted() {
    let document = document();
    let check = |what, document: &Document| {
        check_accepted(what, &document.sign());
    };
    check("tagged", &Document { tagged: true, ..document.clone() });
    check("no optional field", &document.clone().without("user_data").without("nonce"));
    check("optional fields", &document.clone().with("user_data", vec![0; 512]).with("nonce", vec![0; 512]));
    check("empty optional fields", &document.clone().with("user_data", vec![0; 0]).with("nonce", vec![0; 0]));
    for len in [32, 48, 64] {
        check("register length", &document.clone().with("pcrs", registers([31], len)));
    }
    check("32 registers", &document.clone().with("pcrs", registers(0..32, 48)));
    check("4096 bits", &document.clone().with("public_key", spki(4096, 65_537)));
    check("another exponent", &document.clone().with("public_key", spki(2048, 0x0001_0003)));
    // Maps and arrays that end with a break instead of having a length.
    let payload = with_breaks(&document);
    check_accepted("indefinite lengths", &document.sign_payload(payload));
}

fn registers(indices: impl IntoIterator<Item = i64>, len: usize) -> Value {
    Value::Map(indices.into_iter().map(|index| (Value::from(index), Value::from(vec![7; len]))).collect())
}

/// The payload with its map, its registers and its bundle written without their lengths.
fn with_breaks(document: &Document) -> Vec<u8> {
    let encoded = |value: &Value| {
        let mut bytes = Vec::new();
        coset::cbor::into_writer(value, &mut bytes).unwrap();
        bytes
    };
    let mut payload = vec![0xbf];
    for (name, value) in &document.fields {
        payload.extend(encoded(name));
        match value {
            Value::Map(entries) => {
                payload.push(0xbf);
                entries
                    .iter()
                    .for_each(|(key, value)| payload.extend([encoded(key), encoded(value)].concat()));
                payload.push(0xff);
            }
            Value::Array(items) => {
                payload.push(0x9f);
                items.iter().for_each(|item| payload.extend(encoded(item)));
                payload.push(0xff);
            }
            other => payload.extend(encoded(other)),
        }
    }
    payload.push(0xff);
    payload
}

#[test]
fn messages_of_another_form_are_refused() {
    let (good, untagged) = (document(), document().sign());
    let es384 = || HeaderBuilder::new().algorithm(Algorithm::ES384);
    let check = |what, document: &[u8], fault| check_refused(what, document, Refusal::Envelope(fault));
    let not_es384 = "the protected header is not ES384 alone";
    for (what, protected) in [
        ("no algorithm", Header::default()),
        ("ES256", HeaderBuilder::new().algorithm(Algorithm::ES256).build()),
        ("a key id", es384().key_id(vec![1]).build()),
        ("a critical header", es384().add_critical(HeaderParameter::Alg).build()),
        ("a private header", es384().value(-70_000, Value::Null).build()),
    ] {
        check(what, &Document { protected, ..good.clone() }.sign(), not_es384);
    }
    for (what, unprotected) in [
        ("an unsigned algorithm", es384().build()),
        ("another unsigned algorithm", HeaderBuilder::new().algorithm(Algorithm::ES512).build()),
        ("an unsigned key id", HeaderBuilder::new().key_id(vec![1]).build()),
    ] {
        let document = Document { unprotected, ..good.clone() };
        check(what, &document.sign(), "the unprotected header is not empty");
        let document = Document { protected: Header::default(), ..document };
        check(what, &document.sign(), "the unprotected header is not empty");
    }
    let protected = es384().key_id(vec![1; 32]).build();
    check(
        "a long header",
        &Document { protected, ..good.clone() }.sign(),
        "the protected header is too long",
    );
    check("no payload", &good.sign_payload(Vec::new()), "no payload");
    check("another tag", &[&[0xd1][..], &untagged].concat(), "another tag");
    check("a tag in a tag", &[&[0xd2, 0xd2][..], &untagged].concat(), "not a COSE_Sign1 message");
    check("bytes that follow", &[&untagged[..], &[0]].concat(), "bytes follow");
    for (what, head) in [("three parts", 0x83), ("five parts", 0x85), ("no length", 0x9f)] {
        check(what, &[&[head], &untagged[1..]].concat(), "not four parts");
    }
    for cut in [0, 1, 2, 7, 8, untagged.len() / 2, untagged.len() - 1] {
        check("cut off", &untagged[..cut], "not a COSE_Sign1 message");
    }
    let signature = untagged.len() - 98;
    let short = [&untagged[..signature], &[0x58, 95], &[1; 95]].concat();
    check("a short signature", &short, "the signature has a wrong length");
    let detached = [&untagged[..6], &[0xf6], &untagged[signature..]].concat();
    check("a detached payload", &detached, "not a COSE_Sign1 message");
    check(
        "headers twice",
        &[&[0x84, 0x46, 0xa2, 1, 0x38, 0x22, 1, 0x38][..], &[0x22, 0xa0, 0x41, 0, 0x58, 96], &[0; 96]]
            .concat(),
        "not a COSE_Sign1 message",
    );
}

#[test]
fn payloads_of_another_form_are_refused() {
    let good = document();
    let check = |what, payload: Vec<u8>, expected| check_refused(what, &good.sign_payload(payload), expected);
    check("an array", vec![0x80], Refusal::Payload);
    check("an integer", vec![0x00], Refusal::Payload);
    check("an empty map", vec![0xa0], Refusal::Field("pcrs", Fault::Missing));
    check("bytes that follow", [good.payload(), vec![0]].concat(), Refusal::Payload);
    check("a number as a key", vec![0xa1, 0, 0], Refusal::Payload);
    check("no end", with_breaks(&good).split_last().unwrap().1.to_vec(), Refusal::Payload);
    check("a tag", [vec![0xd2], good.payload()].concat(), Refusal::Payload);
}

#[test]
fn fields_out_of_their_limits_are_refused() {
    use Fault::{Missing, Size, Twice, Type, Value as Wrong};
    let check = |name: &'static str, value: Value, fault| {
        let document = document().with(name, value.clone());
        check_refused(&format!("{name}: {value:?}"), &document.sign(), Refusal::Field(name, fault));
    };
    let bytes = |len: usize| Value::from(vec![7; len]);
    for name in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        let document = document();
        check_refused(name, &document.clone().without(name).sign(), Refusal::Field(name, Missing));
        check(name, Value::Null, Type);
    }
    for name in [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    ] {
        check_refused(name, &document().twice(name).sign(), Refusal::Field(name, Twice));
        check(name, Value::Bool(true), Type);
    }
    check("module_id", "".into(), Size);
    check("module_id", bytes(4), Type);
    check("digest", "SHA256".into(), Wrong);
    check("digest", "sha384".into(), Wrong);
    check("timestamp", 0.into(), Wrong);
    check("timestamp", u64::MAX.into(), Wrong);
    check("timestamp", (-1).into(), Type);
    check("timestamp", 1.5.into(), Type);
    check("certificate", bytes(0), Size);
    check("certificate", bytes(1025), Size);
    check("cabundle", Value::Array(Vec::new()), Size);
    check("cabundle", Value::Array(vec![bytes(1), bytes(0)]), Size);
    check("cabundle", Value::Array(vec![bytes(1025)]), Size);
    check("cabundle", Value::Array(vec![bytes(1); 17]), Size);
    check("cabundle", Value::Array(vec!["text".into()]), Type);
    check("public_key", bytes(1025), Size);
    check("user_data", bytes(513), Size);
    check("nonce", bytes(513), Size);
    check("nonce", "text".into(), Type);
}

#[test]
fn registers_out_of_their_limits_are_refused() {
    let (chain, _) = good();
    let tpm = |value| Document::nitrotpm(chain, START).with("nitrotpm_pcrs", value);
    let enclave = |value| document().with("pcrs", value);
    let check = |what, document: Document, name, fault| {
        check_refused(what, &document.sign(), Refusal::Field(name, fault));
    };
    check("none", enclave(registers([], 48)), "pcrs", Fault::Size);
    check("index 32", enclave(registers([32], 48)), "pcrs", Fault::Value);
    check("index -1", enclave(registers([-1], 48)), "pcrs", Fault::Value);
    check("index 2^32", enclave(registers([1 << 32], 48)), "pcrs", Fault::Value);
    check("stands twice", enclave(registers([3, 3], 48)), "pcrs", Fault::Twice);
    for len in [0, 20, 47, 49, 65] {
        check("length", enclave(registers([0], len)), "pcrs", Fault::Size);
    }
    let text = Value::Map(vec![("0".into(), Value::from(vec![7; 48]))]);
    check("index as text", enclave(text), "pcrs", Fault::Type);
    check("an array", enclave(Value::Array(vec![Value::from(vec![7; 48])])), "pcrs", Fault::Type);
    check("no TPM registers", tpm(registers([], 48)), "nitrotpm_pcrs", Fault::Size);
    check("TPM index 24", tpm(registers([24], 48)), "nitrotpm_pcrs", Fault::Value);
    check("both", document().with("nitrotpm_pcrs", registers([0], 48)), "nitrotpm_pcrs", Fault::Twice);
    check("neither", tpm(registers([0], 48)).without("nitrotpm_pcrs"), "pcrs", Fault::Missing);
    check_refused(
        "a field of no kind",
        &document().with("pcr", registers([0], 48)).sign(),
        Refusal::UnknownField,
    );
}

/// Lengths that are claimed and depths that never end cost nothing: the walk stops at the first part that is wrong.
#[test]
fn bombs_are_refused() {
    let (deep, wide) = (vec![0x81; MAX_LEN], vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let long = vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    check_refused("too long", &[deep.clone(), vec![0]].concat(), Refusal::TooLong(MAX_LEN + 1));
    check_refused("deep", &deep, Refusal::Envelope("not four parts"));
    check_refused("wide", &wide, Refusal::Envelope("not four parts"));
    let rest = &deep[..MAX_LEN - 1000];
    for (what, head, fault) in [
        ("header", vec![0x84], "not a COSE_Sign1 message"),
        ("long header", [vec![0x84], long.clone()].concat(), "not a COSE_Sign1 message"),
        ("deep unprotected header", vec![0x84, 0x40, 0xa1, 4], "the unprotected header is not empty"),
        ("payload", vec![0x84, 0x40, 0xa0], "not a COSE_Sign1 message"),
        ("long payload", [vec![0x84, 0x40, 0xa0], long.clone()].concat(), "not a COSE_Sign1 message"),
    ] {
        check_refused(what, &[&head, rest].concat(), Refusal::Envelope(fault));
    }
    let map = |name: &str, value: &[u8]| {
        let mut payload = vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        coset::cbor::into_writer(&Value::from(name), &mut payload).unwrap();
        document().sign_payload([&payload, value, rest].concat())
    };
    check_refused("deep bundle", &map("cabundle", &[]), Refusal::Field("cabundle", Fault::Type));
    check_refused("wide bundle", &map("cabundle", &wide), Refusal::Field("cabundle", Fault::Type));
    check_refused("long certificate", &map("certificate", &long), Refusal::Field("certificate", Fault::Type));
    check_refused("deep registers", &map("pcrs", &[]), Refusal::Field("pcrs", Fault::Type));
    check_refused("deep extension", &map("extension", &[]), Refusal::UnknownField);
    let many = [vec![0xbf], vec![0x60; MAX_LEN - 1000]].concat();
    check_refused("many fields", &document().sign_payload(many), Refusal::UnknownField);
}

/// Attack: a document that was seen on its way is sent later.
#[test]
fn documents_are_fresh_for_five_minutes_either_way() {
    let (_, roots) = good();
    let document = document().sign();
    let limit = i64::try_from(MAX_AGE_MS).unwrap();
    for (offset, fresh) in [(0, true), (limit, true), (limit + 1, false), (-limit, true), (-limit - 1, false)]
    {
        let now = Moment(START.0 + offset);
        let expected = if fresh { Ok(()) } else { Err(Refusal::Stale { timestamp: START, now }) };
        assert_eq!(roots.verify(&document, now).map(|_| ()), expected, "{offset}");
    }
    for now in [Moment(i64::MIN), Moment(i64::MAX)] {
        assert_eq!(roots.verify(&document, now), Err(Refusal::Stale { timestamp: START, now }));
    }
}

#[test]
fn only_the_leafs_signature_counts() {
    let other = Document { key: Chain::new(START).key, ..document() };
    check_refused("another key", &other.sign(), Refusal::Signature);
    check_refused("no signature", &Document { key: None, ..document() }.sign(), Refusal::Signature);
    let mut moved = document().sign();
    let place = moved.windows(6).position(|bytes| bytes == b"-enc01").unwrap();
    moved[place + 4] = b'1';
    check_refused("another payload", &moved, Refusal::Signature);
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

#[derive(Sequence)]
struct AlgorithmIdentifier {
    algorithm: ObjectIdentifier,
    parameters: Option<Null>,
}

#[derive(Sequence)]
struct PublicKeyInfo {
    algorithm: AlgorithmIdentifier,
    key: BitString,
}

/// An RSA key of so many bits that nobody has the private half of.
fn spki(bits: usize, exponent: u64) -> Vec<u8> {
    key_info(bits, exponent, Some(Null)).to_der().unwrap()
}

fn key_info(bits: usize, exponent: u64, parameters: Option<Null>) -> PublicKeyInfo {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= modulus.len() * 8 - bits;
    let exponent = exponent.to_be_bytes();
    let (modulus, exponent) = (UintRef::new(&modulus).unwrap(), UintRef::new(&exponent).unwrap());
    let key = RsaPublicKey { modulus, exponent }.to_der().unwrap();
    let algorithm = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    PublicKeyInfo {
        algorithm: AlgorithmIdentifier { algorithm, parameters },
        key: BitString::from_bytes(&key).unwrap(),
    }
}

#[test]
fn the_recipients_key_is_rsa_of_2048_to_4096_bits() {
    let check = |what, key: Vec<u8>, fault| {
        check_refused(what, &document().with("public_key", key).sign(), Refusal::PublicKey(fault));
    };
    let good = recipient_spki();
    check_refused("none", &document().without("public_key").sign(), Refusal::PublicKey("is missing"));
    check_refused(
        "null",
        &document().with("public_key", Value::Null).sign(),
        Refusal::PublicKey("is missing"),
    );
    check("empty", Vec::new(), "is missing");
    check("text", b"dummy".to_vec(), "is no RSA key");
    check("1024 bits", spki(1024, 65_537), "is no RSA key");
    check("2047 bits", spki(2047, 65_537), "is no RSA key");
    check("4097 bits", spki(4097, 65_537), "has a wrong size");
    check("exponent 3", spki(2048, 3), "has a wrong exponent");
    check("exponent 65535", spki(2048, 65_535), "has a wrong exponent");
    check("exponent 65538", spki(2048, 65_538), "is no RSA key");
    check("exponent 1", spki(2048, 1), "is no RSA key");
    check("a byte after it", [&good[..], &[0]].concat(), "is not in DER");
    check("a byte less", good[..good.len() - 1].to_vec(), "is no RSA key");
    check("no parameters", key_info(2048, 65_537, None).to_der().unwrap(), "is not in DER");
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    check("another kind", rcgen::PublicKeyData::subject_public_key_info(&p384), "is no RSA key");
}

/// A caller learns nothing that would help to forge a document; the log says what was wrong.
#[test]
fn a_refusal_tells_the_caller_little_and_the_log_more() {
    for refusal in [Refusal::Signature, Refusal::NoRoot, Refusal::Field("pcrs", Fault::Size)] {
        let cause = refusal.to_string();
        let error = Error::from(refusal);
        assert_eq!(error.code, Code::Validation);
        assert_eq!(error.message.as_deref(), Some("the attestation document is not valid"));
        assert_eq!(error.cause, Some(cause));
    }
    assert_eq!(
        Refusal::Field("pcrs", Fault::Size).to_string(),
        "attestation document: `pcrs` has a wrong size"
    );
}

/// Attack: any bit of a document is changed.
#[test]
fn every_changed_byte_is_noticed() {
    let (_, roots) = good();
    let document = Document { tagged: true, ..document() }.sign();
    for place in 0..document.len() {
        let mut changed = document.clone();
        changed[place] ^= 1 << (place % 8);
        assert!(roots.verify(&changed, START).is_err(), "byte {place}");
    }
    for len in 0..document.len() {
        assert!(roots.verify(&document[..len], START).is_err(), "cut to {len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (_, roots) = good();
        prop_assert!(roots.verify(&bytes, START).is_err());
        prop_assert!(roots.verify(&document().sign_payload(bytes), START).is_err());
    }

    /// Behind a true signature stands whatever one likes, in every field.
    #[test]
    fn random_fields_are_refused(
        name in proptest::sample::select(vec!["certificate", "cabundle", "public_key"]),
        place in any::<proptest::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..8),
    ) {
        let document = document();
        let found = document.fields.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap().1.clone();
        let scramble = |value: &Value| {
            let mut value = value.as_bytes().unwrap().clone();
            let start = place.index(value.len());
            value[start..].iter_mut().zip(&bytes).for_each(|(byte, new)| *byte ^= new);
            Value::from(value)
        };
        let changed = match &found {
            Value::Array(items) => Value::Array(items.iter().map(scramble).collect()),
            other => scramble(other),
        };
        // A changed key may be a key all the same; nothing else may pass.
        let outcome = good().1.verify(&document.with(name, changed.clone()).sign(), START);
        prop_assert!(outcome.is_err() || name == "public_key" || changed == found);
    }
}
