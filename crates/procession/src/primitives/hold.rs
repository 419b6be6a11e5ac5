//! That a lock is held, and how it is let go of: what all guards have inside.
//!
//! What must hold: in the process that took the lock, and in no fork child of it, it is let go of once.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::thread;

use crate::lock::Serial;
use crate::sync::{Abandoned, Ended, RawLock};

/// A lock, borrowed from its handle; or, inside an error, a handle of its own, so that `?` may carry the
/// error away.
pub(super) enum Of<'a, L> {
    Borrowed(&'a Arc<L>),
    Own(Arc<L>),
}

impl<L> Of<'_, L> {
    pub(super) fn own(&self) -> Of<'static, L> {
        Of::Own(match self {
            Of::Borrowed(lock) => Arc::clone(lock),
            Of::Own(lock) => Arc::clone(lock),
        })
    }
}

impl<L> Clone for Of<'_, L> {
    fn clone(&self) -> Self {
        match self {
            Of::Borrowed(lock) => Of::Borrowed(lock),
            Of::Own(lock) => Of::Own(Arc::clone(lock)),
        }
    }
}

impl<L> Deref for Of<'_, L> {
    type Target = L;

    #[inline]
    fn deref(&self) -> &L {
        match self {
            Of::Borrowed(lock) => lock,
            Of::Own(lock) => lock,
        }
    }
}

/// A way of holding a lock.
pub(super) trait Way {
    type Lock;

    /// Who this process is, as that lock names holders.
    fn me(lock: &Self::Lock) -> Serial;
    fn release(lock: &Self::Lock);
    fn abandon(lock: &Self::Lock, why: Ended);
    fn put_back(lock: &Self::Lock, by: &Abandoned);
}

pub(super) struct Hold<'a, W: Way> {
    lock: Of<'a, W::Lock>,
    /// Who took it; 0: it is let go of already.
    me: Serial,
    /// The thread was panicking before.
    panicking: bool,
    way: PhantomData<fn(W)>,
}

impl<'a, W: Way> Hold<'a, W> {
    /// Of a lock that this process has just taken.
    #[inline]
    pub(super) fn new(lock: Of<'a, W::Lock>) -> Self {
        let me = W::me(&lock);
        Hold { lock, me, panicking: thread::panicking(), way: PhantomData }
    }

    #[inline]
    pub(super) fn lock(&self) -> &W::Lock {
        &self.lock
    }

    /// The lock, for later: the hold goes on.
    pub(super) fn of(&self) -> Of<'a, W::Lock> {
        self.lock.clone()
    }

    /// Whether it is this process that holds it, and not one that it is a fork child of.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.me != 0 && W::me(&self.lock) == self.me
    }

    /// Whether the thread has begun to panic since.
    #[inline]
    pub(super) fn has_panicked(&self) -> bool {
        !self.panicking && thread::panicking()
    }

    /// The same hold, as one that borrows nothing. This one ends.
    pub(super) fn take(&mut self) -> Hold<'static, W> {
        let me = std::mem::take(&mut self.me);
        Hold { lock: self.lock.own(), me, panicking: self.panicking, way: PhantomData }
    }

    /// Lets go of the lock, for a reason that the next one is told.
    #[cold]
    pub(super) fn abandon(&mut self, why: Ended) {
        if self.is_here() {
            W::abandon(&self.lock, why);
        }
        self.me = 0;
    }

    pub(super) fn put_back(&mut self, by: &Abandoned) {
        if self.is_here() {
            W::put_back(&self.lock, by);
        }
        self.me = 0;
    }

    /// The lock stays held.
    pub(super) fn leak(mut self) {
        self.me = 0;
    }
}

impl<W: Way> Drop for Hold<'_, W> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_here() {
            return;
        }
        if self.has_panicked() {
            W::abandon(&self.lock, Ended::Panicked);
        } else {
            W::release(&self.lock);
        }
    }
}

/// As a plain lock is held, or a reentrant one.
pub(super) struct Plain;

impl Way for Plain {
    type Lock = RawLock;

    #[inline]
    fn me(lock: &RawLock) -> Serial {
        lock.me()
    }

    #[inline]
    fn release(lock: &RawLock) {
        // Unless somebody released it without having it; then it may be another's by now.
        if lock.is_held_here() {
            let _ = lock.release();
        }
    }

    fn abandon(lock: &RawLock, why: Ended) {
        if lock.is_reentrant() && lock.depth() > 1 {
            let _ = lock.release(); // the outermost guard will see to it
        } else {
            lock.abandon(why);
        }
    }

    fn put_back(lock: &RawLock, by: &Abandoned) {
        if lock.is_reentrant() && lock.depth() > 1 {
            let _ = lock.release(); // the thread's other guards have it still
        } else {
            lock.abandon_as(by);
        }
    }
}
