//! The engine as a host sees it: attacks D5, D7, D17, D21 and J14, and what outlives a restart.

use std::sync::atomic::AtomicUsize;

use claviger_hsm_proto::{CredentialBinding, HostKeyLabel, SYMMETRIC_DEFAULT, WrappedCredential};
use proptest::prelude::*;

use super::*;
use crate::cache::TOMBSTONE_TIME;
use crate::random::SystemEntropy;
use crate::random::tests::Breaking;
use crate::seal::memory::MemorySeal;

mod operations;
mod vectors;

const NOW: Duration = Duration::from_secs(1);
const A: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};
const B: Binding<'static> = Binding { key_id: "0987dcba-09fe-87dc-65ba-ab0987654321", ..A };

fn sealed() -> MemorySeal {
    let mut seal = MemorySeal::default();
    create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
    seal
}

fn start(seal: &MemorySeal) -> Engine {
    Engine::start(Box::new(seal.clone()), Box::new(SystemEntropy::default()), 16).unwrap()
}

/// What a reply holds, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Refused(Refusal),
    Key(MaterialId, Vec<u8>),
    Bytes(Vec<u8>),
    Pair(Vec<u8>, Option<Vec<u8>>),
    Enveloped(Vec<u8>),
    Generation(u32),
    Evicted,
}

fn ask(engine: &Engine, command: &Command<'_>) -> Got {
    ask_at(engine, NOW, command)
}

fn ask_at(engine: &Engine, now: Duration, command: &Command<'_>) -> Got {
    let mut scratch = Scratch::new();
    match engine.answer(&mut scratch, now, command).unwrap_or_else(Reply::Refused) {
        Reply::Refused(refusal) => Got::Refused(refusal),
        Reply::Hello { domain, .. } => Got::Bytes(domain.to_vec()),
        Reply::KeyWrapped { material, token, .. } => Got::Key(material, token.to_vec()),
        Reply::Ciphertext { blob } => Got::Bytes(blob.to_vec()),
        Reply::Transfer { package } => Got::Bytes(package.to_vec()),
        Reply::Enveloped { content } => Got::Enveloped(content.to_vec()),
        Reply::ImportParameters { public, token } => Got::Pair(token.to_vec(), Some(public.to_vec())),
        Reply::Plaintext { plaintext: Disclosed(bytes) }
        | Reply::Random { bytes: Disclosed(bytes) }
        | Reply::SigningKey { key: Disclosed(bytes) }
        | Reply::HostKey { key: Disclosed(bytes) } => Got::Bytes(bytes.to_vec()),
        Reply::DataKey { blob, plaintext, .. } => {
            Got::Pair(blob.to_vec(), plaintext.map(|clear| clear.0.to_vec()))
        }
        Reply::CredentialWrapped { token, secret } => {
            Got::Pair(token.to_vec(), secret.map(|secret| secret.0.to_vec()))
        }
        Reply::Evicted => Got::Evicted,
        Reply::DomainKeyRotated { generation } => Got::Generation(generation),
        other => panic!("{other:?}"),
    }
}

fn create(engine: &Engine, binding: Binding<'_>) -> (MaterialId, Vec<u8>) {
    match ask(engine, &Command::CreateKey { binding }) {
        Got::Key(material, token) => (material, token),
        other => panic!("{other:?}"),
    }
}

