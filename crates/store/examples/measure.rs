//! Prints what the embedded engine costs on this machine: opening, memory, reads, commits.
//!
//! `cargo run --release -p claviger-store --example measure -- [RECORDS] [VALUE_LEN]`, by default 300,000 records of
//! 1,000 bytes, which is about what 100,000 keys take.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program to be run by hand, whose work is to read the clock and print"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use claviger_store::{Commit, Embedded, MAX_COMMIT_PARTS, Read, Sealer, Store, Write};

#[path = "../tests/support/block_on.rs"]
mod block_on;
use block_on::block_on;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let records = arguments.next().unwrap_or(300_000);
    let value_len = arguments.next().unwrap_or(1000);
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("store");

    println!("{records} records of {value_len} bytes");
    let (store, spent) = timed(|| open(&path));
    println!("make and open empty     {spent:10.1?}");
    let ((), spent) = timed(|| fill(&store, records, value_len));
    println!("fill                    {spent:10.1?}");
    drop(store);

    let length = fs::metadata(&path).unwrap().len();
    let before = resident();
    let (p50, p99) = percentiles(5, || drop(open(&path)));
    println!("open, all checked       {p50:10.1?}   least {p99:.1?}, file {} MiB", length >> 20);
    let store = open(&path);
    println!(
        "resident                {:>10} MiB more after opening ({} MiB in all)",
        resident() - before,
        resident()
    );

    let mut spread = 0_usize;
    let mut some = move || {
        spread = (spread + 7_919_777) % records;
        name(spread)
    };
    let (p50, p99) = percentiles(200_000, || assert_eq!(found(&store, some()), 1));
    println!("read one                {p50:10.1?}   p99 {p99:.1?}");
    let (p50, p99) = percentiles(100_000, || assert_eq!(found(&store, name(17)), 1));
    println!("read one, in the cache  {p50:10.1?}   p99 {p99:.1?}");
    let mut next = 0;
    let (p50, p99) = percentiles(300, || {
        next += 1;
        block_on(store.commit(commit(next..next + 1, value_len))).unwrap();
    });
    println!("commit of one write     {p50:10.1?}   p99 {p99:.1?}");
    println!("resident                {:>10} MiB at the end", resident());
}

fn open(path: &Path) -> Embedded {
    Embedded::open(path, Sealer::new([3; 32]).unwrap()).unwrap()
}

fn fill(store: &Embedded, records: usize, value_len: usize) {
    for first in (0..records).step_by(MAX_COMMIT_PARTS) {
        let end = records.min(first + MAX_COMMIT_PARTS);
        block_on(store.commit(commit(first..end, value_len))).unwrap();
    }
}

fn commit(numbers: std::ops::Range<usize>, value_len: usize) -> Commit {
    let put = |number| Write::Put { name: name(number), value: vec![7; value_len] };
    Commit { preconditions: vec![], writes: numbers.map(put).collect() }
}

/// A name of about the length and shape that keys have; odd multiplication scatters the order.
fn name(number: usize) -> Vec<u8> {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("key/111122223333/us-east-1/{scattered:016x}").into_bytes()
}

fn found(store: &Embedded, name: Vec<u8>) -> usize {
    block_on(store.read(vec![Read::One(name)])).unwrap().found[0].len()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

fn percentiles(times: usize, mut work: impl FnMut()) -> (Duration, Duration) {
    let mut spent: Vec<_> = (0..times).map(|_| timed(&mut work).1).collect();
    spent.sort();
    (spent[times / 2], spent[times / 100 * 99])
}

/// Resident memory of this process in MiB (proc(5)).
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() / 1024
}
