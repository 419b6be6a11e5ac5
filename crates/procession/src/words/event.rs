//! An event: a flag, and how often it was set, in one word; and a place to sleep while it is not.
//!
//! Who waits remembers how often the flag had been set, so that a set lets it through even if a clear
//! follows at once.

use std::time::Duration;

use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::fault::crash_point;
use crate::wait::{Sleep, WaitWord, Woken};

const FLAG: u32 = 1;
const STEP: u32 = 2;

/// In the arena, zeroed memory is an event that is not set.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct EventWords {
    /// Sets so far (modulo 2³¹) and the flag.
    state: AtomicU32,
    sleepers: WaitWord,
}

impl EventWords {
    #[cfg(loom)]
    pub(crate) fn new() -> EventWords {
        EventWords { state: AtomicU32::new(0), sleepers: WaitWord::new() }
    }

    pub(crate) fn set(&self, how: &impl Sleep) {
        let mut seen = self.state.load(Ordering::Relaxed);
        // The flag moves from unset to set together with the number.
        while seen & FLAG == 0 {
            let next = seen.wrapping_add(STEP) | FLAG;
            match self.state.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("sync.event_set");
        // If it was set already: who set it may have been killed before this.
        self.sleepers.wake_all(how);
    }

    pub(crate) fn clear(&self) {
        self.state.fetch_and(!FLAG, Ordering::AcqRel);
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.state.load(Ordering::Acquire) & FLAG != 0
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.state.load(Ordering::Acquire) / STEP
    }

    /// Whether it is set, or was set after `since`.
    #[inline]
    pub(crate) fn has_passed(&self, since: u32) -> bool {
        let seen = self.state.load(Ordering::Acquire);
        seen & FLAG != 0 || seen / STEP != since
    }

    /// Sleeps until it is set.
    pub(crate) fn sleep(&self, how: &impl Sleep, limit: Duration, since: u32) -> Woken {
        self.sleepers.sleep(how, limit, || self.has_passed(since))
    }

    /// Where those are who wait until it is set.
    #[cfg(not(loom))]
    pub(crate) fn word(&self) -> &WaitWord {
        &self.sleepers
    }
}