fn bytes(got: Got) -> Vec<u8> {
    match got {
        Got::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

fn encrypt(engine: &Engine, key: WrappedKey<'_>) -> Got {
    ask(
        engine,
        &Command::Encrypt { key, context: b"context", plaintext: b"plaintext", algorithm: SYMMETRIC_DEFAULT },
    )
}

fn decrypt(engine: &Engine, key: WrappedKey<'_>, blob: &[u8]) -> Got {
    ask(
        engine,
        &Command::Decrypt { key, context: b"context", blob, algorithm: SYMMETRIC_DEFAULT, recipient: None },
    )
}

#[test]
fn encrypt_decrypt_and_reencrypt() {
    let engine = start(&sealed());
    let ((a, token_a), (b, token_b)) = (create(&engine, A), create(&engine, B));
    let key_a = WrappedKey { binding: A, material: a, token: &token_a };
    let key_b = WrappedKey { binding: B, material: b, token: &token_b };
    let blob = bytes(encrypt(&engine, key_a));
    assert_eq!(decrypt(&engine, key_a, &blob), Got::Bytes(b"plaintext".to_vec()));
    assert_eq!(decrypt(&engine, key_b, &blob), Got::Refused(Refusal::Ciphertext));
    let moved = bytes(ask(
        &engine,
        &Command::ReEncrypt {
            source: key_a,
            source_context: b"context",
            blob: &blob,
            destination: key_b,
            destination_context: b"other",
            source_algorithm: SYMMETRIC_DEFAULT,
            destination_algorithm: SYMMETRIC_DEFAULT,
        },
    ));
    let opened = ask(
        &engine,
        &Command::Decrypt {
            key: key_b,
            context: b"other",
            blob: &moved,
            algorithm: SYMMETRIC_DEFAULT,
            recipient: None,
        },
    );
    assert_eq!(opened, Got::Bytes(b"plaintext".to_vec()));
    assert_eq!(decrypt(&engine, key_b, &moved), Got::Refused(Refusal::Ciphertext));
}

#[test]
fn data_keys_and_random_bytes() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    for length in [1, 32, 1024] {
        let command = |disclose| Command::GenerateDataKey {
            key,
            context: b"context",
            length,
            disclose,
            recipient: None,
        };
        let Got::Pair(blob, Some(clear)) = ask(&engine, &command(true)) else { panic!("no data key") };
        assert_eq!(clear.len(), usize::from(length));
        assert_eq!(decrypt(&engine, key, &blob), Got::Bytes(clear));
        assert!(matches!(ask(&engine, &command(false)), Got::Pair(_, None)));
        assert_eq!(
            bytes(ask(&engine, &Command::GenerateRandom { length, recipient: None })).len(),
            usize::from(length)
        );
    }
    for length in [0, 1025] {
        let data_key =
            Command::GenerateDataKey { key, context: &[], length, disclose: true, recipient: None };
        assert_eq!(ask(&engine, &data_key), Got::Refused(Refusal::Length));
        assert_eq!(
            ask(&engine, &Command::GenerateRandom { length, recipient: None }),
            Got::Refused(Refusal::Length)
        );
    }
}

/// Attack D5: a token opens only in its place, whether or not the material is in the cache.
#[test]
fn a_token_opens_only_where_it_was_made() {
    let seal = sealed();
    for cached in [false, true] {
        let engine = start(&seal);
        let ((a, token_a), (b, token_b)) = (create(&engine, A), create(&engine, B));
        if cached {
            bytes(encrypt(&engine, WrappedKey { binding: A, material: a, token: &token_a }));
            bytes(encrypt(&engine, WrappedKey { binding: B, material: b, token: &token_b }));
        }
        let places = [
            (B, a, &token_a),
            (B, b, &token_a),
            (A, b, &token_b),
            (A, a, &token_b),
            (A, b, &token_a),
            (Binding { account: "444455556666", ..A }, a, &token_a),
            (Binding { region: "us-east-2", ..A }, a, &token_a),
        ];
        for (binding, material, token) in places {
            let key = WrappedKey { binding, material, token };
            assert_eq!(encrypt(&engine, key), Got::Refused(Refusal::Token), "{binding:?} {cached}");
            assert_eq!(ask(&engine, &Command::Rewrap { key }), Got::Refused(Refusal::Token));
        }
    }
}

#[test]
fn every_bit_of_a_token_counts() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    bytes(encrypt(&engine, WrappedKey { binding: A, material, token: &token }));
    for bit in 0..token.len() * 8 {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let key = WrappedKey { binding: A, material, token: &flipped };
        assert_eq!(encrypt(&engine, key), Got::Refused(Refusal::Token), "bit {bit}");
    }
    for length in 0..token.len() {
        let key = WrappedKey { binding: A, material, token: &token[..length] };
        assert_eq!(encrypt(&engine, key), Got::Refused(Refusal::Token), "{length} bytes");
    }
}

/// Attack D17: the HSM itself keeps keys to their spec and usage.
#[test]
fn other_specs_and_usages_are_refused() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    for (spec, usage) in
        [("RSA_2048", "SIGN_VERIFY"), (A.spec, "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
    {
        let key = WrappedKey { binding: Binding { spec, usage, ..A }, material, token: &token };
        let good = WrappedKey { binding: A, material, token: &token };
        let commands = [
            Command::Encrypt { key, context: &[], plaintext: b"p", algorithm: SYMMETRIC_DEFAULT },
            Command::Decrypt { key, context: &[], blob: b"b", algorithm: SYMMETRIC_DEFAULT, recipient: None },
            Command::GenerateDataKey { key, context: &[], length: 32, disclose: false, recipient: None },
            Command::ReEncrypt {
                source: key,
                source_context: &[],
                blob: b"b",
                destination: good,
                destination_context: &[],
                source_algorithm: SYMMETRIC_DEFAULT,
                destination_algorithm: SYMMETRIC_DEFAULT,
            },
            Command::ReEncrypt {
                source: good,
                source_context: &[],
                blob: b"b",
                destination: key,
                destination_context: &[],
                source_algorithm: SYMMETRIC_DEFAULT,
                destination_algorithm: SYMMETRIC_DEFAULT,
            },
        ];
        for command in commands {
            assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Usage), "{command:?}");
        }
    }
}

