//! What a host may send to the HSM: frames, into a whole engine. It must answer or close, and never panic.

#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{Engine, SystemEntropy, create_domain};
use claviger_hsm_proto::{Command, VERSION, frame};

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut seal = MemorySeal::default();
        create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
        Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), 16).unwrap()
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut session = engine().session();
    let mut stream = Vec::new();
    frame::write(&mut stream, 0, &Command::Hello { version: VERSION }).unwrap();
    stream.extend_from_slice(input);
    let (mut out, mut taken) = (Vec::new(), 0);
    loop {
        match session.handle(Duration::ZERO, &stream[taken..], &mut out) {
            Ok(0) | Err(_) => break,
            Ok(more) => taken += more,
        }
    }
});
