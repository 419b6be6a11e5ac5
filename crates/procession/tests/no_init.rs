//! A program that has not called `init` cannot start processes, and is told so.
#![allow(missing_docs)]

use procession::{Process, SpawnError};

#[test]
fn nothing_is_started() {
    let refused = || Process::spawn(|n: u32| n, 1);
    assert!(matches!(refused(), Err(SpawnError::NotInitialised)));
    // The test harness's main has not called it, and another thread cannot for it.
    std::thread::spawn(procession::init).join().unwrap();
    assert!(matches!(refused(), Err(SpawnError::NotInitialised)));
    let text = refused().unwrap_err().to_string();
    assert!(text.starts_with("call procession::init() first in main"), "{text}");
}
