//! A plain lock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::sealed::Sealed;
use super::error::{AbandonedGuard, Guard, LockError};
use super::hold::{Hold, Of, Plain};
use super::primitive;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError};
use crate::sync::{Abandoned, Acquired, Holder, RawLock, ReleaseError};

/// A lock between processes and threads.
///
/// It guards what both sides know of: a file, a device, a piece of [`RawMemory`](crate::RawMemory). For a
/// value there is [`Mutex`](super::Mutex). It is the lock that a Python process has as
/// `procession.Lock()`. There is no order among those who wait.
///
/// If its holder dies, the next one is told: see [the module](crate::primitives). Only a process that said
/// [`Family::leave_cleanly`], as Python processes do that end with exit code 0, leaves it held, until
/// somebody [releases](Lock::release) it.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Lock;
/// let lock = Lock::new()?;
/// let guard = lock.acquire()?;
/// assert!(lock.try_acquire().is_err());
/// drop(guard);
/// # Ok(()) }
/// ```
pub struct Lock {
    core: Arc<RawLock>,
}

primitive!(Lock, "a lock", |it| it.core);

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("holder", &self.holder()).finish_non_exhaustive()
    }
}

/// Takes a lock beneath. `None`: it was held until patience was over.
#[inline]
pub(super) fn take(lock: &RawLock, patience: Patience) -> Result<Option<Acquired>, ArenaError> {
    if lock.try_acquire_free() {
        return Ok(Some(Acquired::Clean));
    }
    take_slow(lock, patience)
}

#[cold]
fn take_slow(lock: &RawLock, patience: Patience) -> Result<Option<Acquired>, ArenaError> {
    loop {
        if let Some(acquired) = lock.try_acquire()? {
            return Ok(Some(acquired));
        }
        if !patience.wait(|deadline| lock.wait(deadline)) {
            return Ok(None);
        }
    }
}

type Taken<'a> = Result<LockGuard<'a>, LockError<LockGuard<'static>>>;

impl Lock {
    /// A new lock in this process's family, free.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn new() -> Result<Lock, HandleError> {
        Ok(Lock::new_in(Family::current()?)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn new_in(family: Family) -> Result<Lock, ArenaError> {
        Ok(Lock { core: Arc::new(RawLock::create(family, false)?) })
    }

    /// Opens the lock that a handle names.
    ///
    /// # Errors
    /// [`HandleError`]; a reentrant lock's handle is [`HandleError::Malformed`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::Lock;
    /// let a = Lock::new()?;
    /// let b = Lock::from_handle(&a.handle())?;
    /// let guard = a.acquire()?;
    /// assert!(b.is_held());
    /// # Ok(()) }
    /// ```
    pub fn from_handle(handle: &[u8]) -> Result<Lock, HandleError> {
        let raw = RawLock::from_handle(handle)?;
        Lock::try_from(raw).map_err(|_| HandleError::Malformed)
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
    pub fn acquire(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'static>>> {
        acquire(Of::Borrowed(&self.core), Patience::Endless)
    }

    /// Takes the lock, if it can be had at once.
    ///
    /// # Errors
    /// As [`Lock::acquire`], and [`LockError::Held`].
    pub fn try_acquire(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'static>>> {
        acquire(Of::Borrowed(&self.core), Patience::None)
    }

    /// Takes the lock; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Lock::acquire`], and [`LockError::Held`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Lock, LockError};
    /// # use std::time::Duration;
    /// let lock = Lock::new()?;
    /// let guard = lock.acquire()?;
    /// let late = lock.acquire_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(LockError::Held)));
    /// # Ok(()) }
    /// ```
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<LockGuard<'_>, LockError<LockGuard<'static>>> {
        acquire(Of::Borrowed(&self.core), Patience::of(timeout))
    }

    /// Takes the lock, to be [released](Lock::release) by whoever it may be, in any process.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Lock;
    /// let lock = Lock::new()?;
    /// lock.acquire_raw()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| lock.release().unwrap());
    /// });
    /// assert!(!lock.is_held());
    /// # Ok(()) }
    /// ```
    pub fn acquire_raw(&self) -> Result<(), LockError<LockGuard<'static>>> {
        self.acquire().map(LockGuard::leak)
    }

    /// Releases the lock that was taken by [`Lock::acquire_raw`], here or elsewhere. While somebody has
    /// a guard, that is a mistake: the guard does not notice.
    ///
    /// # Errors
    /// [`ReleaseError::NotHeld`].
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.core.release()
    }

    /// Whether it can't be had at this moment.
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

impl TryFrom<RawLock> for Lock {
    type Error = RawLock;

    /// A lock that is not reentrant; one that is comes back: it belongs into an
    /// [`RLock`](super::RLock).
    fn try_from(raw: RawLock) -> Result<Lock, RawLock> {
        if raw.is_reentrant() { Err(raw) } else { Ok(Lock { core: Arc::new(raw) }) }
    }
}

#[inline]
fn acquire(lock: Of<'_, RawLock>, patience: Patience) -> Taken<'_> {
    match take(&lock, patience)? {
        Some(Acquired::Clean) => Ok(LockGuard(Hold::new(lock))),
        Some(Acquired::Abandoned(by)) => {
            let guard = LockGuard(Hold::new(lock.own()));
            Err(LockError::Abandoned(AbandonedGuard::new(guard, by)))
        }
        None => Err(LockError::Held),
    }
}

/// That a [`Lock`] is held: released when it is dropped, by whichever thread.
#[must_use = "the lock is released when it is dropped"]
pub struct LockGuard<'a>(Hold<'a, Plain>);

impl fmt::Debug for LockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("lock", self.0.lock()).finish()
    }
}

impl LockGuard<'_> {
    /// Leaves the lock held: somebody will [release](Lock::release) it.
    pub fn leak(self) {
        self.0.leak();
    }
}

impl Sealed for LockGuard<'_> {
    fn put_back(mut self, by: &Abandoned) {
        self.0.put_back(by);
    }
}

impl Guard for LockGuard<'_> {}

impl<'a> super::condition::Relock for LockGuard<'a> {
    type Owned = LockGuard<'static>;

    fn let_go_while(self, wait: impl FnOnce()) -> Taken<'a> {
        let lock = self.0.of();
        drop(self);
        wait();
        acquire(lock, Patience::Endless)
    }
}

impl super::Waitable for LockGuard<'_> {}
