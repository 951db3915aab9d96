//! Ciphertext blobs, into a whole HSM engine: no input that it did not make itself may open.

#![no_main]

use std::sync::OnceLock;

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{DEFAULT_CACHE_LEN, Engine, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, MaterialId, Reply, SYMMETRIC_DEFAULT, VERSION, WrappedKey, blob, frame,
};
use std::time::Duration;

struct Subject {
    engine: Engine,
    material: MaterialId,
    token: Vec<u8>,
    /// A blob of this key that opens, to [`PLAINTEXT`].
    blob: Vec<u8>,
}

const PLAINTEXT: &[u8] = b"forty bytes that only the real blob has.";
/// An encryption context without pairs, encoded.
const CONTEXT: &[u8] = &[0, 0, 0, 0];

const BINDING: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};

/// Sends one command to a session that said hello, and hands its answer on.
fn ask<T>(engine: &Engine, command: &Command<'_>, then: impl FnOnce(Reply<'_>) -> T) -> T {
    let mut session = engine.session();
    let (mut input, mut out) = (Vec::new(), Vec::new());
    frame::write(&mut input, 1, &Command::Hello { version: VERSION }).unwrap();
    frame::write(&mut input, 2, command).unwrap();
    let mut taken = 0;
    while taken < input.len() {
        taken += session.handle(Duration::ZERO, &input[taken..], &mut out).ok().unwrap();
    }
    let hello = frame::next(&out).unwrap().unwrap();
    let answer = frame::next(&out[hello.len..]).unwrap().unwrap();
    then(frame::read(answer.body).unwrap())
}

fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| {
        let mut seal = MemorySeal::default();
        create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
        let engine =
            Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), DEFAULT_CACHE_LEN).unwrap();
        let (material, token) = ask(&engine, &Command::CreateKey { binding: BINDING }, |reply| match reply {
            Reply::KeyWrapped { material, token, .. } => (material, token.to_vec()),
            other => panic!("{other:?}"),
        });
        let key = WrappedKey { binding: BINDING, material, token: &token };
        let (context, plaintext, algorithm) = (CONTEXT, PLAINTEXT, SYMMETRIC_DEFAULT);
        let blob =
            ask(&engine, &Command::Encrypt { key, context, plaintext, algorithm }, |reply| match reply {
                Reply::Ciphertext { blob } => blob.to_vec(),
                other => panic!("{other:?}"),
            });
        Subject { engine, material, token, blob }
    })
}

/// What is tried: the input as it is; or behind a header that names the key, its first bytes the nonce; or laid over a blob
/// that opens, so that all of it is right but what the input changes. The key's id is random: no input would guess it.
fn candidate(subject: &Subject, choice: u8, input: &[u8]) -> Vec<u8> {
    match choice % 3 {
        0 => input.to_vec(),
        1 => {
            let (nonce, der) = input.split_at_checked(16).unwrap_or((&[0; 16], input));
            let length = u32::try_from(der.len()).unwrap();
            [&blob::header(subject.material, nonce.try_into().unwrap(), length)[..], der].concat()
        }
        _ => {
            let mut laid_over = subject.blob.clone();
            laid_over.iter_mut().zip(input).for_each(|(place, byte)| *place ^= byte);
            laid_over
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = blob::split(input);
    let Some((choice, input)) = input.split_first() else { return };
    let subject = subject();
    let candidate = candidate(subject, *choice, input);
    let key = WrappedKey { binding: BINDING, material: subject.material, token: &subject.token };
    let (context, blob, algorithm) = (CONTEXT, &candidate[..], SYMMETRIC_DEFAULT);
    let decrypt = Command::Decrypt { key, context, blob, algorithm, recipient: None };
    ask(&subject.engine, &decrypt, |reply| match reply {
        Reply::Plaintext { plaintext } => {
            assert!(candidate == subject.blob && plaintext.0 == PLAINTEXT, "a forged blob opened");
        }
        Reply::Refused(_) => assert_ne!(candidate, subject.blob, "a blob does not open"),
        other => panic!("{other:?}"),
    });
});