#[test]
fn tokens_blobs_and_host_keys_outlive_a_restart_and_a_rotation() {
    let seal = sealed();
    let before = start(&seal);
    let (material, token) = create(&before, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let blob = bytes(encrypt(&before, key));
    let host_key = ask(&before, &Command::HostKey { label: HostKeyLabel::Records });
    assert_ne!(host_key, ask(&before, &Command::HostKey { label: HostKeyLabel::Markers }));
    assert_eq!(ask(&before, &Command::RotateDomainKey { newest: 1 }), Got::Generation(2));
    let Got::Key(same, rewrapped) = ask(&before, &Command::Rewrap { key }) else { panic!("not rewrapped") };
    assert_eq!((same, &token[1..5], &rewrapped[1..5]), (material, &[0, 0, 0, 1][..], &[0, 0, 0, 2][..]));
    assert_eq!(create(&before, B).1[1..5], [0, 0, 0, 2]);
    drop(before);

    let after = start(&seal);
    assert_eq!(ask(&after, &Command::HostKey { label: HostKeyLabel::Records }), host_key);
    for token in [&token, &rewrapped] {
        let key = WrappedKey { binding: A, material, token };
        assert_eq!(decrypt(&after, key, &blob), Got::Bytes(b"plaintext".to_vec()));
    }
    let mut unborn = token.clone();
    unborn[4] = 3;
    let key = WrappedKey { binding: A, material, token: &unborn };
    assert_eq!(decrypt(&after, key, &blob), Got::Refused(Refusal::Token));
}

#[test]
fn another_domain_opens_nothing() {
    let (one, other) = (start(&sealed()), start(&sealed()));
    let (material, token) = create(&one, A);
    let key = WrappedKey { binding: A, material, token: &token };
    assert_eq!(encrypt(&other, key), Got::Refused(Refusal::Token));
}

#[test]
fn credentials_are_sealed_to_their_place() {
    let engine = start(&sealed());
    let binding = CredentialBinding { account: "111122223333", access_key_id: "AKIAIOSFODNN7EXAMPLE" };
    let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let made = ask(&engine, &Command::CreateCredential { binding, secret: Some(secret) });
    let Got::Pair(token, None) = made else { panic!("a given secret is not shown again: {made:?}") };
    let sign = |binding, token: &[u8]| {
        let credential = WrappedCredential { binding, token };
        ask(
            &engine,
            &Command::SigningKey { credential, date: "20120215", region: "us-east-1", service: "iam" },
        )
    };
    assert_eq!(sign(binding, &token), Got::Bytes(KNOWN_ANSWERS.signing_key.to_vec()));
    for moved in [
        CredentialBinding { account: "444455556666", ..binding },
        CredentialBinding { access_key_id: "AKIAI44QH8DHBEXAMPLE", ..binding },
    ] {
        assert_eq!(sign(moved, &token), Got::Refused(Refusal::Token));
    }
    assert_eq!(sign(binding, &create(&engine, A).1), Got::Refused(Refusal::Token));

    let made = ask(&engine, &Command::CreateCredential { binding, secret: None });
    let Got::Pair(token, Some(secret)) = made else { panic!("{made:?}") };
    assert_eq!(secret.len(), 40);
    let expected =
        credential::derive_signing_key(&secret, ["20120215", "us-east-1", "iam"]).unwrap().to_vec();
    assert_eq!(sign(binding, &token), Got::Bytes(expected));
    for length in [15, 129] {
        let secret = vec![b's'; length];
        let command = Command::CreateCredential { binding, secret: Some(&secret) };
        assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Length));
    }
}

