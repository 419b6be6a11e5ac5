//! Pools: a binary with a `main` of its own, since each worker is this program anew.
#![allow(missing_docs)]
// A task's function owns its arguments, and need not use them up.
#![allow(clippy::needless_pass_by_value)]

mod calls;
mod ends;
#[path = "../process/harness.rs"]
mod harness;
mod kills;
mod loss;
#[cfg(feature = "fault")]
mod points;

fn main() {
    procession::init();
    harness::run(&[
        calls::TESTS,
        loss::TESTS,
        ends::TESTS,
        kills::TESTS,
        #[cfg(feature = "fault")]
        points::TESTS,
    ]);
}
