//! What a command costs without sockets: nanoseconds of one core for each command, the frame's reading and writing
//! included. Run with `cargo run --release -p claviger-hsm --example cost`.

#![expect(clippy::print_stdout, reason = "a measuring program prints what it measures")]

use std::time::{Duration, Instant};

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{DEFAULT_CACHE_LEN, Engine, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, Reply, SYMMETRIC_DEFAULT, VERSION, WrappedKey, encode_context, frame,
};

const ROUNDS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut seal = MemorySeal::default();
    create_domain(&mut seal, Box::new(SystemEntropy::default()))?;
    let engine = Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), DEFAULT_CACHE_LEN)?;
    let binding = Binding {
        account: "111122223333",
        region: "us-east-1",
        key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
        spec: "SYMMETRIC_DEFAULT",
        usage: "ENCRYPT_DECRYPT",
    };
    let mut session = engine.session();
    session.answer(Duration::ZERO, &Command::Hello { version: VERSION });
    let Reply::KeyWrapped { material, token, .. } =
        session.answer(Duration::ZERO, &Command::CreateKey { binding })
    else {
        return Err("no key".into());
    };
    let token = token.to_vec();
    let key = WrappedKey { binding, material, token: &token };
    let context = encode_context([("purpose", "measure")]);
    let encrypt =
        Command::Encrypt { key, context: &context, plaintext: &[7; 64], algorithm: SYMMETRIC_DEFAULT };
    let Reply::Ciphertext { blob } = session.answer(Duration::ZERO, &encrypt) else {
        return Err("no ciphertext".into());
    };
    let blob = blob.to_vec();
    let decrypt = Command::Decrypt {
        key,
        context: &context,
        blob: &blob,
        algorithm: SYMMETRIC_DEFAULT,
        recipient: None,
    };
    let data_key =
        Command::GenerateDataKey { key, context: &context, length: 32, disclose: true, recipient: None };
    measure(&engine, "Encrypt 64 B", &encrypt)?;
    measure(&engine, "Decrypt 64 B", &decrypt)?;
    measure(&engine, "GenerateDataKey 32 B", &data_key)?;
    measure(&engine, "GenerateRandom 32 B", &Command::GenerateRandom { length: 32, recipient: None })?;
    measure(&engine, "CreateKey", &Command::CreateKey { binding })
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads the clock")]
fn measure(engine: &Engine, name: &str, command: &Command<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let mut session = engine.session();
    session.answer(Duration::ZERO, &Command::Hello { version: VERSION });
    let (mut input, mut out) = (Vec::new(), Vec::with_capacity(frame::MAX_BODY_LEN));
    frame::write(&mut input, 1, command)?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        out.clear();
        session.handle(Duration::ZERO, &input, &mut out)?;
    }
    println!("{name:24}{:6} ns", (start.elapsed() / ROUNDS).as_nanos());
    Ok(())
}
