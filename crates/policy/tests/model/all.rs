//! The reference model of the decision: a second reading of the rules, slow and obvious, to disagree with the engine.
//!
//! It compiles nothing. It reads the documents as JSON values anew for every question, collects every fact before it
//! concludes anything, and matches by definition: wildcards by trying every place, numbers and addresses as digits.

pub(crate) mod condition;
pub(crate) mod dice;
pub(crate) mod generate;
pub(crate) mod judge;
pub(crate) mod run;
pub(crate) mod seen;
pub(crate) mod text;
pub(crate) mod value;
