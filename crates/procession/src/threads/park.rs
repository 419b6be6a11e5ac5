//! How one thread sleeps until another wakes it: a word of its own, so that a wake-up reaches exactly
//! the one that it is meant for. Under loom, a mutex and a condition variable.

use std::time::Duration;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// It was woken.
    Woken,
    /// Time was up, or a signal came, or nothing at all happened.
    Otherwise,
}

/// Where one thread sleeps, one sleep at a time.
#[derive(Debug, Default)]
pub struct Parker {
    inner: imp::Parker,
}

impl Parker {
    /// Makes it ready for another sleep. Nobody may be about to wake it.
    pub(crate) fn reset(&self) {
        self.inner.reset();
    }

    /// Ends the sleep, or the one to come.
    pub(crate) fn wake(&self) {
        self.inner.wake();
    }

    /// Sleeps until it is woken; ends early after `limit`, and at a signal.
    #[must_use]
    pub fn park(&self, limit: Option<Duration>) -> Parked {
        if self.inner.park(limit) { Parked::Woken } else { Parked::Otherwise }
    }
}

#[cfg(not(loom))]
mod imp {
    use std::time::Duration;

    use crate::sys::atomic::{AtomicU32, Ordering};
    use crate::sys::futex;

    /// 0 while nobody has woken it, then 1.
    #[derive(Debug, Default)]
    pub(super) struct Parker {
        woken: AtomicU32,
    }

    impl Parker {
        pub(super) fn reset(&self) {
            // Its line's lock orders this before any wake-up.
            self.woken.store(0, Ordering::Relaxed);
        }

        pub(super) fn wake(&self) {
            self.woken.store(1, Ordering::Release);
            futex::wake_private(&self.woken);
        }

        pub(super) fn park(&self, limit: Option<Duration>) -> bool {
            if self.woken.load(Ordering::Acquire) == 0 {
                let _ = futex::wait_private(&self.woken, 0, limit);
            }
            self.woken.load(Ordering::Acquire) == 1
        }
    }
}

#[cfg(loom)]
mod imp {
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};

    #[derive(Debug, Default)]
    pub(super) struct Parker {
        woken: Mutex<bool>,
        bell: Condvar,
    }

    impl Parker {
        pub(super) fn reset(&self) {
            *self.woken.lock().unwrap() = false;
        }

        pub(super) fn wake(&self) {
            *self.woken.lock().unwrap() = true;
            self.bell.notify_one();
        }

        /// A limit is up at once: whatever can happen before it, loom tries without a clock.
        pub(super) fn park(&self, limit: Option<Duration>) -> bool {
            let mut woken = self.woken.lock().unwrap();
            while !*woken && limit.is_none() {
                woken = self.bell.wait(woken).unwrap();
            }
            *woken
        }
    }
}
