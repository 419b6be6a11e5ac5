//! Waiting on a word of shared memory: announce, look again, sleep; publish, then wake.
//!
//! An event count in the manner of Dmitry Vyukov's and of `parking_lot`, with one addition for
//! processes that may be killed: nothing here is needed for correctness longer than one slice of a
//! sleep. A wake-up that went to a process which was then killed delays a message, and never loses
//! it, because every sleeper looks again after each slice.
//!
//! The word:
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 | `SLEEPERS` | somebody may sleep here: who publishes must wake |
//! | 1 | `WAKING` | one was woken and has not run yet: no need to wake another |
//! | 2.. | sequence | moves at each wake-up, so that a sleeper about to sleep notices |
//!
//! What must hold: a waiter sets `SLEEPERS` *before* it looks again at the condition, a publisher
//! makes the condition true *before* it looks at `SLEEPERS` (both `SeqCst`): one of them sees the
//! other.

#[cfg(not(loom))]
mod spin;

use std::time::Duration;

#[cfg(not(loom))]
pub(crate) use spin::Spin;

use crate::sys::atomic::{AtomicU32, Ordering, fence, fence_after_swap};
use crate::sys::fault::crash_point;
#[cfg(not(loom))]
use crate::sys::futex;

const SLEEPERS: u32 = 0b01;
const WAKING: u32 = 0b10;
const STEP: u32 = 0b100;

/// The longest uninterrupted sleep: after it a sleeper looks again and checks who has died.
pub(crate) const SLICE: Duration = Duration::from_millis(250);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Something may have changed: try again.
    Again,
    /// The other end was closed, by all who had it. Only connections say this.
    HungUp,
    /// The deadline passed.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// By a wake-up.
    Wake,
    /// The word had changed before the sleep began.
    Changed,
    /// By a signal.
    Interrupted,
    /// The limit passed.
    TimedOut,
}

/// How to sleep on a word: futexes in production, the model checker's own in tests.
pub(crate) trait Sleep {
    /// Sleeps while `word == expected`, at most `limit`.
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration) -> Woken;
    /// Wakes up to `count` sleepers and says how many there were.
    fn wake(&self, word: &AtomicU32, count: u32) -> u32;
}

/// How real processes sleep.
#[cfg(not(loom))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Futex;

#[cfg(not(loom))]
impl Sleep for Futex {
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration) -> Woken {
        match futex::wait(word, expected, limit) {
            Ok(()) => Woken::Wake,
            Err(rustix::io::Errno::AGAIN) => Woken::Changed,
            Err(rustix::io::Errno::INTR) => Woken::Interrupted,
            Err(_) => Woken::TimedOut,
        }
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        futex::wake(word, count)
    }
}

/// A place where processes wait for a condition that others make true.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct WaitWord(AtomicU32);

impl WaitWord {
    /// A word nobody waits on. (In the arena, zeroed memory is the same.)
    #[cfg(loom)]
    pub(crate) fn new() -> WaitWord {
        WaitWord(AtomicU32::new(0))
    }

    /// Sleeps until a wake-up, a signal or `limit`, unless `ready` is already true.
    ///
    /// May return for no reason; the caller looks again. `ready` must not block.
    pub(crate) fn sleep(
        &self,
        how: &impl Sleep,
        limit: Duration,
        ready: impl Fn() -> bool,
    ) -> Woken {
        let seen = self.0.fetch_or(SLEEPERS, Ordering::SeqCst) | SLEEPERS;
        fence(Ordering::SeqCst); // pairs with the fence in `wake_one`
        if ready() {
            return Woken::Changed;
        }
        let why = how.sleep(&self.0, seen, limit);
        // The woken one runs now. One whose slice passed clears the bit too: the one who was to run
        // may have been killed on the way.
        if self.0.load(Ordering::Relaxed) & WAKING != 0 && why != Woken::Changed {
            self.0.fetch_and(!WAKING, Ordering::SeqCst);
            fence(Ordering::SeqCst);
        }
        why
    }

    /// Wakes one sleeper, if there may be one and none is on its way already.
    /// The condition must have been published before.
    #[inline]
    pub(crate) fn wake_one(&self, how: &impl Sleep) {
        fence(Ordering::SeqCst); // pairs with the fence in `sleep`
        self.wake_one_fenced(how);
    }

    /// The same for who has released a lock since the condition was published.
    #[inline]
    pub(crate) fn wake_one_unlocked(&self, how: &impl Sleep) {
        fence_after_swap(); // pairs with the fence in `sleep`
        self.wake_one_fenced(how);
    }

    #[inline]
    fn wake_one_fenced(&self, how: &impl Sleep) {
        let seen = self.0.load(Ordering::Relaxed);
        if seen & (SLEEPERS | WAKING) == SLEEPERS {
            self.wake_slow(how, 1);
        }
    }

    /// Wakes all sleepers.
    pub(crate) fn wake_all(&self, how: &impl Sleep) {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & SLEEPERS != 0 {
            self.wake_slow(how, i32::MAX as u32);
        }
    }

    #[cold]
    fn wake_slow(&self, how: &impl Sleep, count: u32) {
        crash_point!("wake.before");
        let seen = self.0.load(Ordering::Relaxed);
        let next = (seen | WAKING).wrapping_add(STEP);
        if self.0.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            // Somebody announced himself, woke, or is waking: go round once more, each round is
            // caused by another's progress.
            if count == 1 {
                return self.wake_one(how);
            }
            return self.wake_all(how);
        }
        if how.wake(&self.0, count) == 0 {
            // Nobody slept: forget the bit. Who began to sleep between these two steps went by a
            // word that still had it, so wake again; who comes later sees the word changed.
            let quiet = next & !(SLEEPERS | WAKING);
            if self.0.compare_exchange(next, quiet, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                how.wake(&self.0, i32::MAX as u32);
            } else {
                self.0.fetch_and(!WAKING, Ordering::SeqCst);
            }
        }
    }

    /// Says that somebody waits here who does not sleep: the next wake-up is his, too. He looks again
    /// after this. (Who was woken before and is on his way may never arrive.)
    pub(crate) fn announce(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = (seen | SLEEPERS) & !WAKING;
            // Also if it changes nothing: what was written before must be seen by who wakes.
            match self.0.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        fence(Ordering::SeqCst); // pairs with the fence in `wake_one`
    }

    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Whether somebody may sleep here.
    #[inline]
    pub(crate) fn has_sleepers(&self) -> bool {
        self.0.load(Ordering::Relaxed) & SLEEPERS != 0
    }
}
