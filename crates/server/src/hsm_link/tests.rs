//! The line with peers that are slow, silent, or busy with something else.

use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_hsm_proto::Disclosed;
use tokio::net::UnixListener;

use super::*;

/// More than a socket holds, to a peer that takes little at a time and answers as much.
#[test]
fn what_a_peer_takes_slowly_arrives_whole() {
    const LENGTH: usize = 4 << 20;
    let (near, mut far) = Socket::pair().unwrap();
    let sent: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
    let peer = std::thread::spawn(move || {
        let (mut piece, mut left) = ([0; 1000], LENGTH);
        while left > 0 {
            let read = far.read(&mut piece).unwrap();
            far.write_all(&piece[..read]).unwrap();
            left -= read;
        }
    });
    near.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let received = runtime.block_on(async {
        let wire = Wire::of(UnixStream::from_std(near).unwrap()).unwrap();
        let (mut received, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
        let reading = async {
            while received.len() < LENGTH {
                let read = read(&wire.incoming, &mut piece).await.unwrap();
                assert_ne!(read, 0, "the peer has gone");
                received.extend_from_slice(&piece[..read]);
            }
        };
        let (written, ()) = tokio::join!(write_all(&wire.outgoing, &sent), reading);
        written.unwrap();
        received
    });
    peer.join().unwrap();
    assert!(received == sent, "what came back is not what was sent");
}

#[test]
fn silence_is_doubted_first() {
    use Health::{Doubtful, Good, Lost};
    let (probe, deadline) = (PROBE_TICKS, DEADLINE_TICKS);
    for (waits, unanswered, expected) in [
        (0, 0, Good),
        (0, 1_000, Good),
        (1_000, 0, Good),
        (1_000, probe - 1, Good),
        (probe, 1_000, Doubtful),
        (1_000, probe, Doubtful),
        (deadline, 1_000, Doubtful),
        (1_000, deadline, Doubtful),
        (deadline + 1, deadline + 1, Lost),
    ] {
        assert_eq!(health(waits, unanswered), expected, "{waits} {unanswered}");
    }
}

/// An HSM that says hello, and answers commands that ask for no more than `answers` random bytes.
async fn an_hsm(listener: UnixListener, answers: u16, connections: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let mut input = Vec::new();
        while stream.read_buf(&mut input).await.unwrap_or_default() > 0 {
            let mut out = Vec::new();
            while let Some(found) = frame::next(&input).unwrap() {
                let reply = match frame::read(found.body).unwrap() {
                    Command::Hello { .. } => Some(Reply::Hello { version: VERSION, domain: [7; 16] }),
                    Command::GenerateRandom { length, .. } if length <= answers => {
                        Some(Reply::Random { bytes: Disclosed(b"r") })
                    }
                    _ => None,
                };
                if let Some(reply) = reply {
                    frame::write(&mut out, found.id, &reply).unwrap();
                }
                let len = found.len;
                input.drain(..len);
            }
            stream.write_all(&out).await.unwrap();
        }
    }
}

/// What becomes of so many commands that are never answered, by an HSM that answers so much else: why they fail, after
/// how many seconds, and how many connections there were by the next. Meanwhile another command is sent each second, if
/// it is answered.
fn unanswered(commands: usize, answers: u16) -> (String, u64, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let connections = Arc::new(AtomicUsize::new(0));
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(an_hsm(listener, answers, Arc::clone(&connections)));
        let link = Link::new(socket);
        tokio::spawn(link.clone().run());
        link.greeting().await.unwrap();
        let started = tokio::time::Instant::now();
        let dear = Command::GenerateRandom { length: 1024, recipient: None };
        let waiting: Vec<_> = (0..commands).map(|_| link.send(&dear)).collect();
        if answers > 1 {
            let (link, beside) = (link.clone(), Command::GenerateRandom { length: 2, recipient: None });
            tokio::spawn(async move {
                while link.send(&beside).await.is_ok() {
                    tokio::time::sleep(TICK).await;
                }
                panic!("a command that is answered fails with one that is not");
            });
        }
        let mut reasons = Vec::new();
        for waiting in waiting {
            let VaultError(why) = waiting.await.unwrap_err();
            reasons.push(why);
        }
        let seconds = started.elapsed().as_secs();
        tokio::time::sleep(TICK).await;
        reasons.dedup();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        (reasons.remove(0), seconds, connections.load(Ordering::SeqCst))
    })
}

fn check_late(commands: usize, answers: u16, expected: usize) {
    let (why, seconds, connections) = unanswered(commands, answers);
    assert_eq!(
        (&*why, connections),
        ("the HSM did not come to it in time", expected),
        "{commands} {answers}"
    );
    assert!((LONGEST_WAIT_TICKS..=LONGEST_WAIT_TICKS + 1).contains(&seconds), "{seconds}");
}

/// Attack J6 from the other side: who asks for what takes for ever harms nobody else.
#[test]
fn a_command_that_is_not_come_to_fails_alone() {
    check_late(1, 1, 1);
    check_late(1, 2, 1);
    // Nor do many: the HSM does not go on with what nobody waits for.
    check_late(MOST_LATE, 2, 1);
}

/// What the HSM has not even read it would begin.
#[test]
fn a_connection_with_too_much_that_is_late_is_given_up() {
    check_late(MOST_LATE + 1, 1, 2);
}

#[test]
fn an_hsm_that_answers_nothing_is_given_up() {
    let (why, seconds, connections) = unanswered(1, 0);
    assert_eq!((&*why, connections), ("the HSM does not answer", 2));
    assert!((DEADLINE_TICKS..=DEADLINE_TICKS + 1).contains(&seconds), "{seconds}");
}
