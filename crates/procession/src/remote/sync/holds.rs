//! What this process's threads hold, so far as it knows: the server alone decides.
//!
//! A hold is kept until it is released, also when its lease is over: only so is it noticed that it was lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::remote::Server;
use crate::remote::life::Life;
use crate::sys::per_process::PerProcess;

/// Where a lock is, for who has no handle of it any more.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) server: Server,
    pub(super) keys: Vec<String>,
}

/// One thread's hold of one lock.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) seat: Arc<Seat>,
    pub(super) thread: u64,
    pub(super) token: u64,
    pub(super) depth: u32,
    pub(super) life: Arc<Life>,
}

#[derive(Debug, Default)]
struct Holds(Mutex<HashMap<String, Vec<Hold>>>);

// A fork child holds nothing.
static HOLDS: PerProcess<Holds> = PerProcess::new();

fn all() -> MutexGuard<'static, HashMap<String, Vec<Hold>>> {
    HOLDS.get().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread holds of a lock.
pub(super) fn of(lock: &str, thread: u64) -> Option<Hold> {
    all().get(lock)?.iter().find(|hold| hold.thread == thread).cloned()
}

/// How deep some thread of this process has it, whose lease is not over.
pub(super) fn depth_here(lock: &str) -> u32 {
    let all = all();
    let mut holds = all.get(lock).into_iter().flatten();
    holds.find(|hold| !hold.life.is_over()).map_or(0, |hold| hold.depth)
}

/// A thread has it now; what was known of that thread and lock before is no more.
pub(super) fn note(lock: &str, hold: Hold) {
    let mut all = all();
    let holds = all.entry(lock.to_string()).or_default();
    holds.retain(|other| other.thread != hold.thread);
    holds.push(hold);
}

/// Strikes out the hold with this token, whichever thread's it was.
pub(super) fn forget(lock: &str, token: u64) {
    change(lock, |holds| holds.retain(|hold| hold.token != token));
}

/// The hold with this token is so deep.
pub(super) fn deepen(lock: &str, token: u64, depth: u32) {
    change(lock, |holds| {
        holds.iter_mut().filter(|hold| hold.token == token).for_each(|hold| hold.depth = depth);
        holds.retain(|hold| hold.depth > 0);
    });
}

/// All that this process holds; from now on it does not know of it.
pub(super) fn take_all() -> Vec<Hold> {
    std::mem::take(&mut *all()).into_values().flatten().collect()
}

fn change(lock: &str, what: impl FnOnce(&mut Vec<Hold>)) {
    let mut all = all();
    if let Some(holds) = all.get_mut(lock) {
        what(holds);
        if holds.is_empty() {
            all.remove(lock);
        }
    }
}
