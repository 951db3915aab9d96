//! Commands that the pool carries out, in the real program.

use std::collections::{BTreeMap, BTreeSet};

use claviger_hsm_proto::{Binding, Command, MessageKind, WrappedKey};

use crate::harness::{A, Answer, Connection, Home, Running, signal};

const SIGNING: Binding<'static> = Binding { spec: "ECC_NIST_P256", usage: "SIGN_VERIFY", ..A };
/// The dearest of all commands.
const RSA_KEY: Command<'static> = Command::CreateKey { binding: Binding { spec: "RSA_4096", ..A } };
const RANDOM: Command<'static> = Command::GenerateRandom { length: 8, recipient: None };

fn sign<'k>(key: WrappedKey<'k>) -> Command<'k> {
    Command::Sign { key, algorithm: "ECDSA_SHA_256", kind: MessageKind::Raw, message: b"message" }
}

/// Whether it looks like an ECDSA signature: a DER sequence of some 70 bytes.
fn is_signature(answer: &Answer) -> bool {
    matches!(answer, Answer::Bytes(bytes) if bytes.first() == Some(&0x30) && (60..=72).contains(&bytes.len()))
}

/// A signing key, made on this connection.
fn check_with_key(hsm: &Running, check: impl FnOnce(Connection, WrappedKey<'_>)) {
    let mut host = hsm.connect();
    let (material, token) = host.create(SIGNING);
    check(host, WrappedKey { binding: SIGNING, material, token: &token });
}

/// 64 RSA keys are being made: neither a signature nor random bytes wait for them, on the same connection or another.
#[test]
fn making_rsa_keys_keeps_nobody_waiting() {
    for workers in ["1", "2"] {
        let hsm = Home::new().start_with(&["--workers", workers]);
        check_with_key(&hsm, |mut host, key| {
            (0..64).for_each(|id| host.write(id, &RSA_KEY));
            host.write(100, &sign(key));
            host.write(101, &RANDOM);
            let mut answered = BTreeSet::new();
            while !(answered.contains(&100) && answered.contains(&101)) {
                let (id, answer) = host.read().unwrap();
                assert!(!matches!(answer, Answer::Refused(_)), "{answer:?}");
                answered.insert(id);
            }
            assert!(answered.len() < 10, "{answered:?}");
            let mut other = hsm.connect();
            assert!(is_signature(&other.ask(&sign(key))));
        });
        hsm.kill();
    }
}

/// Attack J5, with more than the pool takes of one connection, of as many accounts as may fill it: each answer belongs to
/// its command, none is lost.
#[test]
fn more_than_there_is_room_for_is_answered() {
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    let accounts: Vec<String> = (1..=8).map(|number| format!("{number}11122223333")).collect();
    let keys: Vec<_> = accounts
        .iter()
        .map(|account| {
            let binding = Binding { account, ..SIGNING };
            (binding, host.create(binding))
        })
        .collect();
    let command = |id: usize| {
        let (binding, (material, token)) = &keys[id % keys.len()];
        let key = WrappedKey { binding: *binding, material: *material, token };
        if id.is_multiple_of(3) { RANDOM } else { sign(key) }
    };
    let answers = host.pipeline((0..4000).map(command).collect());
    for (id, answer) in answers.into_iter().enumerate() {
        let random = matches!(&answer, Answer::Bytes(bytes) if bytes.len() == 8);
        assert!(if id.is_multiple_of(3) { random } else { is_signature(&answer) }, "{id}: {answer:?}");
    }
}

#[test]
fn materials_are_evicted_while_their_keys_sign() {
    let hsm = Home::new().start();
    check_with_key(&hsm, |mut host, key| {
        (0..50).for_each(|id| host.write(id, &sign(key)));
        host.write(50, &Command::Evict { materials: vec![key.material] });
        (51..100).for_each(|id| host.write(id, &sign(key)));
        let answers: BTreeMap<u64, Answer> = (0..100).map(|_| host.read().unwrap()).collect();
        for (id, answer) in answers {
            assert!(
                if id == 50 { answer == Answer::Evicted } else { is_signature(&answer) },
                "{id}: {answer:?}"
            );
        }
    });
}

#[test]
fn a_stop_finishes_what_was_read_and_drops_what_nobody_waits_for() {
    let mut hsm = Home::new().start();
    let mut gone = hsm.connect();
    (0..64).for_each(|id| gone.write(id, &RSA_KEY));
    gone.write(100, &RANDOM);
    assert_eq!(gone.read().unwrap().0, 100);
    check_with_key(&hsm, |mut host, key| {
        (0..200).for_each(|id| host.write(id, &sign(key)));
        host.write(200, &RANDOM);
        let mut answered = BTreeSet::new();
        while !answered.contains(&200) {
            answered.insert(host.read().unwrap().0);
        }
        // All was read. The keys of the one that is gone would take a minute.
        drop(gone);
        signal(&hsm.child, "-TERM");
        answered.extend(std::iter::from_fn(|| host.read()).map(|(id, _)| id));
        assert!(answered.into_iter().eq(0..=200));
    });
    assert!(hsm.child.wait().unwrap().success());
}

/// Threads of the program by name, with how far each has stepped back.
fn threads(hsm: &Running) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", hsm.child.id())).unwrap();
    let mut threads: Vec<_> = tasks
        // A thread that ends meanwhile has no file any more.
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok())
        .map(|stat| {
            let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(") ").unwrap();
            // Proc(5) counts from 1 and the name is the second.
            (name.to_owned(), rest.split(' ').nth(19 - 3).unwrap().parse().unwrap())
        })
        .collect();
    threads.sort();
    threads
}

#[test]
fn threads_are_as_many_as_workers_and_connections() {
    let hsm = Home::new().start_with(&["--workers", "3"]);
    let own = threads(&hsm).iter().find(|(name, _)| name == "claviger-hsm").unwrap().1;
    let (aside, back) = ((own + 15).min(19), (own + 19).min(19));
    let idle = [
        ("aside 0", aside),
        ("aside 1", aside),
        ("aside 2", aside),
        ("claviger-hsm", own),
        ("long 0", back),
        ("long 1", back),
        ("short 0", own),
        ("short 1", own),
        ("short 2", own),
    ]
    .map(|(name, priority)| (name.to_owned(), priority));
    assert_eq!(threads(&hsm), idle);
    check_with_key(&hsm, |mut host, key| {
        assert_eq!(threads(&hsm).len(), 10);
        for _ in 0..20 {
            let mut leaving = hsm.connect();
            (0..100).for_each(|id| leaving.write(id, &sign(key)));
        }
        assert!(is_signature(&host.ask(&sign(key))));
    });
    while threads(&hsm) != idle {
        std::thread::yield_now();
    }
}

#[test]
fn workers_are_counted_within_bounds() {
    for count in ["0", "257", "-1", "many"] {
        let output = Home::new().command(&["--init", "--workers", count]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{count}");
    }
}
