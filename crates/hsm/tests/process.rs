//! The real program, driven over its socket.

#![expect(clippy::disallowed_methods, reason = "these tests start the program and wait for it")]

#[cfg(test)]
#[path = "process/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "process/pool.rs"]
mod pool;
#[cfg(test)]
#[path = "process/users.rs"]
mod users;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command as Process, Stdio};

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use claviger_hsm_proto::{
    Binding, Command, HostKeyLabel, ImportTerms, MessageKind, RecipientKey, Refusal, SYMMETRIC_DEFAULT,
    VERSION, WrappedKey, frame,
};
use pkcs8::EncodePublicKey;

use harness::{A, Answer, B, Connection, Home, Running, program, signal};

/// Attack J5: a thousand commands without waiting; each answer belongs to its command.
#[test]
fn pipelined_answers_match_their_commands() {
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    let (material, token) = host.create(A);
    let key = WrappedKey { binding: A, material, token: &token };
    let texts: Vec<String> = (0..1000).map(|number| format!("plaintext {number}")).collect();
    let encrypts = texts
        .iter()
        .map(|text| Command::Encrypt {
            key,
            context: &[],
            plaintext: text.as_bytes(),
            algorithm: SYMMETRIC_DEFAULT,
        })
        .collect();
    let answers = host.pipeline(encrypts);
    let blobs: Vec<Vec<u8>> = answers.into_iter().map(Answer::bytes).collect();
    let decrypts = blobs
        .iter()
        .map(|blob| Command::Decrypt {
            key,
            context: &[],
            blob,
            algorithm: SYMMETRIC_DEFAULT,
            recipient: None,
        })
        .collect();
    for (text, answer) in texts.iter().zip(host.pipeline(decrypts)) {
        assert_eq!(answer, Answer::Bytes(text.as_bytes().to_vec()));
    }
}

#[test]
fn many_connections_at_once_do_not_mix() {
    let hsm = Home::new().start();
    let (material, token) = hsm.connect().create(A);
    let key = WrappedKey { binding: A, material, token: &token };
    std::thread::scope(|scope| {
        for worker in 0..8_u64 {
            let mut host = hsm.connect();
            scope.spawn(move || {
                for round in 0..100 {
                    let text = format!("{worker} {round}");
                    let id = worker << 32 | round;
                    host.write(
                        id,
                        &Command::Encrypt {
                            key,
                            context: &[],
                            plaintext: text.as_bytes(),
                            algorithm: SYMMETRIC_DEFAULT,
                        },
                    );
                    let blob = host.read_of(id).bytes();
                    host.write(
                        id,
                        &Command::Decrypt {
                            key,
                            context: &[],
                            blob: &blob,
                            algorithm: SYMMETRIC_DEFAULT,
                            recipient: None,
                        },
                    );
                    assert_eq!(host.read_of(id), Answer::Bytes(text.into()));
                }
            });
        }
    });
}

#[test]
fn a_connection_starts_with_hello_of_this_version() {
    let hsm = Home::new().start();
    let first_commands = [
        (Command::GenerateRandom { length: 1, recipient: None }, Refusal::Malformed),
        (Command::HostKey { label: HostKeyLabel::Records }, Refusal::Malformed),
        (Command::Hello { version: VERSION + 1 }, Refusal::Version),
        (Command::Hello { version: 0 }, Refusal::Version),
    ];
    for (command, refusal) in first_commands {
        let mut host = hsm.dial();
        host.write(7, &command);
        host.write(8, &Command::Hello { version: VERSION });
        assert_eq!(host.read_of(7), Answer::Refused(refusal), "{command:?}");
        assert!(host.is_ended(), "{command:?}");
    }
}

