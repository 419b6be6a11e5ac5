//! The internal lock: one word that names its owner, taken over when the owner is dead.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | serial | held by that participant, nobody waits |
//! | serial \| `CONTENDED` | held, and somebody may sleep on the word |
//!
//! The idea is Linux's robust futexes (`Documentation/locking/robust-futexes.rst`), without the
//! per-thread list: who waits longer than a moment looks whether the owner lives.
//!
//! What must hold: under such a lock nothing blocks and no foreign code runs; every change made
//! under it is either one store or goes through a redo record; so who takes the lock over finds
//! a state that is whole, or that a replay makes whole.

use std::time::Duration;

use crate::sys::atomic::{AtomicU32, Ordering, spin_hint};
use crate::sys::fault::crash_point;
use crate::wait::Sleep;

/// A participant's serial: never 0, never reused, at most 31 bits.
pub(crate) type Serial = u32;

const CONTENDED: u32 = 1 << 31;

/// How often the word is looked at before the waiter sleeps. A critical section is tens of
/// nanoseconds; only a preempted owner is worth sleeping for.
#[cfg(not(loom))]
const SPINS: u32 = 200;
#[cfg(loom)]
const SPINS: u32 = 0;

/// How often one asks for a lock that is had in turn, and how long one waits in between: some
/// microseconds. Four processes that append to one list do 3.6 million a second so, and 1.2 without.
#[cfg(not(loom))]
const TURNS: u32 = 4;
#[cfg(not(loom))]
const TURN: u32 = 400;

/// The first look at whether the owner lives comes after this long, later ones after `PATIENCE`.
const FIRST_DOUBT: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(50);

/// Who may own a lock, and how to wait for it.
pub(crate) trait Owners: Sleep {
    /// Whether the participant with this serial is gone for good.
    fn is_dead(&self, serial: Serial) -> bool;
}

/// The lock's word. In the arena, zeroed memory is a free lock.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Lock(AtomicU32);

/// Proof that the lock is held; releases it when dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Held<'a, O: Owners> {
    lock: &'a Lock,
    owners: &'a O,
    /// Taken over from a dead owner: repair first.
    pub(crate) inherited: bool,
}

impl Lock {
    #[cfg(loom)]
    pub(crate) fn new() -> Lock {
        Lock(AtomicU32::new(0))
    }

    /// Takes the lock for the participant `me`.
    #[inline]
    pub(crate) fn lock<'a, O: Owners>(&'a self, me: Serial, owners: &'a O) -> Held<'a, O> {
        let free = self.0.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let inherited = !free && self.lock_slow(me, owners);
        crash_point!("lock.acquired");
        Held { lock: self, owners, inherited }
    }

    /// Takes the lock from one who is dead, unless another has done so.
    #[cfg(not(loom))]
    pub(crate) fn take_from<'a, O: Owners>(
        &'a self,
        dead: Serial,
        me: Serial,
        owners: &'a O,
    ) -> Option<Held<'a, O>> {
        let seen = self.0.load(Ordering::Relaxed);
        let mine = me | CONTENDED; // others may sleep
        (seen & !CONTENDED == dead
            && self.0.compare_exchange(seen, mine, Ordering::Acquire, Ordering::Relaxed).is_ok())
        .then_some(Held { lock: self, owners, inherited: true })
    }

    /// Whether somebody holds the lock, and does not let go within a short spin.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn is_stuck(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0 && self.stays_held()
    }

    /// The same of a lock under which much is written: whoever has it gets on a little, while its
    /// processor has all that in its cache, before another one asks again.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn is_stuck_in_turn(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0 && self.is_still_held()
    }

    #[cfg(not(loom))]
    #[cold]
    fn is_still_held(&self) -> bool {
        for _ in 0..TURNS {
            for _ in 0..TURN {
                spin_hint();
            }
            if self.0.load(Ordering::Relaxed) == 0 {
                return false;
            }
        }
        true
    }

    #[cfg(not(loom))]
    #[cold]
    fn stays_held(&self) -> bool {
        for _ in 0..SPINS {
            spin_hint();
            if self.0.load(Ordering::Relaxed) == 0 {
                return false;
            }
        }
        true
    }

    /// Whether it was taken over from a dead owner.
    #[cold]
    fn lock_slow<O: Owners>(&self, me: Serial, owners: &O) -> bool {
        for _ in 0..SPINS {
            if self.0.load(Ordering::Relaxed) == 0
                && self.0.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return false;
            }
            spin_hint();
        }
        let mut patience = FIRST_DOUBT;
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            // Others may sleep as well, so whoever comes out of here keeps the bit.
            let mine = me | CONTENDED;
            if seen == 0 {
                if self.0.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return false;
                }
                continue;
            }
            let marked = seen | CONTENDED;
            if seen != marked
                && self
                    .0
                    .compare_exchange(seen, marked, Ordering::Relaxed, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            let woken = owners.sleep(&self.0, marked, patience);
            if woken == crate::wait::Woken::TimedOut {
                patience = PATIENCE;
                if owners.is_dead(seen & !CONTENDED)
                    && self
                        .0
                        .compare_exchange(marked, mine, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                {
                    crash_point!("lock.taken_over");
                    return true;
                }
            }
        }
    }

    /// Whether the lock is held by nobody at this moment.
    #[cfg(not(loom))]
    pub(crate) fn owner(&self) -> Serial {
        self.0.load(Ordering::Relaxed) & !CONTENDED
    }
}

impl<O: Owners> Drop for Held<'_, O> {
    #[inline]
    fn drop(&mut self) {
        if self.lock.0.swap(0, Ordering::Release) & CONTENDED != 0 {
            crash_point!("lock.before_wake");
            self.owners.wake(&self.lock.0, 1);
        }
    }
}
