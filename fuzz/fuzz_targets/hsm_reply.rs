//! What an HSM may send to a host: frames and replies.

#![no_main]

use claviger_hsm_proto::{Reply, frame};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Some(found)) = frame::next(rest) {
        let _ = frame::read::<Reply<'_>>(found.body);
        rest = &rest[found.len..];
    }
});
