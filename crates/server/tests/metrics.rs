//! What is measured of requests takes no more memory the more there are, whether or not anybody asks for it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use claviger_server::metrics::Requests;
use claviger_server::status;

/// Requests that are counted: their latencies alone would take 32 MB.
const REQUESTS: u32 = 4_000_000;
/// How many come between two ticks of the program's.
const TICK: u32 = 10_000;
/// Growth that is no growth with the number of requests, in KiB.
const LITTLE: u64 = 8 * 1024;

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn latencies_do_not_pile_up() {
    status::install_recorder().unwrap();
    let requests = Requests::new();
    let count = |times: u32| {
        for number in 0..times {
            requests.count("Encrypt", 200, 0.001, true);
            if number % TICK == 0 {
                status::sort_samples();
            }
        }
    };
    count(TICK);
    let before = resident_kib();
    count(REQUESTS);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < LITTLE, "{grown} KiB for {REQUESTS} requests");
}
