//! A lock for users: one word that names its holder, and says what became of it if that one ended.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | `ABANDONED` | free; its last holder died, and who takes it is told |
//! | `KEPT` | held by nobody: its holder ended on purpose and left it so |
//! | serial | held by that participant |
//! | … \| `CONTENDED` | and somebody may sleep on the word |
//!
//! Unlike the internal lock's, a sleeper here may give up. What must hold: whoever was woken takes the
//! lock next or leaves a [`Debt`], and whoever takes the lock through that handle puts `CONTENDED`
//! back, for those who still sleep. A debtor that is killed costs one slice of their sleep.

use std::time::Duration;

use crate::lock::Serial;
use crate::sys::atomic::{AtomicU32, Ordering, fence};
use crate::sys::fault::crash_point;
use crate::wait::{Sleep, Woken};

const CONTENDED: u32 = 1 << 31;

/// Serials that no participant ever has.
pub(crate) const FREE: Serial = 0;
pub(crate) const ABANDONED: Serial = 1;
pub(crate) const KEPT: Serial = 2;

/// The lock's word. In the arena, zeroed memory is a free lock.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct LockWord(AtomicU32);

/// Whether somebody was woken through this handle and has not taken the lock since.
#[derive(Debug)]
pub(crate) struct Debt(AtomicU32);

impl Debt {
    pub(crate) fn none() -> Debt {
        Debt(AtomicU32::new(0))
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    Taken {
        abandoned: bool,
    },
    /// The holder, or `KEPT`.
    HeldBy(Serial),
}

impl LockWord {
    #[cfg(loom)]
    pub(crate) fn new() -> LockWord {
        LockWord(AtomicU32::new(0))
    }

    /// Takes the lock if it is free and nobody sleeps.
    #[inline]
    pub(crate) fn try_take(&self, me: Serial, debt: &Debt) -> bool {
        let taken = self.0.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            self.settle(debt);
        }
        taken
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn take(&self, me: Serial, debt: &Debt) -> Taking {
        loop {
            let seen = self.0.load(Ordering::Acquire); // as in `holder`
            let holder = seen & !CONTENDED;
            if !is_takeable(holder) {
                return Taking::HeldBy(holder);
            }
            let next = me | (seen & CONTENDED);
            let taken = self.0.compare_exchange(seen, next, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                self.settle(debt);
                return Taking::Taken { abandoned: holder == ABANDONED };
            }
        }
    }

    #[inline]
    fn settle(&self, debt: &Debt) {
        if debt.0.load(Ordering::Relaxed) != 0 {
            self.settle_slow(debt);
        }
    }

    #[cold]
    fn settle_slow(&self, debt: &Debt) {
        debt.0.store(0, Ordering::Relaxed);
        crash_point!("sync.lock_in_debt");
        self.0.fetch_or(CONTENDED, Ordering::Relaxed);
    }

    /// Lets go of the lock.
    #[inline]
    pub(crate) fn give(&self, how: &impl Sleep) {
        if self.0.swap(FREE, Ordering::Release) & CONTENDED != 0 {
            crash_point!("sync.lock_free");
            how.wake(&self.0, 1);
        }
    }

    /// Ends the hold of one who is gone (or gives back what was just taken): the word becomes `heir`.
    /// False if that one did not hold it.
    pub(crate) fn bury(&self, gone: Serial, heir: Serial, how: &impl Sleep) -> bool {
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            if seen & !CONTENDED != gone {
                return false;
            }
            let next = heir | (seen & CONTENDED);
            let done = self.0.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed);
            if done.is_ok() {
                crash_point!("sync.lock_buried");
                if next & CONTENDED != 0 && is_takeable(heir) {
                    how.wake(&self.0, 1);
                }
                return true;
            }
        }
    }

    /// Sleeps, once, while somebody holds the lock. `None`: it may be had.
    pub(crate) fn sleep(&self, how: &impl Sleep, limit: Duration, debt: &Debt) -> Option<Woken> {
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            if is_takeable(seen & !CONTENDED) {
                return None;
            }
            let marked = seen | CONTENDED;
            let order = Ordering::Relaxed;
            if seen != marked && self.0.compare_exchange(seen, marked, order, order).is_err() {
                continue;
            }
            let woken = how.sleep(&self.0, marked, limit);
            if woken == Woken::Wake {
                // This wake-up may have been meant for several.
                debt.0.store(1, Ordering::Relaxed);
            }
            return Some(woken);
        }
    }

    /// Says that somebody waits who does not sleep, if it is held: who gives it wakes him, too. He
    /// looks again after this.
    pub(crate) fn announce(&self) {
        fence(Ordering::SeqCst); // where he is found was written before
        let mut seen = self.0.load(Ordering::SeqCst);
        while !is_takeable(seen & !CONTENDED) && seen & CONTENDED == 0 {
            let marked = seen | CONTENDED;
            match self.0.compare_exchange(seen, marked, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        fence(Ordering::SeqCst);
    }

    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// The holder's serial, `FREE`, `ABANDONED` or `KEPT`. Whoever sees one who took the lock also
    /// sees what was written beside it before it was had.
    #[inline]
    pub(crate) fn holder(&self) -> Serial {
        self.0.load(Ordering::Acquire) & !CONTENDED
    }

    #[inline]
    pub(crate) fn may_be_had(&self) -> bool {
        is_takeable(self.holder())
    }
}

#[inline]
fn is_takeable(holder: Serial) -> bool {
    holder == FREE || holder == ABANDONED
}
