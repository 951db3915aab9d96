//! A process that appends is killed at arbitrary moments, thirty times over; what it was told is durable must be there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use claviger_server::ledger::verify;

use super::*;

const DIR: &str = "CLAVIGER_TEST_LEDGER_DIR";
const TASKS: u64 = 16;

/// Appends for ever, and prints each acknowledged record as `sequence payload`.
#[test]
#[ignore = "run by killed_at_any_moment as the process that is killed"]
#[expect(clippy::disallowed_methods, reason = "the parent names the directory")]
fn appends_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let (ledger, opened) = open(&dir);
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let (lane, delivery) = ledger.lane();
            let start = opened.next_sequence;
            std::thread::spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.spawn_local(delivery);
                for task in 0..TASKS {
                    let lane = lane.clone();
                    local.spawn_local(async move {
                        for turn in 0_u64.. {
                            let pad = "p".repeat((turn * 131 % 9000) as usize);
                            let payload = format!("{start}-{thread}-{task}-{turn}-{pad}");
                            let sequence = append(&lane, payload.as_bytes()).await.unwrap();
                            // One write for the line: a line that was begun is an acknowledgement.
                            let line = format!("{sequence} {payload}\n");
                            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                        }
                    });
                }
                block_on(local);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Starts the child, kills it after `acknowledgements` lines, and gives all it has printed.
#[expect(clippy::disallowed_methods, reason = "only a process can be killed")]
fn killed_after(dir: &Path, acknowledgements: u64) -> BTreeMap<u64, String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::appends_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        // What the test runner itself prints does not begin with a number.
        let Some((sequence, payload)) = line.split_once(' ') else { continue };
        let Ok(sequence) = sequence.parse() else { continue };
        acknowledged.insert(sequence, payload.to_owned());
        if !killed && acknowledged.len() as u64 >= acknowledgements {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself after {} records", acknowledged.len());
    acknowledged
}

#[test]
fn killed_at_any_moment() {
    let (_home, dir) = place();
    let mut dice = Dice(42);
    let mut acknowledged = BTreeMap::new();
    for cycle in 0..30 {
        let mut now = killed_after(&dir, 1 + dice.roll(400));
        // The very last line may have been cut off by the kill.
        now.pop_last();
        for (sequence, payload) in now {
            assert_eq!(acknowledged.insert(sequence, payload), None, "sequence {sequence} was given twice");
        }
        let verified = verify(&dir).unwrap();
        let found: BTreeMap<_, _> =
            records(&dir).into_iter().map(|record| (record.sequence, record.payload)).collect();
        assert_eq!(verified.records, found.len() as u64);
        for (sequence, payload) in &acknowledged {
            let found = found.get(sequence).map(Vec::as_slice);
            assert!(
                found.is_some_and(|found| found.starts_with(payload.as_bytes())),
                "cycle {cycle}: {sequence} lost"
            );
        }
    }
    assert!(verify(&dir).unwrap().segments > 1, "no rotation was among them");
}
