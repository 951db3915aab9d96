//! The shell of Claviger: the program.

pub mod ledger;
