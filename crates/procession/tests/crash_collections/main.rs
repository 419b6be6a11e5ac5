//! A process is killed at every crash point of the operations on dicts and lists. Then the collection
//! is as before the operation or as after it, it goes on, and the arena is sound.
//!
//! As in `crash.rs`: a scenario is first run to its end to learn which points it passes, then once for
//! each point and pass.
#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod dict;
mod harness;
mod list;

use procession::{RawDict, RawList};
use support::{argument, role};

#[test]
fn child() {
    match (role().as_deref(), &*argument("KIND")) {
        (Some("worker"), "dict") => harness::child::<RawDict>(),
        (Some("worker"), "list") => harness::child::<RawList>(),
        _ => {}
    }
}

#[test]
fn survivor() {
    match (role().as_deref(), &*argument("KIND")) {
        (Some("survivor"), "dict") => harness::survivor::<RawDict>(),
        (Some("survivor"), "list") => harness::survivor::<RawList>(),
        _ => {}
    }
}

#[test]
fn dicts_killed_everywhere() {
    harness::killed_everywhere::<RawDict>("dict");
}

#[test]
fn lists_killed_everywhere() {
    harness::killed_everywhere::<RawList>("list");
}