/// Attack J6: frames that are none, lengths that lie, frames that never end.
#[test]
fn malformed_frames_end_their_connection_only() {
    let hsm = Home::new().start();
    let mut witness = hsm.connect();
    let mut trailing = Vec::new();
    frame::write(&mut trailing, 3, &Command::RotateDomainKey { newest: 1 }).unwrap();
    trailing.push(0);
    trailing[3] += 1;
    let inputs: [(&[u8], Option<Answer>); 7] = [
        (&[0, 0, 0, 0], None),
        (&[0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7], None),
        (&[0, 1, 0, 1], None),
        (&[0xff; 4], None),
        (&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3], Some(Answer::Refused(Refusal::Malformed))),
        (&[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0xff], Some(Answer::Refused(Refusal::Malformed))),
        (&trailing, Some(Answer::Refused(Refusal::Malformed))),
    ];
    for (input, answer) in inputs {
        let mut host = hsm.connect();
        host.stream.write_all(input).unwrap();
        if let Some(answer) = answer {
            assert_eq!(host.read_of(3), answer);
        }
        assert!(host.is_ended(), "{input:x?}");
    }
    let mut partial = hsm.connect();
    partial.stream.write_all(&[0, 0, 1, 0, 1]).unwrap();
    drop(partial);
    assert_eq!(witness.ask(&Command::GenerateRandom { length: 16, recipient: None }).bytes().len(), 16);
}

/// Attack J6: connections are bounded; those beyond the bound are refused, and room is given back.
#[test]
fn idle_connections_are_bounded() {
    let hsm = Home::new().start();
    let mut hosts: Vec<Connection> = (0..256).map(|_| hsm.connect()).collect();
    assert!(hsm.dial().is_ended());
    assert_eq!(hosts[255].ask(&Command::GenerateRandom { length: 8, recipient: None }).bytes().len(), 8);
    drop(hosts);
    // The room comes back as the threads notice; each refusal is an end that can be waited for.
    while !hsm.dial().greets() {}
}

/// Attacks D3, D4, D5 and D17 straight at the socket.
#[test]
fn altered_moved_and_misused_things_are_refused() {
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    let ((a, token_a), (b, token_b)) = (host.create(A), host.create(B));
    let key = WrappedKey { binding: A, material: a, token: &token_a };
    let blob = host
        .ask(&Command::Encrypt { key, context: b"c", plaintext: &[0x41; 32], algorithm: SYMMETRIC_DEFAULT })
        .bytes();
    assert_eq!(blob.len(), 184);
    for bit in 0..blob.len() * 8 {
        let mut flipped = blob.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let answer = host.ask(&Command::Decrypt {
            key,
            context: b"c",
            blob: &flipped,
            algorithm: SYMMETRIC_DEFAULT,
            recipient: None,
        });
        assert_eq!(answer, Answer::Refused(Refusal::Ciphertext), "bit {bit}");
    }
    let decrypt = |host: &mut Connection, key, context| {
        host.ask(&Command::Decrypt {
            key,
            context,
            blob: &blob,
            algorithm: SYMMETRIC_DEFAULT,
            recipient: None,
        })
    };
    assert_eq!(decrypt(&mut host, key, b"C"), Answer::Refused(Refusal::Ciphertext));
    let other = WrappedKey { binding: B, material: b, token: &token_b };
    assert_eq!(decrypt(&mut host, other, b"c"), Answer::Refused(Refusal::Ciphertext));
    let moved = WrappedKey { binding: B, material: a, token: &token_a };
    assert_eq!(decrypt(&mut host, moved, b"c"), Answer::Refused(Refusal::Token));
    let mut unborn = token_a.clone();
    unborn[4] = 9;
    let unborn = WrappedKey { token: &unborn, ..key };
    assert_eq!(decrypt(&mut host, unborn, b"c"), Answer::Refused(Refusal::Token));
    let misused = WrappedKey { binding: Binding { usage: "SIGN_VERIFY", ..A }, ..key };
    assert_eq!(decrypt(&mut host, misused, b"c"), Answer::Refused(Refusal::Usage));
    assert_eq!(decrypt(&mut host, key, b"c"), Answer::Bytes(vec![0x41; 32]));
}

