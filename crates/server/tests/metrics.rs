//! What is measured of requests takes no more memory the more there are, whether or not anybody asks for it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;

use std::path::Path;

use claviger_server::admin::SOCKET;
use claviger_server::config::Config;
use claviger_server::metrics::Requests;
use claviger_server::{serve, status};
use support::served::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Requests that are counted: their latencies alone would take 160 MB.
const REQUESTS: u32 = 20_000_000;
/// How many are counted first, so that what they need once is there.
const FIRST: u32 = 10_000;
/// Growth that is no growth with the number of requests, in KiB: what comes within a second or so.
const LITTLE: u64 = 64 * 1024;

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Counts so many requests; how much memory that took, in KiB.
fn grown_by_counting() -> u64 {
    let requests = Requests::new();
    let count = |times: u32| (0..times).for_each(|_| requests.count("Encrypt", 200, 0.001, true));
    count(FIRST);
    let before = resident_kib();
    count(REQUESTS);
    resident_kib().saturating_sub(before)
}

/// Waits until the operator's door answers, which is when the program serves.
async fn served(data_dir: &Path) {
    let mut door = loop {
        match UnixStream::connect(data_dir.join(SOCKET)).await {
            Ok(door) => break door,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    door.write_all(b"{\"do\":\"list-accounts\"}\n").await.unwrap();
    let mut answer = String::new();
    door.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("accounts"), "{answer}");
}

/// The program itself, in this process, sorts them: nobody asks for its metrics.
#[test]
fn latencies_do_not_pile_up() {
    status::install_recorder().unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let site = Site::new(0);
        let _hsm = site.start_hsm().await;
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
        let config = Config::read(&site.configure(&site.socket(), listener)).unwrap();
        let counted = async {
            served(&site.data_dir()).await;
            tokio::task::spawn_blocking(grown_by_counting).await.unwrap()
        };
        tokio::select! {
            outcome = serve::run(config, false) => panic!("the program ended: {outcome:?}"),
            grown = counted => assert!(grown < LITTLE, "{grown} KiB for {REQUESTS} requests"),
        }
    });
}
