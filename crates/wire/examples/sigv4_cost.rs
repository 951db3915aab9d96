//! Prints what one SigV4 check costs: `cargo run --release --example sigv4_cost`.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use claviger_wire::incoming::{Incoming, Origin};
use claviger_wire::sigv4::{Claim, Scope, Signer, SigningKey, sign};
use http::Request;

/// 2015-08-30T12:36:00Z
const NOW: i64 = 1_440_938_160;
const ROUNDS: u32 = 200_000;
const BODY: [u8; 432] = [b'x'; 432];

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report("error", &error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let scope =
        Scope { date: "20150830".to_owned(), region: "us-east-1".to_owned(), service: "kms".to_owned() };
    let derive =
        || SigningKey::derive(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope.date, &scope.region, "kms");
    let key = derive();
    let signer = Signer { access_key_id: "AKIDEXAMPLE", session_token: None, scope: &scope, key: &key };
    let request = Request::post("http://127.0.0.1:7080/")
        .header("host", "127.0.0.1:7080")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "TrentService.Encrypt")
        .header("x-amz-meta-a", "a")
        .header("x-amz-meta-b", "b")
        .header("user-agent", "aws-sdk-rust/1.3.1 os/linux lang/rust/1.95.0")
        .body(())?;
    let (mut head, ()) = request.into_parts();
    sign(&mut head, &BODY, &signer, NOW)?;
    let incoming = Incoming {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: String::new(),
        headers: head.headers.clone(),
        body: Bytes::from_static(&BODY),
        origin: Arc::new(Origin { peer: Ipv4Addr::LOCALHOST.into(), tls: None, endpoint: None }),
    };

    for _ in 0..3 {
        time("parse, check and verify", || {
            Claim::parse(black_box(&incoming))
                .and_then(|claim| claim.check_scope("kms", |_| true, NOW))?
                .verify(&key)
        });
        time("derive a signing key", derive);
        time("sign", || sign(black_box(&mut head), &BODY, &signer, NOW));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn time<T>(what: &str, mut work: impl FnMut() -> T) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(work());
    }
    let each: Duration = start.elapsed() / ROUNDS;
    report(what, &format!("{} ns", each.as_nanos()));
}

#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
fn report(what: &str, value: &str) {
    println!("{what}: {value}");
}