/// Attack J13: nothing is lost that the host holds, and a rotation that was answered survives.
#[test]
fn a_killed_hsm_starts_again_and_opens_everything() {
    let home = Home::new();
    let hsm = home.start();
    let mut host = hsm.connect();
    let (material, token) = host.create(A);
    let key = WrappedKey { binding: A, material, token: &token };
    let blob = host
        .ask(&Command::Encrypt { key, context: &[], plaintext: b"before", algorithm: SYMMETRIC_DEFAULT })
        .bytes();
    let host_key = host.ask(&Command::HostKey { label: HostKeyLabel::Records });
    assert_eq!(host.ask(&Command::RotateDomainKey { newest: 1 }), Answer::Generation(2));
    let (newer, newer_token) = host.create(B);
    assert_eq!((&token[1..5], &newer_token[1..5]), (&[0, 0, 0, 1][..], &[0, 0, 0, 2][..]));
    hsm.kill();

    let hsm = home.restart();
    let mut host = hsm.connect();
    let opened = host.ask(&Command::Decrypt {
        key,
        context: &[],
        blob: &blob,
        algorithm: SYMMETRIC_DEFAULT,
        recipient: None,
    });
    assert_eq!(opened, Answer::Bytes(b"before".to_vec()));
    assert_eq!(host.ask(&Command::HostKey { label: HostKeyLabel::Records }), host_key);
    let key = WrappedKey { binding: B, material: newer, token: &newer_token };
    host.ask(&Command::Encrypt { key, context: &[], plaintext: b"after", algorithm: SYMMETRIC_DEFAULT })
        .bytes();
    assert_eq!(host.ask(&Command::RotateDomainKey { newest: 2 }), Answer::Generation(3));
}

#[test]
fn an_evicted_material_still_works_and_stays_out_of_the_cache() {
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    let (material, token) = host.create(A);
    let key = WrappedKey { binding: A, material, token: &token };
    let encrypt = Command::Encrypt { key, context: &[], plaintext: b"p", algorithm: SYMMETRIC_DEFAULT };
    for id in 0..50 {
        host.write(id, &encrypt);
    }
    host.write(50, &Command::Evict { materials: vec![material] });
    for id in 51..100 {
        host.write(id, &encrypt);
    }
    for id in 0..100 {
        let answer = host.read_of(id);
        assert_eq!(answer == Answer::Evicted, id == 50, "{id}: {answer:?}");
        assert!(!matches!(answer, Answer::Refused(_)));
    }
}

/// Nothing that a library does for a key of any family is a system call that the confinement takes away.
#[test]
fn the_confined_process_makes_and_uses_keys_of_every_family() {
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    for (spec, algorithm) in [
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_P521", "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
        ("ML_DSA_65", "ML_DSA_SHAKE_256"),
        ("SM2", "SM2DSA"),
    ] {
        let binding = Binding { spec, usage: "SIGN_VERIFY", ..A };
        let (material, token) = host.create(binding);
        let key = WrappedKey { binding, material, token: &token };
        let (kind, message) = (MessageKind::Raw, &b"message"[..]);
        let signature = host.ask(&Command::Sign { key, algorithm, kind, message }).bytes();
        let verify = |message| Command::Verify { key, algorithm, kind, message, signature: &signature };
        assert_eq!(host.ask(&verify(message)), Answer::Verified(true), "{spec}");
        assert_eq!(host.ask(&verify(b"another")), Answer::Verified(false), "{spec}");
    }
    for (spec, algorithm) in [("RSA_2048", "RSAES_OAEP_SHA_256"), ("SM2", "SM2PKE")] {
        let binding = Binding { spec, ..A };
        let (material, token) = host.create(binding);
        let key = WrappedKey { binding, material, token: &token };
        let blob =
            host.ask(&Command::Encrypt { key, context: &[], plaintext: b"plaintext", algorithm }).bytes();
        let decrypt = Command::Decrypt { key, context: &[], blob: &blob, algorithm, recipient: None };
        assert_eq!(host.ask(&decrypt), Answer::Bytes(b"plaintext".to_vec()), "{spec}");
    }
    let binding = Binding { spec: "SM2", usage: "KEY_AGREEMENT", ..A };
    let (material, token) = host.create(binding);
    let key = WrappedKey { binding, material, token: &token };
    let refused = host.ask(&Command::DeriveSharedSecret { key, peer: b"no key", recipient: None });
    assert_eq!(refused, Answer::Refused(Refusal::PublicKey));
    let generator = sm2::PublicKey::from_affine(sm2::AffinePoint::GENERATOR).unwrap();
    let peer = generator.to_public_key_der().unwrap();
    let agree = Command::DeriveSharedSecret { key, peer: peer.as_bytes(), recipient: None };
    assert_eq!(host.ask(&agree).bytes().len(), 32);
    let binding = Binding { spec: "ML_KEM_768", usage: "ENCAPSULATE_DECAPSULATE", ..A };
    let (material, token) = host.create(binding);
    let key = WrappedKey { binding, material, token: &token };
    assert!(matches!(host.ask(&Command::Encapsulate { key }), Answer::Other));
    assert_eq!(host.ask(&Command::Decapsulate { key, ciphertext: &[7; 1088] }).bytes().len(), 32);
    let binding = Binding { spec: "HMAC_256", usage: "GENERATE_VERIFY_MAC", ..A };
    let (material, token) = host.create(binding);
    let key = WrappedKey { binding, material, token: &token };
    let mac = host.ask(&Command::GenerateMac { key, algorithm: "HMAC_SHA_256", message: b"m" }).bytes();
    assert_eq!(mac.len(), 32);
}

