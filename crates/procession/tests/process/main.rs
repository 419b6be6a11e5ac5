//! Processes: a binary with a `main` of its own, since each child is this program anew.
#![allow(missing_docs)]
// A process's function gets its arguments by value.
#![allow(clippy::needless_pass_by_value)]

mod ends;
mod family;
mod harness;
mod start;

use std::io::Read;

/// Variables by which a test makes its child's `main` do something before `init`.
pub(crate) const GATE: &str = "PROCESSION_TEST_GATE";
pub(crate) const QUIT: &str = "PROCESSION_TEST_QUIT";

fn main() {
    if let Ok(code) = std::env::var(QUIT) {
        std::process::exit(code.parse().unwrap());
    }
    if std::env::var_os(GATE).is_some() {
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
    procession::init();
    if start::play_role() {
        return;
    }
    harness::run(&[start::TESTS, ends::TESTS, family::TESTS]);
}

/// Ends this process by a signal, and not by `abort`, which may leave a file.
pub(crate) fn end_by(signal: rustix::process::Signal) -> ! {
    loop {
        rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
    }
}
