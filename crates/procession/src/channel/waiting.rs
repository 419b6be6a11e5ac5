//! Waiting at one end of a channel.

use std::time::{Duration, Instant};

use super::Channel;
use crate::error::ArenaError;
use crate::ring::fifo::Limits;
use crate::ring::inspect;
use crate::sys::atomic::{AtomicU32, Ordering, spin_hint};
use crate::sys::process;
use crate::wait::{Futex, SLICE, WaitWord, Woken};

/// Bounds of the adaptive spin, in looks at the condition (some 40 ns each).
const SPIN_MIN: u32 = 16;
const SPIN_MAX: u32 = 2000;

/// After this many looks the core is offered to whoever wants it: the one waited for may be on it.
const YIELD_EVERY: u32 = 40;

/// What part of a full ring a producer lets drain, and how often it looks meanwhile.
const DRAIN: u64 = 32;
const LOOK_EVERY: u32 = 16;

/// A sleep shorter than this would have been better spun away: waking costs some 50 µs.
const SHORT_SLEEP: Duration = Duration::from_micros(100);

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

/// How long spinning pays, learned from how often it did.
#[derive(Debug)]
pub(crate) struct Spin(AtomicU32);

impl Clone for Spin {
    fn clone(&self) -> Spin {
        Spin::new()
    }
}

impl Spin {
    pub(crate) const fn new() -> Spin {
        Spin(AtomicU32::new(SPIN_MAX / 4))
    }

    /// Looks at `ready` for a while; true as soon as it is.
    pub(crate) fn until(&self, ready: impl Fn() -> bool) -> bool {
        self.until_every(1, ready)
    }

    /// Looks at `ready` for as long, but only every so many times: a look takes the cache line away
    /// from the one who is waited for.
    pub(crate) fn until_every(&self, nth: u32, ready: impl Fn() -> bool) -> bool {
        if !process::many_cores() {
            return false;
        }
        let budget = self.0.load(Ordering::Relaxed);
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
        let budget = self.0.load(Ordering::Relaxed);
        let next = if slept < SHORT_SLEEP { budget * 4 } else { budget / 2 };
        self.0.store(next.clamp(SPIN_MIN, SPIN_MAX), Ordering::Relaxed);
    }
}

/// The two ends of a channel, each of which has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where messages are put.
    Tail,
    /// Where they are taken.
    Head,
}

impl Channel {
    #[inline]
    pub(crate) fn is_stuck(&self, end: End) -> bool {
        match end {
            End::Tail => self.slot().tail_lock.is_stuck(),
            End::Head => self.slot().head_lock.is_stuck(),
        }
    }

    pub(crate) fn settle(&self, end: End) -> Result<(), ArenaError> {
        let me = self.inner().me()?;
        match end {
            End::Tail => drop(self.inner().lock_tail(self.slot(), self.id(), me)?),
            End::Head => drop(self.slot().head_lock.lock(me, self.inner())),
        }
        Ok(())
    }

    /// Lets the consumers of a full ring get a little ahead, if they are at it: else producer and
    /// consumer go on in lockstep, one message at a time, each on the other's cache lines.
    pub(crate) fn let_drain(&self, weight: u64) {
        let most = self.limits;
        let most = Limits {
            messages: most.messages - most.messages / DRAIN,
            bytes: most.bytes - most.bytes / DRAIN,
        };
        let (head, tail) = (&self.slot().head, &self.slot().tail);
        self.room_spin.until_every(LOOK_EVERY, || inspect::has_room(head, tail, most, weight));
    }

    pub(crate) fn item_spin(&self) -> &Spin {
        &self.item_spin
    }

    /// Waits until `ready`, for a message.
    pub(crate) fn wait_for_item(
        &self,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> Wait {
        self.wait(&self.slot().items, Some(&self.item_spin), deadline, SLICE, ready)
    }

    /// Waits until `ready`, for room; at most for `slice`.
    pub(crate) fn wait_for_room(
        &self,
        deadline: Option<Instant>,
        slice: Duration,
        ready: impl Fn() -> bool,
    ) -> Wait {
        self.wait(&self.slot().room, Some(&self.room_spin), deadline, slice, ready)
    }

    /// Waits on a word until `ready`, the deadline, a signal, or a slice is over.
    pub(crate) fn wait(
        &self,
        word: &WaitWord,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        slice: Duration,
        ready: impl Fn() -> bool,
    ) -> Wait {
        if spin.is_some_and(|s| s.until(&ready)) || ready() {
            return Wait::Again;
        }
        let start = Instant::now();
        let left = deadline.map_or(slice, |d| d.saturating_duration_since(start));
        if left == Duration::ZERO {
            return Wait::TimedOut;
        }
        let Ok(me) = self.inner().me() else {
            return Wait::Again;
        };
        let waiting_on = &self.inner().participant(me).waiting_on;
        waiting_on.store(self.id().index + 1, Ordering::Relaxed);
        let woken = word.sleep(&Futex, left.min(slice), ready);
        waiting_on.store(0, Ordering::Relaxed);
        if let Some(spin) = spin {
            spin.learn(start.elapsed());
        }
        match woken {
            Woken::Interrupted => Wait::Interrupted,
            Woken::TimedOut => {
                self.inner().sweep_if_due();
                Wait::Again
            }
            Woken::Wake | Woken::Changed => Wait::Again,
        }
    }
}
