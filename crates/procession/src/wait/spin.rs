//! Spinning before a sleep, for as long as that has paid.

use std::time::Duration;

use crate::sys::atomic::{AtomicU32, Ordering, spin_hint};
use crate::sys::process;

/// Bounds of the adaptive spin, in looks at the condition (some 40 ns each).
const SPIN_MIN: u32 = 16;
const SPIN_MAX: u32 = 2000;

/// After this many looks the core is offered to whoever wants it: the one waited for may be on it.
const YIELD_EVERY: u32 = 40;

/// A sleep shorter than this would have been better spun away: waking costs some 50 µs.
const SHORT_SLEEP: Duration = Duration::from_micros(100);

/// How long spinning pays, learned from how often it did.
#[derive(Debug)]
pub(crate) struct Spin {
    budget: AtomicU32,
    /// How many looks' time passes from one to the next.
    every: u32,
}

impl Clone for Spin {
    fn clone(&self) -> Spin {
        Spin::every(self.every)
    }
}

impl Spin {
    /// Looks all the time.
    pub(crate) const fn new() -> Spin {
        Spin::every(1)
    }

    /// Looks once in the time of `nth` looks: each takes the cache line away from the one who is
    /// waited for, which matters if that one writes it at every step.
    pub(crate) const fn every(nth: u32) -> Spin {
        Spin { budget: AtomicU32::new(SPIN_MAX / 4), every: nth }
    }

    /// Looks at `ready` for a while; true as soon as it is.
    pub(crate) fn until(&self, ready: impl Fn() -> bool) -> bool {
        self.until_every(self.every, ready)
    }

    /// As [`Spin::until`], but looks every `nth` time.
    pub(crate) fn until_every(&self, nth: u32, ready: impl Fn() -> bool) -> bool {
        if !process::many_cores() {
            return false;
        }
        let budget = self.budget.load(Ordering::Relaxed);
        for look in 1..=budget {
            if look % nth == 0 && ready() {
                return true;
            }
            if look % YIELD_EVERY == 0 {
                process::yield_core();
            } else {
                spin_hint();
            }
        }
        false
    }

    /// Learns from a sleep that came after a spin in vain: spin longer if the sleep was short, hardly
    /// at all if it was long.
    pub(crate) fn learn(&self, slept: Duration) {
        let budget = self.budget.load(Ordering::Relaxed);
        let next = if slept < SHORT_SLEEP { budget * 4 } else { budget / 2 };
        self.budget.store(next.clamp(SPIN_MIN, SPIN_MAX), Ordering::Relaxed);
    }
}
