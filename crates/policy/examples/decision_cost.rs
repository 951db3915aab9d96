//! What a decision costs, and what a parse: `cargo xtask bench -- --decisions` runs it with optimisation.
//!
//! The median over many batches, so that what else the machine does shows little, and the allocations of one.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use claviger_policy::{
    Context, Document, Grant, Kind, Malformed, Policies, Principal, Request, ResourceSide, Values, decide,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ACCOUNT: &str = "111122223333";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const DEFAULT: &str = r#"{"Version":"2012-10-17","Id":"key-default-1","Statement":[{
    "Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},
    "Action":"kms:*","Resource":"*"}]}"#;
const IDENTITY: &str = r#"{"Version":"2012-10-17","Statement":[{
    "Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*"],
    "Resource":"arn:aws:kms:us-east-1:111122223333:key/*",
    "Condition":{"StringEquals":{"kms:EncryptionContext:team":"${aws:username}"}}},{
    "Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}"#;

struct Circumstances;

impl Context for Circumstances {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        let value = match key {
            "kms:encryptioncontext:team" | "aws:username" => "bob",
            "aws:sourceip" => "10.1.2.3",
            _ => return None,
        };
        Some(Values::One(value.into()))
    }
}

/// Batches of which the median is taken.
const BATCHES: usize = 301;

/// Prints a row: the median time of one, and its allocations.
fn row<T>(what: &str, mut work: impl FnMut() -> T) {
    let once = Instant::now();
    black_box(work());
    // About 50 us of work to a batch, so that reading the clock does not count.
    let count = 50_000 / once.elapsed().as_nanos().max(1) + 1;
    let mut nanos: Vec<u128> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..count).for_each(|_| drop(black_box(work())));
            start.elapsed().as_nanos() / count
        })
        .collect();
    nanos.sort_unstable();
    let region = Region::new(ALLOCATOR);
    black_box(work());
    let allocations = region.change().allocations;
    println!("| {what} | {} | {allocations} |", nanos.get(BATCHES / 2).copied().unwrap_or_default());
}

/// An identity policy whose last statement allows, and the others are about other keys.
fn long(statements: usize) -> Result<Vec<Arc<Document>>, Malformed> {
    /// As many as fit the longest document.
    const EACH: usize = 1_000;
    let other = |number: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:us-east-1:{ACCOUNT}:key/{number}"}}"#
        )
    };
    let mut all: Vec<String> = (1..statements).map(other).collect();
    all.push(format!(r#"{{"Effect":"Allow","Action":"kms:*","Resource":"{KEY}"}}"#));
    all.chunks(EACH)
        .map(|part| {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, part.join(","));
            Document::parse(&text, Kind::Identity).map(Arc::new)
        })
        .collect()
}

fn main() -> Result<(), Malformed> {
    let policy = Document::parse(DEFAULT, Kind::Key)?;
    let identity = [Arc::new(Document::parse(IDENTITY, Kind::Identity)?)];
    let policies = Policies {
        resource: ResourceSide::Guarded { policy: &policy, account: ACCOUNT },
        grant: Grant::None,
        identity: &[],
        boundary: None,
        session: None,
        endpoint: None,
    };
    let root = Request {
        principal: Principal::Root { account: ACCOUNT },
        action: "kms:Encrypt",
        resource: KEY,
        context: &Circumstances,
    };
    let arn = "arn:aws:iam::111122223333:user/bob";
    let user =
        Request { principal: Principal::User { arn, id: "AIDABOBBOBBOBBOBBOBB", account: ACCOUNT }, ..root };
    let session = Principal::RoleSession {
        role_arn: "arn:aws:iam::111122223333:role/app",
        role_id: "AROAAPPAPPAPPAPPAPP1",
        session_arn: "arn:aws:sts::111122223333:assumed-role/app/s",
        account: ACCOUNT,
    };
    let delegated = Policies { identity: &identity, ..policies };
    let capped =
        Policies { boundary: identity.first().map(|it| &**it), session: Some(&identity), ..delegated };
    println!("| decision | p50 ns | allocations |\n|---|---|---|");
    row("root, default key policy", || decide(black_box(&root), black_box(&policies)));
    row("user, identity policy of 2 statements with 2 conditions and a variable", || {
        decide(black_box(&user), black_box(&delegated))
    });
    row("the same for a role session with a boundary and a session policy like it", || {
        decide(black_box(&Request { principal: session, ..root }), black_box(&capped))
    });
    let granted = Policies { grant: Grant::ToCaller, ..policies };
    row("user with a grant", || decide(black_box(&user), black_box(&granted)));
    for statements in [1, 100, 10_000] {
        let identity = long(statements)?;
        let policies = Policies { identity: &identity, ..policies };
        assert!(decide(&user, &policies).is_allow());
        row(&format!("user, {statements} statements, of which the last allows"), || {
            decide(black_box(&user), black_box(&policies))
        });
    }
    println!("\n| parse | p50 ns | allocations |\n|---|---|---|");
    row("default key policy", || Document::parse(black_box(DEFAULT), Kind::Key));
    row("identity policy of 2 statements", || Document::parse(black_box(IDENTITY), Kind::Identity));
    Ok(())
}
