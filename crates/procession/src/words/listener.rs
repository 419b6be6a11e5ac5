//! An entry of one who listens at a word instead of sleeping there: whether he has been rung for.
//!
//! Who rings marks the entry, and tells the listener only if it had no mark: so nobody is told twice.
//! What must hold: the listener takes the mark back *before* he looks at what he waits for, and a ringer
//! touches the mark *after* he has published: one of them sees the other.

use crate::sys::atomic::{AtomicU64, Ordering, fence};

pub(crate) const RUNG: u64 = 1 << 35;

/// Marks an entry while it is the one that is meant. What it was, if the listener is to be told.
pub(crate) fn ring(entry: &AtomicU64, is_meant: impl Fn(u64) -> bool) -> Option<u64> {
    let mut seen = entry.load(Ordering::Relaxed);
    while is_meant(seen) {
        // Also if it is marked already: who takes the mark back then sees what was published.
        let next = seen | RUNG;
        match entry.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return (seen & RUNG == 0).then_some(seen),
            Err(now) => seen = now,
        }
    }
    None
}

/// Takes the mark back.
pub(crate) fn quiet(entry: &AtomicU64, is_mine: impl Fn(u64) -> bool) {
    let mut seen = entry.load(Ordering::Relaxed);
    while is_mine(seen) && seen & RUNG != 0 {
        let next = seen & !RUNG;
        match entry.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    fence(Ordering::SeqCst);
}
