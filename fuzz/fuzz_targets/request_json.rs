//! Request bodies, into every operation that is served. The first byte chooses the operation.

#![no_main]

use claviger_service::kms;
use claviger_wire::json;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let Ok(value) = json::parse(body) else { return };
    let entry = &kms::ops::ALL[usize::from(*choice) % kms::ops::ALL.len()];
    let _ = (entry.decode)(&value);
});
