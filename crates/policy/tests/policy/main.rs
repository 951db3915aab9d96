//! The policy engine through its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test helpers fail by panicking"
)]

mod agreement;
mod conditions;
mod decisions;
mod grammar;
#[path = "../model/all.rs"]
mod model;
mod properties;
mod support;
mod traces;
