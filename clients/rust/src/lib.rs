//! Tests of Claviger through AWS's SDK for Rust; see `tests/`. A package of its own, so that the SDK's tree stays out of
//! the workspace.