/// Attack J14, seen from outside: commands still work after an eviction, and only the time brings the cache back.
#[test]
fn evicted_materials_are_not_cached_for_a_while() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, A);
    let key = WrappedKey { binding: A, material, token: &token };
    let place = Place::key(&engine.domain, &A, material).unwrap();
    let cached =
        || matches!(engine.cache.find(material, place.as_slice(), &token, |_| ()), Ok(Found::Hit(())));
    let command = Command::Encrypt { key, context: &[], plaintext: b"p", algorithm: SYMMETRIC_DEFAULT };
    bytes(ask_at(&engine, NOW, &command));
    assert!(cached());
    assert_eq!(ask_at(&engine, NOW, &Command::Evict { materials: vec![material] }), Got::Evicted);
    assert!(!cached());
    bytes(ask_at(&engine, NOW, &command));
    assert!(!cached());
    bytes(ask_at(&engine, NOW + TOMBSTONE_TIME, &command));
    assert!(cached());
}

/// Attack D7: no randomness, no product.
#[test]
fn a_broken_generator_refuses_everything_that_needs_it() {
    let seal = sealed();
    for then in [None, Some(0)] {
        let good = Arc::new(AtomicUsize::new(100));
        let random = Box::new(Breaking { good: Arc::clone(&good), then });
        let engine = Engine::start(Box::new(seal.clone()), random, 16).unwrap();
        let (material, token) = create(&engine, A);
        let key = WrappedKey { binding: A, material, token: &token };
        let blob = bytes(encrypt(&engine, key));
        good.store(0, std::sync::atomic::Ordering::Relaxed);
        let binding = CredentialBinding { account: A.account, access_key_id: "AKIAIOSFODNN7EXAMPLE" };
        // A constant is seen at the second draw at the latest.
        drop(encrypt(&engine, key));
        for command in [
            Command::CreateKey { binding: A },
            Command::Encrypt { key, context: &[], plaintext: b"p", algorithm: SYMMETRIC_DEFAULT },
            Command::GenerateDataKey { key, context: &[], length: 32, disclose: true, recipient: None },
            Command::GenerateRandom { length: 32, recipient: None },
            Command::CreateCredential { binding, secret: None },
            Command::RotateDomainKey { newest: 1 },
            Command::Rewrap { key },
        ] {
            assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Randomness), "{command:?}");
        }
        assert_eq!(decrypt(&engine, key, &blob), Got::Bytes(b"plaintext".to_vec()));
        assert_eq!(seal.clone().load().unwrap().keys.len(), 1);
    }
}

/// Attack D21.
#[test]
fn a_wrong_known_answer_stops_the_start() {
    let mut known = KNOWN_ANSWERS;
    known.gcm_tag[0] ^= 1;
    let random = Box::new(SystemEntropy::default());
    let started = Engine::start_if(&known, Box::new(sealed()), random, 16);
    assert!(matches!(started, Err(StartError::SelfTest)));
}

/// Attack D20: no seal, no engine; and no second domain over a first.
#[test]
fn a_missing_seal_stops_the_start_and_a_present_one_the_making() {
    let random = || Box::new(SystemEntropy::default());
    let started = Engine::start(Box::new(MemorySeal::default()), random(), 16);
    assert!(matches!(started, Err(StartError::Seal(SealError::Missing))));
    let made = create_domain(&mut sealed(), random());
    assert!(matches!(made, Err(StartError::Seal(SealError::Exists))));
}

#[test]
fn a_session_starts_with_hello_of_this_version() {
    let engine = start(&sealed());
    let mut session = engine.session();
    let refused = |reply: Reply<'_>, refusal| matches!(reply, Reply::Refused(got) if got == refusal);
    assert!(refused(session.answer(NOW, &Command::RotateDomainKey { newest: 1 }), Refusal::Malformed));
    assert!(refused(session.answer(NOW, &Command::Hello { version: VERSION + 1 }), Refusal::Version));
    assert!(!session.is_open());
    assert!(matches!(session.answer(NOW, &Command::Hello { version: VERSION }), Reply::Hello { .. }));
    assert!(matches!(
        session.answer(NOW, &Command::GenerateRandom { length: 1, recipient: None }),
        Reply::Random { .. }
    ));
}

mod import;
mod recipient;
mod transfer;

proptest! {
    #[test]
    fn no_frame_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let engine = start(&sealed());
        let mut session = engine.session();
        session.answer(NOW, &Command::Hello { version: VERSION });
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let mut out = Vec::new();
        let _ = session.handle(NOW, &[&length[..], &body].concat(), &mut out);
        let _ = session.handle(NOW, &body, &mut out);
    }
}
