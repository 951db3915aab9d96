//! What a command costs without sockets: nanoseconds of one core for each command, the frame's reading and writing
//! included, the way of dear commands to a worker's thread not. Run with `cargo run --release -p claviger-hsm
//! --example cost`.

#![expect(clippy::print_stdout, reason = "a measuring program prints what it measures")]

use std::time::{Duration, Instant};

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{DEFAULT_CACHE_LEN, Engine, Step, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, MessageKind, Reply, SYMMETRIC_DEFAULT, VERSION, WrappedKey, encode_context, frame,
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
    measure(&engine, "Encrypt 64 B", ROUNDS, &encrypt)?;
    measure(&engine, "Decrypt 64 B", ROUNDS, &decrypt)?;
    measure(&engine, "GenerateDataKey 32 B", ROUNDS, &data_key)?;
    let random = Command::GenerateRandom { length: 32, recipient: None };
    measure(&engine, "GenerateRandom 32 B", ROUNDS, &random)?;
    measure(&engine, "CreateKey", ROUNDS, &Command::CreateKey { binding })?;
    asymmetric(&engine, binding)
}

/// Each family's dearest command, with its key in the cache. Signatures are verified before they leave.
fn asymmetric(engine: &Engine, place: Binding<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let message = [7; 64];
    for (spec, usage, algorithm) in [
        ("HMAC_256", "GENERATE_VERIFY_MAC", "HMAC_SHA_256"),
        ("RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_256"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
        ("ECC_NIST_P384", "SIGN_VERIFY", "ECDSA_SHA_384"),
        ("ECC_NIST_P521", "SIGN_VERIFY", "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "ED25519_SHA_512"),
        ("ML_DSA_65", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
        ("SM2", "SIGN_VERIFY", "SM2DSA"),
    ] {
        let binding = Binding { spec, usage, ..place };
        let mut session = engine.session();
        session.answer(Duration::ZERO, &Command::Hello { version: VERSION });
        let Reply::KeyWrapped { material, token, .. } =
            session.answer(Duration::ZERO, &Command::CreateKey { binding })
        else {
            return Err(format!("no key of {spec}").into());
        };
        let token = token.to_vec();
        let key = WrappedKey { binding, material, token: &token };
        let sign = Command::Sign { key, algorithm, kind: MessageKind::Raw, message: &message };
        let (name, command) = match usage {
            "SIGN_VERIFY" => ("Sign", sign),
            "GENERATE_VERIFY_MAC" => {
                ("GenerateMac", Command::GenerateMac { key, algorithm, message: &message })
            }
            "ENCRYPT_DECRYPT" => {
                ("Encrypt", Command::Encrypt { key, context: &[], plaintext: &message, algorithm })
            }
            _ => ("Decapsulate", Command::Decapsulate { key, ciphertext: &[7; 1088] }),
        };
        measure(engine, &format!("{name} {spec}"), ROUNDS / 100, &command)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads the clock")]
fn measure(
    engine: &Engine,
    name: &str,
    rounds: u32,
    command: &Command<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut session = engine.session();
    session.answer(Duration::ZERO, &Command::Hello { version: VERSION });
    let mut worker = engine.worker();
    let (mut input, mut out) = (Vec::new(), Vec::with_capacity(frame::MAX_BODY_LEN));
    frame::write(&mut input, 1, command)?;
    let start = Instant::now();
    for _ in 0..rounds {
        out.clear();
        if let Step::Deferred { deferred, .. } = session.step(Duration::ZERO, &input, &mut out)? {
            worker.carry_out(Duration::ZERO, &deferred, &input, &mut out)?;
        }
    }
    println!("{name:28}{:8} ns", (start.elapsed() / rounds).as_nanos());
    Ok(())
}
