//! A process is killed at every crash point of the operations on dicts, lists, and the queues that are no
//! rings. Then the collection
//! is as before the operation or as after it, it goes on, and the arena is sound.
//!
//! As in `crash.rs`: a scenario is first run to its end to learn which points it passes, then once for
//! each point and pass.
#![allow(missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod delivery;
mod dict;
mod harness;
mod lifo;
mod list;
mod priority;

use procession::{RawDeliveryQueue, RawDict, RawLifoQueue, RawList, RawPriorityQueue};
use support::{argument, role};

#[test]
fn child() {
    match (role().as_deref(), &*argument("KIND")) {
        (Some("worker"), "dict") => harness::child::<RawDict>(),
        (Some("worker"), "list") => harness::child::<RawList>(),
        (Some("worker"), "lifo") => harness::child::<RawLifoQueue>(),
        (Some("worker"), "delivery") => harness::child::<RawDeliveryQueue>(),
        (Some("worker"), "priority") => harness::child::<RawPriorityQueue>(),
        _ => {}
    }
}

#[test]
fn survivor() {
    match (role().as_deref(), &*argument("KIND")) {
        (Some("survivor"), "dict") => harness::survivor::<RawDict>(),
        (Some("survivor"), "list") => harness::survivor::<RawList>(),
        (Some("survivor"), "lifo") => harness::survivor::<RawLifoQueue>(),
        (Some("survivor"), "delivery") => harness::survivor::<RawDeliveryQueue>(),
        (Some("survivor"), "priority") => harness::survivor::<RawPriorityQueue>(),
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

#[test]
fn lifo_queues_killed_everywhere() {
    harness::killed_everywhere::<RawLifoQueue>("lifo");
}

#[test]
fn priority_queues_killed_everywhere() {
    harness::killed_everywhere::<RawPriorityQueue>("priority");
}

#[test]
fn delivery_queues_killed_everywhere() {
    harness::killed_everywhere::<RawDeliveryQueue>("delivery");
}
