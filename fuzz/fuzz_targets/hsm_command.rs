//! What a host may send to the HSM: frames, into a whole engine. It must answer or close, and never panic.

#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{Engine, Step, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, ImportTerms, MaterialId, MessageKind, RecipientKey, Reply, VERSION, WrappedKey, frame,
};

/// Spec, usage and an algorithm of the keys that there are.
const KEYS: [(&str, &str, &str); 9] = [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"),
    ("HMAC_256", "GENERATE_VERIFY_MAC", "HMAC_SHA_256"),
    ("RSA_2048", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_256"),
    ("RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
    ("ECC_NIST_P384", "KEY_AGREEMENT", ""),
    ("ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", ""),
    ("SM2", "ENCRYPT_DECRYPT", "SM2PKE"),
];
const TERMS: ImportTerms<'static> =
    ImportTerms { wrapping_key: "RSA_2048", algorithm: "RSAES_OAEP_SHA_256", valid_to_ms: 0 };

struct Subject {
    engine: Engine,
    /// Material id and token of each of [`KEYS`].
    keys: Vec<(MaterialId, Vec<u8>)>,
}

fn binding(spec: &'static str, usage: &'static str) -> Binding<'static> {
    Binding {
        account: "111122223333",
        region: "us-east-1",
        key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
        spec,
        usage,
    }
}

fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| {
        let mut seal = MemorySeal::default();
        create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
        let engine = Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), 16).unwrap();
        let keys = KEYS.map(|(spec, usage, _)| {
            let mut session = engine.worker();
            match session.answer(Duration::ZERO, &Command::CreateKey { binding: binding(spec, usage) }) {
                Reply::KeyWrapped { material, token, .. } => (material, token.to_vec()),
                other => panic!("{other:?}"),
            }
        });
        Subject { engine, keys: keys.to_vec() }
    })
}

/// A command of a key that there is: no input would guess its id and its token.
fn command<'a>(
    choice: u8,
    key: WrappedKey<'a>,
    algorithm: &'a str,
    (left, right): (&'a [u8], &'a [u8]),
) -> Command<'a> {
    let length = u16::try_from(right.len()).unwrap_or(u16::MAX);
    let kind = if left.is_empty() { MessageKind::Raw } else { MessageKind::Digest };
    let recipient = (!left.is_empty()).then_some(RecipientKey(left));
    match choice % 18 {
        0 => Command::Encrypt { key, context: left, plaintext: right, algorithm },
        1 => Command::Decrypt { key, context: left, blob: right, algorithm, recipient: None },
        2 => Command::Decrypt { key, context: &[], blob: right, algorithm, recipient },
        3 => Command::ReEncrypt {
            source: key,
            source_context: left,
            blob: right,
            destination: key,
            destination_context: left,
            source_algorithm: algorithm,
            destination_algorithm: algorithm,
        },
        4 => Command::GenerateDataKey { key, context: left, length, disclose: true, recipient: None },
        5 => Command::GenerateDataKey { key, context: &[], length, disclose: true, recipient },
        6 => Command::GenerateDataKeyPair {
            key,
            context: left,
            pair: "ECC_NIST_P256",
            disclose: true,
            recipient: None,
        },
        7 => Command::Rewrap { key },
        8 => Command::Sign { key, algorithm, kind, message: right },
        9 => Command::Verify { key, algorithm, kind: MessageKind::Raw, message: left, signature: right },
        10 => Command::GenerateMac { key, algorithm, message: right },
        11 => Command::VerifyMac { key, algorithm, message: left, mac: right },
        12 => Command::DeriveSharedSecret { key, peer: right, recipient },
        13 => Command::Encapsulate { key },
        14 => Command::Decapsulate { key, ciphertext: right },
        15 => Command::TransferOut { key, domain: [choice; 16], region: "eu-west-1" },
        16 => Command::ImportKey { binding: key.binding, terms: TERMS, token: left, material: right },
        _ => Command::TransferIn {
            binding: key.binding,
            from: "eu-west-1",
            material: key.material,
            package: right,
        },
    }
}

/// The frames that are sent: the input as it is; or a command of a key that there is, of which the input says what it
/// carries, twice, so that it finds the key unwrapped the second time. Or the token is not the key's, by one byte.
fn frames(subject: &Subject, input: &[u8], stream: &mut Vec<u8>) -> Option<()> {
    let (&[form, choice, at], input) = input.split_first_chunk()?;
    let index = usize::from(form) % (KEYS.len() + 1);
    let (Some((spec, usage, algorithm)), Some((material, token))) =
        (KEYS.get(index), subject.keys.get(index))
    else {
        stream.extend_from_slice(input);
        return Some(());
    };
    let mut token = token.clone();
    if form >= 0x80 {
        let place = usize::from(choice) % token.len();
        token[place] ^= at.max(1);
    }
    let key = WrappedKey { binding: binding(spec, usage), material: *material, token: &token };
    let parts = input.split_at_checked(at.into()).unwrap_or((&[], input));
    for id in 1..=2 {
        frame::write(stream, id, &command(choice, key, algorithm, parts)).ok()?;
    }
    Some(())
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let subject = subject();
    let (mut session, mut worker) = (subject.engine.session(), subject.engine.worker());
    let mut stream = Vec::new();
    frame::write(&mut stream, 0, &Command::Hello { version: VERSION }).unwrap();
    if frames(subject, input, &mut stream).is_none() {
        return;
    }
    let (mut out, mut taken) = (Vec::new(), 0);
    loop {
        let before = out.len();
        match session.step(Duration::ZERO, &stream[taken..], &mut out) {
            Ok(Step::Partial) | Err(_) => break,
            Ok(Step::Answered { len }) => taken += len,
            Ok(Step::Deferred { len, deferred }) => {
                let waited = &stream[taken..taken + len];
                if worker.carry_out(Duration::ZERO, &deferred, waited, &mut out).is_err() {
                    break;
                }
                taken += len;
            }
        }
        assert!(frame::next(&out[before..]).unwrap().is_some(), "a command was not answered");
    }
});
