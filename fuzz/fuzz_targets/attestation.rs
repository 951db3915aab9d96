//! Attestation documents, under a root made for the purpose. The first byte of the input chooses what the rest stands
//! for: a whole document, or one part of a document that is signed as it should be.

#![no_main]

#[expect(dead_code, reason = "the service's tests use the rest")]
#[path = "../../crates/service/tests/service/enclave.rs"]
mod enclave;

use std::sync::OnceLock;

use claviger_service::Moment;
use claviger_service::attestation::{Attested, Roots};
use coset::cbor::Value;

use enclave::{Chain, Document};

const NOW: Moment = Moment(1_795_176_000_000);

struct Subject {
    root: Value,
    roots: Roots,
    document: Document,
}

fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| {
        let chain = Chain::new(NOW);
        let root = Value::from(chain.root().to_vec());
        Subject { root, roots: chain.roots().and(chain.pinned()), document: Document::enclave(&chain, NOW) }
    })
}

/// What must hold of every document that is accepted.
fn check(attested: &Attested) {
    assert!(!attested.module_id().is_empty());
    assert!((256..=1024).contains(&attested.public_key().len()));
    let pcrs = attested.pcrs().iter().chain(attested.nitrotpm_pcrs());
    assert!(pcrs.clone().count() > 0 && pcrs.clone().all(|(index, value)| *index < 32 && value.len() >= 32));
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let Subject { root, roots, document } = subject();
    let rest = rest.to_vec();
    // Whether what the input stands for can be as good as what it replaces.
    let (bytes, can_be_good) = match choice % 5 {
        0 => (rest, false),
        1 => (document.sign_payload(rest), true),
        2 => (document.clone().with("certificate", rest).sign(), false),
        3 => (document.clone().with("cabundle", vec![root.clone(), Value::from(rest)]).sign(), false),
        _ => (document.clone().with("public_key", rest).sign(), true),
    };
    if let Ok(attested) = roots.verify(&bytes, NOW) {
        assert!(can_be_good, "a forged document was accepted");
        check(&attested);
    }
});
