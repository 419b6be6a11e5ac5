//! Waiting on a queue: for messages, for room, until all is done, or by a descriptor.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::raw::RawQueue;
use crate::error::{ArenaError, TooManyDone};
use crate::sys::atomic::{AtomicU32, Ordering, spin_hint};
use crate::sys::fault::crash_point;
use crate::sys::process;
use crate::wait::{Futex, SLICE, WaitWord, Woken};

/// Bounds of the adaptive spin, in looks at the condition (some 40 ns each).
const SPIN_MIN: u32 = 16;
const SPIN_MAX: u32 = 2000;

/// After this many looks the core is offered to whoever wants it: the one waited for may be on it.
const YIELD_EVERY: u32 = 40;

/// A sleep shorter than this would have been better spun away: waking costs some 50 µs.
const SHORT_SLEEP: Duration = Duration::from_micros(100);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Something may have changed: try again.
    Again,
    /// The deadline passed.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// How long spinning pays, learned from how often it did.
#[derive(Debug)]
pub(super) struct Spin(AtomicU32);

impl Spin {
    pub(super) const fn new() -> Spin {
        Spin(AtomicU32::new(SPIN_MAX / 4))
    }

    /// Looks at `ready` for a while; true as soon as it is.
    fn until(&self, ready: impl Fn() -> bool) -> bool {
        if !process::many_cores() {
            return false;
        }
        let budget = self.0.load(Ordering::Relaxed);
        for look in 1..=budget {
            if ready() {
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
    fn learn(&self, slept: Duration) {
        let budget = self.0.load(Ordering::Relaxed);
        let next = if slept < SHORT_SLEEP { budget * 4 } else { budget / 2 };
        self.0.store(next.clamp(SPIN_MIN, SPIN_MAX), Ordering::Relaxed);
    }
}

/// The two ends of a queue, each of which has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where puts happen.
    Tail,
    /// Where gets happen.
    Head,
}

impl RawQueue {
    /// Whether another process or thread is inside a put or get at this end for longer than a short
    /// spin: it was preempted there, stopped, or killed. A call would sleep; who holds a lock of his
    /// own (an interpreter's, say) calls [`RawQueue::settle`] without it first.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{End, Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert!(!q.is_stuck(End::Tail));
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_stuck(&self, end: End) -> bool {
        match end {
            End::Tail => self.slot.tail_lock.is_stuck(),
            End::Head => self.slot.head_lock.is_stuck(),
        }
    }

    /// Sleeps until that end is free; takes it back from a dead process.
    ///
    /// # Errors
    /// [`ArenaError`] if the arena is damaged.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{End, Family, RawQueue};
    /// RawQueue::create(Family::current()?, None)?.settle(End::Head)?;
    /// # Ok(()) }
    /// ```
    pub fn settle(&self, end: End) -> Result<(), ArenaError> {
        let me = self.inner.me()?;
        match end {
            End::Tail => drop(self.inner.lock_tail(self.slot, self.id, me)?),
            End::Head => drop(self.slot.head_lock.lock(me, self.inner)),
        }
        Ok(())
    }

    /// Waits until there may be a message, the queue is closed, the deadline passes, a signal comes,
    /// or a slice of 250 ms is over.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_for_item(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_item(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_items() || self.is_closed();
        self.wait(&self.slot.items, Some(&self.item_spin), deadline, ready)
    }

    /// Waits until there may be room, or as [`RawQueue::wait_for_item`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_for_room(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_for_room(&self, deadline: Option<Instant>) -> Wait {
        let ready = || self.has_room() || self.is_closed();
        self.wait(&self.slot.room, Some(&self.room_spin), deadline, ready)
    }

    /// Waits until every message that was put may be reported as done, or as
    /// [`RawQueue::wait_for_item`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue, Wait};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.wait_done(None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_done(&self, deadline: Option<Instant>) -> Wait {
        self.wait(&self.slot.all_done, None, deadline, || self.unfinished() == 0)
    }

    fn wait(
        &self,
        word: &WaitWord,
        spin: Option<&Spin>,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> Wait {
        if spin.is_some_and(|s| s.until(&ready)) || ready() {
            return Wait::Again;
        }
        let start = Instant::now();
        let left = deadline.map_or(SLICE, |d| d.saturating_duration_since(start));
        if left == Duration::ZERO {
            return Wait::TimedOut;
        }
        let Ok(me) = self.inner.me() else {
            return Wait::Again;
        };
        let waiting_on = &self.inner.participant(me).waiting_on;
        waiting_on.store(self.id.index + 1, Ordering::Relaxed);
        let woken = word.sleep(&Futex, left.min(SLICE), ready);
        waiting_on.store(0, Ordering::Relaxed);
        if let Some(spin) = spin {
            spin.learn(start.elapsed());
        }
        match woken {
            Woken::Interrupted => Wait::Interrupted,
            Woken::TimedOut => {
                self.inner.sweep_if_due();
                Wait::Again
            }
            Woken::Wake | Woken::Changed => Wait::Again,
        }
    }

    /// Reports one message as done.
    ///
    /// # Errors
    /// [`TooManyDone`] if every message that was put is done already.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"", None).unwrap();
    /// q.done()?;
    /// assert!(q.done().is_err());
    /// # Ok(()) }
    /// ```
    pub fn done(&self) -> Result<(), TooManyDone> {
        let done = &self.slot.done;
        let mut seen = done.load(Ordering::SeqCst);
        loop {
            let put = self.slot.tail.count();
            if seen >= put {
                return Err(TooManyDone);
            }
            match done.compare_exchange(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        crash_point!("done.counted");
        if self.unfinished() == 0 {
            self.slot.all_done.wake_all(&Futex);
        }
        Ok(())
    }

    /// How many messages were put and not yet reported as done.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// q.try_put(1, b"", None).unwrap();
    /// assert_eq!(q.unfinished(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        // Done first: it never overtakes the puts.
        let done = self.slot.done.load(Ordering::SeqCst);
        self.slot.tail.count().saturating_sub(done)
    }

    /// A descriptor that is readable while there is something to get, for `poll`, `select` or an event
    /// loop. It belongs to this process; ask again after a fork and before each wait that is not
    /// level-triggered.
    ///
    /// # Errors
    /// [`ArenaError`] if no pipe can be made, or 128 processes select on the queue already.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// let q = RawQueue::create(Family::current()?, None)?;
    /// assert_eq!(q.bell()?, q.bell()?);
    /// q.close_bell();
    /// # Ok(()) }
    /// ```
    pub fn bell(&self) -> Result<RawFd, ArenaError> {
        self.inner.bell(self.slot, self.id)
    }

    /// Closes the descriptor of [`RawQueue::bell`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawQueue};
    /// RawQueue::create(Family::current()?, None)?.close_bell();
    /// # Ok(()) }
    /// ```
    pub fn close_bell(&self) {
        // An entry that stays behind is cleared by the next one who rings it in vain.
        let _ = self.inner.close_bell(self.slot, self.id);
    }
}
