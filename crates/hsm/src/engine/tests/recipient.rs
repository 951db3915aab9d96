//! Answers that are enveloped to a recipient. `tests/openssl.rs` opens them.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use claviger_hsm_proto::{RecipientKey, frame};

use super::operations::make;
use super::*;

fn recipient() -> Vec<u8> {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

/// Answers a command and gives what of it would go over the line.
fn on_the_line(engine: &Engine, command: &Command<'_>, read: impl FnOnce(&Reply<'_>)) -> Vec<u8> {
    let (mut scratch, mut line) = (Scratch::new(), Vec::new());
    let reply = engine.answer(&mut scratch, NOW, command).unwrap();
    read(&reply);
    frame::write(&mut line, 1, &reply).unwrap();
    assert!(scratch.clear.is_empty(), "the clear value outlives its envelope");
    line
}

fn shows(line: &[u8], clear: &[u8]) -> bool {
    line.windows(clear.len()).any(|window| window == clear)
}

#[test]
fn a_plaintext_goes_to_its_recipient_only() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let public = recipient();
    let blob = bytes(encrypt(&engine, key));
    let command = |recipient| Command::Decrypt {
        key,
        context: b"context",
        blob: &blob,
        algorithm: SYMMETRIC_DEFAULT,
        recipient,
    };
    let enveloped =
        |reply: &Reply<'_>| assert!(matches!(reply, Reply::Enveloped { content } if content.len() > 400));
    let line = on_the_line(&engine, &command(Some(RecipientKey(&public))), enveloped);
    assert!(!shows(&line, b"plaintext"));
    let again = on_the_line(&engine, &command(Some(RecipientKey(&public))), enveloped);
    assert_ne!(line, again, "key and initialization vector are new each time");
    assert_eq!(ask(&engine, &command(None)), Got::Bytes(b"plaintext".to_vec()));
}

#[test]
fn a_data_key_goes_to_its_recipient_only() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let public = recipient();
    for disclose in [true, false] {
        let recipient = Some(RecipientKey(&public));
        let command = Command::GenerateDataKey { key, context: b"context", length: 32, disclose, recipient };
        let mut scratch = Scratch::new();
        let reply = engine.answer(&mut scratch, NOW, &command).unwrap();
        let Reply::DataKey { blob, plaintext: None, enveloped } = reply else { panic!("{reply:?}") };
        assert_eq!(enveloped.is_some(), disclose);
        let data_key = bytes(decrypt(&engine, key, blob));
        let mut line = Vec::new();
        frame::write(&mut line, 1, &reply).unwrap();
        assert_eq!(data_key.len(), 32);
        assert!(!shows(&line, &data_key));
    }
}

#[test]
fn a_private_key_goes_to_its_recipient_only() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let der = recipient();
    for (pair, disclose) in [("ECC_NIST_P256", true), ("ECC_NIST_P256", false), ("RSA_4096", true)] {
        let recipient = Some(RecipientKey(&der));
        let command = Command::GenerateDataKeyPair { key, context: b"context", pair, disclose, recipient };
        let mut scratch = Scratch::new();
        let reply = engine.answer(&mut scratch, NOW, &command).unwrap();
        let Reply::DataKeyPair { blob, private: None, enveloped, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(enveloped.is_some(), disclose);
        let private = bytes(decrypt(&engine, key, blob));
        let mut line = Vec::new();
        frame::write(&mut line, 1, &reply).unwrap();
        assert!(!shows(&line, &private[private.len() - 100..]));
    }
}

#[test]
fn a_shared_secret_goes_to_its_recipient_only() {
    let engine = start(&sealed());
    let (one, other) =
        (make(&engine, "ECC_NIST_P256", "KEY_AGREEMENT"), make(&engine, "ECC_NIST_P256", "KEY_AGREEMENT"));
    let der = recipient();
    let peer = other.public.as_deref().unwrap();
    let command = |recipient| Command::DeriveSharedSecret { key: one.wrapped(), peer, recipient };
    let mut scratch = Scratch::new();
    let reply = engine.answer(&mut scratch, NOW, &command(None)).unwrap();
    let Reply::SharedSecret { secret: Disclosed(secret) } = reply else { panic!("{reply:?}") };
    let line = on_the_line(&engine, &command(Some(RecipientKey(&der))), |reply| {
        assert!(matches!(reply, Reply::Enveloped { .. }));
    });
    assert_eq!(secret.len(), 32);
    assert!(!shows(&line, secret));
    let cut = Some(RecipientKey(&der[..100]));
    assert_eq!(ask(&engine, &command(cut)), Got::Refused(Refusal::PublicKey));
}

#[test]
fn random_bytes_go_to_their_recipient_only() {
    let engine = start(&sealed());
    let public = recipient();
    for length in [1, 1024] {
        let command = Command::GenerateRandom { length, recipient: Some(RecipientKey(&public)) };
        on_the_line(&engine, &command, |reply| assert!(matches!(reply, Reply::Enveloped { .. })));
    }
}

#[test]
fn a_recipient_that_cannot_be_used_stops_the_command() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let blob = bytes(encrypt(&engine, key));
    let whole = recipient();
    for der in [&b""[..], &whole[..whole.len() - 1], b"-----BEGIN PUBLIC KEY-----"] {
        let recipient = Some(RecipientKey(der));
        let (context, algorithm) = (&b"context"[..], SYMMETRIC_DEFAULT);
        for command in [
            Command::Decrypt { key, context, blob: &blob, algorithm, recipient },
            Command::GenerateDataKey { key, context, length: 32, disclose: true, recipient },
            Command::GenerateDataKey { key, context, length: 32, disclose: false, recipient },
            Command::GenerateRandom { length: 32, recipient },
            Command::GenerateDataKeyPair { key, context, pair: "ECC_NIST_P256", disclose: true, recipient },
        ] {
            assert_eq!(ask(&engine, &command), Got::Refused(Refusal::PublicKey), "{command:?}");
        }
    }
    let recipient = Some(RecipientKey(&whole));
    let command =
        Command::Decrypt { key, context: b"other", blob: &blob, algorithm: SYMMETRIC_DEFAULT, recipient };
    assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Ciphertext));
}

/// Attack D7: an envelope with a key that is not random would be none.
#[test]
fn no_randomness_no_envelope() {
    let good = Arc::new(AtomicUsize::new(100));
    let random = Box::new(Breaking { good: Arc::clone(&good), then: None });
    let engine = Engine::start(Box::new(sealed()), random, 16).unwrap();
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let blob = bytes(encrypt(&engine, key));
    let public = recipient();
    // Two draws make the content key, two more the initialization vector.
    for left in 0..4 {
        good.store(left, std::sync::atomic::Ordering::Relaxed);
        let command = Command::Decrypt {
            key,
            context: b"context",
            blob: &blob,
            algorithm: SYMMETRIC_DEFAULT,
            recipient: Some(RecipientKey(&public)),
        };
        assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Randomness), "{left} draws");
    }
}
