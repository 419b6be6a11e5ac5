//! The threads of this process that wait for something on a server: the pulse wakes them by their numbers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::threads::{Parked, Parker};

/// All of one client.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: AtomicU64,
    parked: Mutex<HashMap<u64, Arc<Parker>>>,
}

/// One thread's place.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    all: &'a Waiters,
    number: u64,
    parker: Arc<Parker>,
}

impl Waiters {
    pub(crate) fn enter(&self) -> Waiter<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let parker = Arc::new(Parker::default());
        self.map().insert(number, Arc::clone(&parker));
        Waiter { all: self, number, parker }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Parker>>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake(&self, number: u64) {
        let parker = self.map().get(&number).cloned();
        if let Some(parker) = parker {
            parker.wake();
        }
    }

    /// After a time in which wake-ups may have been missed.
    pub(crate) fn wake_all(&self) {
        let all: Vec<_> = self.map().values().cloned().collect();
        for parker in all {
            parker.wake();
        }
    }
}

impl Waiter<'_> {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn parker(&self) -> &Arc<Parker> {
        &self.parker
    }

    /// Makes it ready for a wake-up. Whoever comes between this and [`Waiter::park`] is not missed.
    pub(crate) fn reset(&self) {
        self.parker.reset();
    }

    pub(crate) fn park(&self, limit: Duration) -> Parked {
        self.parker.park(Some(limit))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.all.map().remove(&self.number);
    }
}
