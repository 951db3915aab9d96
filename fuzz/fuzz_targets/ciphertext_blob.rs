//! Ciphertext blobs, into a whole HSM engine: no input that it did not make itself may open.

#![no_main]

use std::sync::OnceLock;

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{DEFAULT_CACHE_LEN, Engine, SystemEntropy, create_domain};
use claviger_hsm_proto::{Binding, Command, MaterialId, Reply, SYMMETRIC_DEFAULT, VERSION, WrappedKey, blob, frame};
use std::time::Duration;

struct Subject {
    engine: Engine,
    material: MaterialId,
    token: Vec<u8>,
}

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
        let engine = Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), DEFAULT_CACHE_LEN).unwrap();
        let (material, token) = ask(&engine, &Command::CreateKey { binding: BINDING }, |reply| match reply {
            Reply::KeyWrapped { material, token, .. } => (material, token.to_vec()),
            other => panic!("{other:?}"),
        });
        Subject { engine, material, token }
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = blob::split(input);
    let subject = subject();
    let key = WrappedKey { binding: BINDING, material: subject.material, token: &subject.token };
    ask(&subject.engine, &Command::Decrypt { key, context: &[0, 0, 0, 0], blob: input, algorithm: SYMMETRIC_DEFAULT, recipient: None }, |reply| {
        assert!(matches!(reply, Reply::Refused(_)), "a forged blob opened");
    });
});
