//! Operations of STS.

pub mod get_caller_identity;