/// Attack J11: every trial is refused in the confined process, and the trials are real: unconfined they get through.
#[test]
fn the_confined_process_can_do_little() {
    let home = Home::new();
    let check = |extra: &[&str]| {
        let output =
            program().arg("confinement-check").arg("--seal-dir").arg(home.seal_dir()).args(extra).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (success, table) = check(&[]);
    assert!(success, "{table}");
    assert!(table.lines().count() >= 20, "{table}");
    assert!(table.lines().all(|line| line.ends_with(" refused")), "{table}");
    let (_, table) = check(&["--unconfined"]);
    for name in [
        "socket-inet",
        "socket-unix",
        "execve",
        "open-passwd",
        "open-null",
        "fork",
        "kill",
        "mmap-executable",
    ] {
        assert!(table.contains(&format!("{name} ALLOWED\n")), "{table}");
    }
}

/// Making RSA keys and using them asks the system for nothing that the confinement forbids.
#[test]
fn the_confined_process_imports_and_envelops() {
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    let terms = ImportTerms {
        wrapping_key: "RSA_4096",
        algorithm: "RSAES_OAEP_SHA_256",
        valid_to_ms: 1_790_000_000_000,
    };
    let Answer::Parameters { public, token } = host.ask(&Command::ImportParameters { binding: A, terms })
    else {
        panic!("no parameters")
    };
    let wrapping = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&public).unwrap()).unwrap();
    let mut wrapped = vec![0; wrapping.ciphertext_size()];
    wrapping.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut wrapped, None).unwrap();
    let import = Command::ImportKey { binding: A, terms, token: &token, material: &wrapped };
    let Answer::Key(material, token) = host.ask(&import) else { panic!("not imported") };
    let key = WrappedKey { binding: A, material, token: &token };
    let encrypt =
        Command::Encrypt { key, context: &[], plaintext: b"plaintext", algorithm: SYMMETRIC_DEFAULT };
    let blob = host.ask(&encrypt).bytes();
    let recipient = Some(RecipientKey(&public));
    let decrypt =
        Command::Decrypt { key, context: &[], blob: &blob, algorithm: SYMMETRIC_DEFAULT, recipient };
    let envelope = host.ask(&decrypt).bytes();
    assert!(!envelope.windows(9).any(|window| window == b"plaintext"));
}

#[test]
fn sigterm_ends_the_program_well() {
    let home = Home::new();
    let mut hsm = home.start();
    let mut idle = hsm.connect();
    signal(&hsm.child, "-TERM");
    assert!(hsm.child.wait().unwrap().success());
    assert!(idle.is_ended());
    drop(home.restart());
}

