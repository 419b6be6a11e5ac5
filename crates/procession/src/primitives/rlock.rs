//! A reentrant lock.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::error::sealed::Sealed;
use super::error::{AbandonedGuard, Guard, LockError};
use super::hold::{Hold, Of, Plain};
use super::lock::take;
use super::primitive;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError};
use crate::sync::{Abandoned, Acquired, Holder, RawLock};

/// A lock between processes that the thread which holds it may take again.
///
/// It is released when the last of its thread's guards goes. It is the lock that a Python process has as
/// `procession.RLock()`. If its holder dies, the next one is told: see [the module](crate::primitives); but
/// a process that said [`Family::leave_cleanly`] leaves it free.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::RLock;
/// let lock = RLock::new()?;
/// let outer = lock.acquire()?;
/// let inner = lock.acquire()?;
/// assert_eq!(lock.depth(), 2);
/// # Ok(()) }
/// ```
pub struct RLock {
    core: Arc<RawLock>,
}

primitive!(RLock, "a reentrant lock", |it| it.core);

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock").field("holder", &self.holder()).finish_non_exhaustive()
    }
}

type Taken<'a> = Result<RLockGuard<'a>, LockError<RLockGuard<'static>>>;

impl RLock {
    /// A new lock in this process's family, free.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn new() -> Result<RLock, HandleError> {
        Ok(RLock::new_in(Family::current()?)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn new_in(family: Family) -> Result<RLock, ArenaError> {
        Ok(RLock { core: Arc::new(RawLock::create(family, true)?) })
    }

    /// Opens the lock that a handle names.
    ///
    /// # Errors
    /// [`HandleError`]; a plain lock's handle is [`HandleError::Malformed`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Lock, RLock};
    /// let reentrant = RLock::new()?;
    /// let same = RLock::from_handle(&reentrant.handle())?;
    /// let plain = Lock::new()?;
    /// assert!(RLock::from_handle(&plain.handle()).is_err());
    /// # Ok(()) }
    /// ```
    pub fn from_handle(handle: &[u8]) -> Result<RLock, HandleError> {
        let raw = RawLock::from_handle(handle)?;
        RLock::try_from(raw).map_err(|_| HandleError::Malformed)
    }

    /// The lock without blocking beneath.
    #[must_use]
    pub fn raw(&self) -> &RawLock {
        &self.core
    }

    /// Takes the lock; waits until it can be had.
    ///
    /// # Errors
    /// [`LockError::Abandoned`], with the guard; [`LockError::Arena`].
    pub fn acquire(&self) -> Result<RLockGuard<'_>, LockError<RLockGuard<'static>>> {
        acquire(Of::Borrowed(&self.core), Patience::Endless)
    }

    /// Takes the lock, if it can be had at once.
    ///
    /// # Errors
    /// As [`RLock::acquire`], and [`LockError::Held`].
    pub fn try_acquire(&self) -> Result<RLockGuard<'_>, LockError<RLockGuard<'static>>> {
        acquire(Of::Borrowed(&self.core), Patience::None)
    }

    /// Takes the lock; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`RLock::acquire`], and [`LockError::Held`].
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RLockGuard<'_>, LockError<RLockGuard<'static>>> {
        acquire(Of::Borrowed(&self.core), Patience::of(timeout))
    }

    /// How often this thread has taken it.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.core.depth()
    }

    /// Whether this thread holds it.
    #[must_use]
    pub fn is_mine(&self) -> bool {
        self.core.is_mine()
    }

    /// Whether some thread of some process holds it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.core.is_held()
    }

    /// Who holds it, if a process does. By the time of the answer it may be another.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.core.holder()
    }
}

impl TryFrom<RawLock> for RLock {
    type Error = RawLock;

    /// A lock that is reentrant; one that is not comes back: it belongs into a [`Lock`](super::Lock).
    fn try_from(raw: RawLock) -> Result<RLock, RawLock> {
        if raw.is_reentrant() { Ok(RLock { core: Arc::new(raw) }) } else { Err(raw) }
    }
}

fn acquire(lock: Of<'_, RawLock>, patience: Patience) -> Taken<'_> {
    match take(&lock, patience)? {
        Some(Acquired::Clean) => Ok(RLockGuard::new(lock)),
        Some(Acquired::Abandoned(by)) => {
            let guard = RLockGuard::new(lock.own());
            Err(LockError::Abandoned(AbandonedGuard::new(guard, by)))
        }
        None => Err(LockError::Held),
    }
}

/// That this thread holds an [`RLock`], once or once more. It stays with the thread.
#[must_use = "the lock is released when it is dropped"]
pub struct RLockGuard<'a> {
    hold: Hold<'a, Plain>,
    not_send: PhantomData<*const ()>,
}

impl fmt::Debug for RLockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").field("lock", self.hold.lock()).finish_non_exhaustive()
    }
}

impl<'a> RLockGuard<'a> {
    fn new(lock: Of<'a, RawLock>) -> Self {
        RLockGuard { hold: Hold::new(lock), not_send: PhantomData }
    }
}

impl Sealed for RLockGuard<'_> {
    fn put_back(mut self, by: &Abandoned) {
        self.hold.put_back(by);
    }
}

impl Guard for RLockGuard<'_> {}

impl<'a> super::condition::Relock for RLockGuard<'a> {
    type Owned = RLockGuard<'static>;

    fn let_go_while(self, wait: impl FnOnce()) -> Taken<'a> {
        let lock = self.hold.of();
        drop(self);
        let outer = lock.depth(); // of other guards of this thread
        while lock.release().is_ok() {}
        wait();
        let taken = acquire(lock.clone(), Patience::Endless);
        if !matches!(taken, Err(LockError::Arena(_))) {
            for _ in 0..outer {
                lock.try_acquire()?;
            }
        }
        taken
    }
}

impl super::Waitable for RLockGuard<'_> {}
