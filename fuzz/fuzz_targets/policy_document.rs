//! Policy documents of every kind.

#![no_main]

use claviger_policy::{Document, Kind};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let kind = [Kind::Key, Kind::Identity, Kind::Endpoint, Kind::Trust][usize::from(*choice) % 4];
    if let Ok(document) = Document::parse(text, kind) {
        let _ = document.principals().count();
    }
});
