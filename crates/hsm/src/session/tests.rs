//! What is answered at once, what is deferred, and what workers make of it.

use std::cell::RefCell;

use claviger_hsm_proto::{Binding, MaterialId, MessageKind, SYMMETRIC_DEFAULT, VERSION, WrappedKey};

use super::*;
use crate::cache::TOMBSTONE_TIME;
use crate::random::SystemEntropy;
use crate::seal::memory::MemorySeal;

const NOW: Duration = Duration::from_secs(1);
const A: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
    spec: SYMMETRIC_DEFAULT,
    usage: "ENCRYPT_DECRYPT",
};
const HELLO: Command<'static> = Command::Hello { version: VERSION };
const RANDOM: Command<'static> = Command::GenerateRandom { length: 8, recipient: None };
/// Refused by every engine, but only by a worker's.
const SIGN: Command<'static> = Command::Sign {
    key: WrappedKey { binding: A, material: MaterialId([0; 32]), token: &[] },
    algorithm: "RSASSA_PSS_SHA_256",
    kind: MessageKind::Raw,
    message: b"message",
};

fn start() -> Engine {
    let mut seal = MemorySeal::default();
    crate::create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
    Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), 16).unwrap()
}

fn framed(id: u64, command: &Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, id, command).unwrap();
    out
}

/// The id and the refusal, if it is one, of the only reply.
fn answer(out: &[u8]) -> (u64, Option<Refusal>) {
    let found = frame::next(out).unwrap().unwrap();
    assert_eq!(found.len, out.len());
    match frame::read(found.body).unwrap() {
        Reply::Refused(refusal) => (found.id, Some(refusal)),
        _ => (found.id, None),
    }
}

fn check_step(session: &mut Session<'_>, command: &Command<'_>, refusal: Option<Refusal>, ended: bool) {
    let (input, mut out) = (framed(9, command), Vec::new());
    match session.step(NOW, &input, &mut out) {
        Ok(Step::Answered { len }) => assert!(len == input.len() && !ended),
        Err(Closed::Hello) => assert!(ended),
        other => panic!("{other:?}"),
    }
    assert_eq!(answer(&out), (9, refusal));
}

#[test]
fn cheap_commands_are_answered_at_once_and_dear_ones_deferred() {
    let engine = start();
    let mut session = engine.session();
    check_step(&mut session, &HELLO, None, false);
    check_step(&mut session, &RANDOM, None, false);
    let (input, mut out) = (framed(5, &SIGN), Vec::new());
    for length in 0..input.len() {
        assert!(matches!(session.step(NOW, &input[..length], &mut out), Ok(Step::Partial)));
    }
    let Ok(Step::Deferred { len, deferred }) = session.step(NOW, &input, &mut out) else {
        panic!("answered")
    };
    assert!(out.is_empty() && len == input.len() && deferred.cost() == cost(&SIGN));
    engine.worker().carry_out(NOW, &deferred, &input, &mut out).unwrap();
    assert_eq!(answer(&out), (5, Some(Refusal::Usage)));
    // A host in the same process has no workers: it is answered whatever it asks.
    out.clear();
    assert_eq!(session.handle(NOW, &input, &mut out), Ok(input.len()));
    assert_eq!(answer(&out), (5, Some(Refusal::Usage)));
}

/// Who said no hello has no worker work for it.
#[test]
fn nothing_is_deferred_before_hello() {
    let engine = start();
    check_step(&mut engine.session(), &SIGN, Some(Refusal::Malformed), true);
    check_step(
        &mut engine.session(),
        &Command::RotateDomainKey { newest: 1 },
        Some(Refusal::Malformed),
        true,
    );
    let mut out = Vec::new();
    let no_command = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0xff];
    assert!(matches!(
        engine.session().step(NOW, &no_command, &mut out),
        Err(Closed::Frame(FrameError::Body))
    ));
    assert_eq!(answer(&out), (3, Some(Refusal::Malformed)));
}

/// Attack J14: a command of a key is read, its material evicted, and a worker carries it out at any later time.
fn check_eviction(
    spec: &'static str,
    usage: &'static str,
    command: for<'k> fn(WrappedKey<'k>) -> Command<'k>,
) {
    let engine = start();
    let mut session = engine.session();
    session.answer(NOW, &HELLO);
    let binding = Binding { spec, usage, ..A };
    let created = session.answer(NOW, &Command::CreateKey { binding });
    let Reply::KeyWrapped { material, token, .. } = created else { panic!("{created:?}") };
    let token = token.to_vec();
    let key = WrappedKey { binding, material, token: &token };
    let command = command(key);
    let input = framed(1, &command);
    let connection = RefCell::new(engine.session());
    connection.borrow_mut().answer(NOW, &HELLO);
    // As a connection hands it on, so that a ticket of any other moment is seen. What is cheap is handed on by none,
    // and is held here as if it were.
    let held = |cost| Deferred { cost, read: engine.evictions(), account: 0, since: NOW };
    let deferred = || match cost(&command) {
        cost if cost.class() == Class::Inline => held(cost),
        _ => match connection.borrow_mut().step(NOW, &input, &mut Vec::new()) {
            Ok(Step::Deferred { deferred, .. }) => {
                assert_eq!((deferred.account(), deferred.since()), (A.account.parse().unwrap(), NOW));
                deferred
            }
            other => panic!("{other:?}"),
        },
    };
    let carry_out = |deferred: Deferred, now| {
        let mut out = Vec::new();
        engine.worker().carry_out(now, &deferred, &input, &mut out).unwrap();
        assert_eq!(answer(&out), (1, None));
        engine.caches(&key)
    };
    let evict = |session: &mut Session<'_>, materials: Vec<MaterialId>, now| {
        assert!(matches!(session.answer(now, &Command::Evict { materials }), Reply::Evicted));
    };
    assert!(carry_out(deferred(), NOW));
    let read_before = deferred();
    evict(&mut session, vec![material], NOW);
    for later in [Duration::ZERO, TOMBSTONE_TIME, TOMBSTONE_TIME * 100] {
        assert!(!carry_out(read_before, NOW + later), "{spec}, {later:?} later");
    }
    // Nor when the tombstone is gone; what is read now may be cached.
    evict(&mut session, vec![MaterialId([1; 32])], NOW + TOMBSTONE_TIME * 100);
    assert!(!carry_out(read_before, NOW + TOMBSTONE_TIME * 200), "{spec}, after its tombstone was dropped");
    assert!(carry_out(deferred(), NOW + TOMBSTONE_TIME * 200));
}

#[test]
fn what_waited_for_a_worker_brings_no_evicted_material_back() {
    check_eviction("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", |key| Command::GenerateDataKeyPair {
        key,
        context: &[],
        pair: "ECC_NIST_P384",
        disclose: true,
        recipient: None,
    });
    check_eviction("HMAC_256", "GENERATE_VERIFY_MAC", |key| Command::GenerateMac {
        key,
        algorithm: "HMAC_SHA_256",
        message: b"message",
    });
    check_eviction("ECC_NIST_P256", "SIGN_VERIFY", |key| Command::Sign {
        key,
        algorithm: "ECDSA_SHA_256",
        kind: MessageKind::Raw,
        message: b"message",
    });
}
