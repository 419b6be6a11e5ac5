//! Pools: a binary with a `main` of its own, since each worker is this program anew.
#![allow(missing_docs)]

mod calls;
mod ends;
#[path = "../process/harness.rs"]
mod harness;
mod kills;
mod loss;

fn main() {
    procession::init();
    harness::run(&[calls::TESTS, loss::TESTS, ends::TESTS, kills::TESTS]);
}