/// The host that started it is gone: so is the HSM.
#[test]
fn the_program_ends_with_its_parent() {
    let home = Home::new();
    drop(home.start());
    let script = "\"$0\" --socket \"$1\" --seal-dir \"$2\" --exit-with-parent & read line; kill -9 $$";
    let mut shell = Process::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_claviger-hsm")])
        .args([home.socket(), home.seal_dir()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = shell.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    shell.wait().unwrap();
    // The pipe ends when the last process that holds it, the HSM, has ended.
    assert_eq!(stdout.read(&mut ready).unwrap(), 0);
}

#[cfg(test)]
fn check_does_not_start(home: &Home, extra: &[&str], reason: &str) {
    let output = home.command(extra).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(reason), "{log}");
    assert!(output.stdout.is_empty());
}

/// Attacks D20 and H7: a domain is made when that is asked for, once, and never over another.
#[test]
fn seals_are_made_once_and_never_over_another() {
    let home = Home::new();
    check_does_not_start(&home, &[], "there is no seal");
    drop(home.start());
    check_does_not_start(&home, &["--init"], "a seal is already there");
    let copies = [home.seal_dir().join("seal-a"), home.seal_dir().join("seal-b")];
    for copy in &copies {
        assert_eq!(std::fs::metadata(copy).unwrap().mode() & 0o7777, 0o600);
    }
    let whole = std::fs::read(&copies[0]).unwrap();
    std::fs::write(&copies[0], b"").unwrap();
    assert!(home.restart().stop().contains("seal copy repaired"));
    assert_eq!(std::fs::read(&copies[0]).unwrap(), whole);
    copies.iter().for_each(|copy| std::fs::write(copy, &whole[..100]).unwrap());
    check_does_not_start(&home, &[], "no copy of the seal is whole");
    check_does_not_start(&home, &["--init"], "no copy of the seal is whole");
}

/// A host that was killed and started again is not kept out by the HSM that it left behind.
#[test]
fn an_hsm_of_a_host_waits_for_the_one_before_it() {
    let home = Home::new();
    let before = home.start();
    let mut command = home.command(&["--exit-with-parent"]);
    let mut after = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(after.stdout.take().unwrap()).lines();
    // Each try that failed ends in a wait, which the kernel counts.
    let status = format!("/proc/{}/status", after.id());
    let waits = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    while waits() < 5 {
        assert!(after.try_wait().unwrap().is_none(), "it did not wait");
        std::thread::yield_now();
    }
    before.kill();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    after.kill().unwrap();
    after.wait().unwrap();
}

#[test]
fn the_socket_is_taken_over_only_when_nobody_listens() {
    let home = Home::new();
    let hsm = home.start();
    check_does_not_start(&home, &[], "another process uses this seal");
    hsm.kill();
    let other = UnixListener::bind(home.dir.path().join("other")).unwrap();
    std::fs::rename(home.dir.path().join("other"), home.socket()).unwrap();
    check_does_not_start(&home, &[], "somebody listens on the socket already");
    drop(other);
    drop(home.restart());
    std::fs::remove_file(home.socket()).unwrap();
    std::fs::write(home.socket(), b"a file").unwrap();
    check_does_not_start(&home, &[], "not a socket");
    assert_eq!(std::fs::read(home.socket()).unwrap(), b"a file");
}

/// Attack I6: nothing of what a host sends is in the log.
#[test]
fn the_log_holds_nothing_of_any_command() {
    const CANARY: &str = "canary-4f1d";
    let hsm = Home::new().start();
    let mut host = hsm.connect();
    let (material, token) = host.create(A);
    let key = WrappedKey { binding: A, material, token: &token };
    host.ask(&Command::Encrypt {
        key,
        context: CANARY.as_bytes(),
        plaintext: CANARY.as_bytes(),
        algorithm: SYMMETRIC_DEFAULT,
    })
    .bytes();
    host.stream.write_all(&[0xff; 4]).unwrap();
    assert!(host.is_ended());
    let log = hsm.stop();
    assert!(log.contains("connection closed") && !log.contains(CANARY), "{log}");
}

#[test]
fn dialling_does_not_count_as_greeting() {
    let hsm: Running = Home::new().start();
    drop(UnixStream::connect(&hsm.socket).unwrap());
    assert!(hsm.dial().greets());
}
