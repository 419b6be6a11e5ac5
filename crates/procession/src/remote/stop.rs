//! Ends a call of another thread: an event loop's thread gives up what one of its helpers waits for.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use super::client::locked;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::threads::Parker;

thread_local! {
    static CURRENT: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Ends the calls that are made [`during`](Stop::during) it, from any thread: they return
/// [`RemoteError::Interrupted`](super::RemoteError::Interrupted), unless they are done by then.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    set: AtomicBool,
    /// Who sleeps in such a call.
    sleeper: Mutex<Option<Arc<Parker>>>,
}

impl Stop {
    /// One that is not set.
    #[must_use]
    pub fn new() -> Stop {
        Stop::default()
    }

    /// From now on, for good.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::SeqCst);
        let sleeper = locked(&self.0.sleeper).clone();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    /// Makes calls that it ends.
    pub fn during<R>(&self, call: impl FnOnce() -> R) -> R {
        let _outer = Outer(CURRENT.replace(Some(self.clone())));
        call()
    }
}

/// Puts the outer one back, whatever happens.
struct Outer(Option<Stop>);

impl Drop for Outer {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Whether the calls of this thread are to end.
pub(super) fn is_set() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(Stop::is_set))
}

/// Says who sleeps in this thread's calls, as long as the guard lives.
pub(super) fn sleeps(parker: &Arc<Parker>) -> Sleeps {
    let current = CURRENT.with_borrow(Clone::clone);
    if let Some(stop) = &current {
        *locked(&stop.0.sleeper) = Some(Arc::clone(parker));
    }
    Sleeps(current)
}

/// See [`sleeps`].
pub(super) struct Sleeps(Option<Stop>);

impl Drop for Sleeps {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            *locked(&stop.0.sleeper) = None;
        }
    }
}
