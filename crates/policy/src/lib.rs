//! The IAM policy language: documents, and the decision whether a request is allowed.
//!
//! Pure: a [`Document`] is parsed once and matched many times, and [`decide`] is a function of the [`Request`] and the
//! [`Policies`] that apply to it. It looks nothing up, cannot fail at run time, and denies by default: a document that
//! could not be understood in full was never made.
//!
//! Where AWS's documentation leaves a rule open, the stricter reading is taken and the place says so ("inferred").
//!
//! Sources: the IAM User Guide ("IAM JSON policy element reference", "Policy evaluation logic", "Grammar of the IAM
//! JSON policy language") and the KMS Developer Guide ("Key policies", "Troubleshooting AWS KMS permissions").

mod condition;
mod decide;
mod denial;
mod document;
mod json;
mod malformed;
mod pattern;
mod principal;
mod request;
mod statement;
mod trace;
mod value;

pub use decide::{
    Decision, Grant, Grantor, Layer, Policies, Reason, ResourceSide, StatementRef, allowing, decide, denying,
    would_allow_put_key_policy,
};
pub use denial::denial_text;
pub use document::{Document, Kind};
pub use malformed::{Malformed, Problem};
pub use pattern::arn_like;
pub use principal::{Principal, PrincipalName};
pub use request::{Context, Request, Values, Work};
pub use trace::{Finding, Miss, Nearest, Trace, trace};
