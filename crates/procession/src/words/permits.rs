//! A semaphore: a number of permits, and a place to sleep while there is none.

use std::time::Duration;

use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::fault::crash_point;
use crate::wait::{Sleep, WaitWord, Woken};

/// In the arena, zeroed memory has no permit.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Permits {
    value: AtomicU32,
    sleepers: WaitWord,
}

impl Permits {
    #[cfg(loom)]
    pub(crate) fn new(value: u32) -> Permits {
        Permits { value: AtomicU32::new(value), sleepers: WaitWord::new() }
    }

    #[cfg(not(loom))]
    pub(crate) fn set(&self, value: u32) {
        self.value.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn value(&self) -> u32 {
        self.value.load(Ordering::Relaxed)
    }

    /// Takes one permit, if there is one.
    #[inline]
    pub(crate) fn try_take(&self, how: &impl Sleep) -> bool {
        let mut seen = self.value.load(Ordering::Relaxed);
        loop {
            if seen == 0 {
                return false;
            }
            let (order, next) = (Ordering::Acquire, seen - 1);
            match self.value.compare_exchange(seen, next, order, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("sync.permit_taken");
        if seen > 1 && self.sleepers.has_sleepers() {
            self.sleepers.wake_one(how); // a release of several wakes one, and that one the next
        }
        true
    }

    /// Gives `n` permits; false, and none, if there would be more than `max`.
    #[inline]
    pub(crate) fn give(&self, n: u32, max: u32, how: &impl Sleep) -> bool {
        let mut seen = self.value.load(Ordering::Relaxed);
        loop {
            let Some(next) = seen.checked_add(n).filter(|&next| next <= max) else {
                return false;
            };
            match self.value.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("sync.permit_given");
        self.sleepers.wake_one(how);
        true
    }

    /// Sleeps while there is no permit.
    pub(crate) fn sleep(&self, how: &impl Sleep, limit: Duration) -> Woken {
        self.sleepers.sleep(how, limit, || self.value() > 0)
    }

    /// Where those are who wait for a permit.
    #[cfg(not(loom))]
    pub(crate) fn word(&self) -> &WaitWord {
        &self.sleepers
    }
}
