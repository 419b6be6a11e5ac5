//! Changes of several words that happen all or not at all.
//!
//! Under the arena lock a change is written down as absolute values, committed by one store of its
//! length, applied, and crossed out. Who takes the lock and finds a committed record applies it
//! again: it makes the same words the same values, however often its author, or those who replayed
//! it, were killed.

use super::family::Inner;
use super::layout::REDO_LEN;
use super::map::corrupt;
use crate::error::ArenaError;
use crate::lock::Held;
use crate::sys::atomic::Ordering;
use crate::sys::fault::crash_point;

/// `count` words from `at` on become `value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) at: u64,
    pub(crate) value: u64,
    pub(crate) count: u64,
}

/// One word becomes `value`.
pub(crate) fn set(at: u64, value: u64) -> Change {
    Change { at, value, count: 1 }
}

/// The arena lock, held, with nothing left to replay.
#[derive(Debug)]
pub(crate) struct ArenaGuard<'a> {
    inner: &'a Inner,
    _held: Held<'a, Inner>,
}

impl Inner {
    /// Takes the arena lock.
    pub(crate) fn guard(&self) -> Result<ArenaGuard<'_>, ArenaError> {
        let me = self.me()?;
        let held = self.header().lock.lock(me, self);
        let guard = ArenaGuard { inner: self, _held: held };
        if self.header().redo_count.load(Ordering::Acquire) != 0 {
            guard.replay()?;
        }
        Ok(guard)
    }
}

impl ArenaGuard<'_> {
    /// Makes all changes, or none if the process is killed before the commit.
    pub(crate) fn commit(&self, changes: &[Change]) -> Result<(), ArenaError> {
        let header = self.inner.header();
        assert!(changes.len() <= REDO_LEN, "a redo record has room for {REDO_LEN} changes");
        for (entry, c) in header.redo.iter().zip(changes) {
            entry.at.store(c.at, Ordering::Relaxed);
            entry.value.store(c.value, Ordering::Relaxed);
            entry.count.store(c.count, Ordering::Relaxed);
        }
        crash_point!("redo.written");
        // The commit. Pairs with the load in `guard`.
        header.redo_count.store(changes.len() as u64, Ordering::Release);
        crash_point!("redo.committed");
        self.replay()
    }

    fn replay(&self) -> Result<(), ArenaError> {
        let header = self.inner.header();
        let n = header.redo_count.load(Ordering::Relaxed) as usize;
        let entries = header.redo.get(..n).ok_or_else(|| corrupt("the redo record's length"))?;
        for (i, e) in entries.iter().enumerate() {
            let at = e.at.load(Ordering::Relaxed);
            let value = e.value.load(Ordering::Relaxed);
            for k in 0..e.count.load(Ordering::Relaxed).min(self.inner.map.layout.end_span()) {
                self.inner.map.word(at + 8 * k)?.store(value, Ordering::SeqCst);
            }
            if i == 0 {
                crash_point!("redo.half_applied");
            }
        }
        crash_point!("redo.applied");
        header.redo_count.store(0, Ordering::Release);
        Ok(())
    }
}
