//! Prints what a decision and a parse cost. Run with `--release`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use claviger_policy::{
    Context, Document, Grant, Kind, Malformed, Policies, Principal, Request, ResourceSide, Values, decide,
};

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

fn measure<T>(what: &str, rounds: u32, mut work: impl FnMut() -> T) {
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(work());
    }
    println!("{what:<52} {:>8} ns", start.elapsed().as_nanos() / u128::from(rounds));
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
    let delegated = Policies { identity: &identity, ..policies };
    measure("decide: default key policy, root", 2_000_000, || decide(black_box(&root), black_box(&policies)));
    measure("decide: default key policy, user with 2 conditions", 1_000_000, || {
        decide(black_box(&user), black_box(&delegated))
    });
    measure("parse: default key policy", 100_000, || Document::parse(black_box(DEFAULT), Kind::Key));
    measure("parse: identity policy with 2 conditions", 100_000, || {
        Document::parse(black_box(IDENTITY), Kind::Identity)
    });
    Ok(())
}
