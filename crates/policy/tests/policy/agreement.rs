//! The engine against the reference model (`tests/model`). `cargo xtask policy-model` runs it for as long as one likes.

use crate::model::run::run;

/// A few seconds without optimisation.
const PAIRS: u64 = 40_000;

#[test]
fn the_engine_agrees_with_the_model() {
    let report = run(1, PAIRS).unwrap();
    assert_eq!(report.vacuous(), [""; 0], "{report}");
}
