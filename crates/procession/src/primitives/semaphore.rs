//! A semaphore.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::primitive;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError};
use crate::lock::Serial;
use crate::sync::{RawSemaphore, TooManyReleases};

/// A number of permits between processes and threads.
///
/// It is the same as a Python process's `Semaphore` and `BoundedSemaphore`. There is no order among those
/// who wait. The permits of a process that was killed are not given back: nobody can know what they meant.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Semaphore;
/// let connections = Semaphore::new(2)?;
/// let (one, two) = (connections.acquire(), connections.acquire());
/// assert!(connections.try_acquire().is_none());
/// drop(one);
/// assert_eq!(connections.value(), 1);
/// # Ok(()) }
/// ```
pub struct Semaphore {
    core: Arc<RawSemaphore>,
}

primitive!(Semaphore, "a semaphore", |it| it.core);

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &self.value()).finish_non_exhaustive()
    }
}

impl Semaphore {
    /// A new one in this process's family, with so many permits; more may be released later.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn new(permits: u32) -> Result<Semaphore, HandleError> {
        Ok(Semaphore::new_in(Family::current()?, permits)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn new_in(family: Family, permits: u32) -> Result<Semaphore, ArenaError> {
        Ok(RawSemaphore::create(family, permits, u32::MAX)?.into())
    }

    /// A new one in this process's family that never has more permits than at first.
    ///
    /// # Errors
    /// As [`Semaphore::new`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Semaphore;
    /// assert!(Semaphore::bounded(3)?.release(1).is_err());
    /// # Ok(()) }
    /// ```
    pub fn bounded(permits: u32) -> Result<Semaphore, HandleError> {
        Ok(Semaphore::bounded_in(Family::current()?, permits)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn bounded_in(family: Family, permits: u32) -> Result<Semaphore, ArenaError> {
        Ok(RawSemaphore::create(family, permits, permits)?.into())
    }

    /// Opens the semaphore that a handle names.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<Semaphore, HandleError> {
        Ok(RawSemaphore::from_handle(handle)?.into())
    }

    /// The semaphore without blocking beneath.
    #[must_use]
    pub fn raw(&self) -> &RawSemaphore {
        &self.core
    }

    /// Takes a permit; waits for one.
    pub fn acquire(&self) -> Permit<'_> {
        loop {
            // Endless patience ends with a permit.
            if let Some(permit) = self.take(Patience::Endless) {
                return permit;
            }
        }
    }

    /// Takes a permit, if there is one.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take(Patience::None)
    }

    /// Takes a permit; waits for one at most `timeout`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Semaphore;
    /// let none = Semaphore::new(0)?;
    /// assert!(none.acquire_timeout(std::time::Duration::from_millis(1)).is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.take(Patience::of(timeout))
    }

    fn take(&self, patience: Patience) -> Option<Permit<'_>> {
        while !self.core.try_acquire() {
            if !patience.wait(|deadline| self.core.wait(deadline)) {
                return None;
            }
        }
        Some(Permit { semaphore: &self.core, me: self.core.me() })
    }

    /// Gives so many permits, taken or not.
    ///
    /// # Errors
    /// [`TooManyReleases`], and gives none, if there would be too many.
    pub fn release(&self, permits: u32) -> Result<(), TooManyReleases> {
        self.core.release(permits)
    }

    /// How many permits there are at this moment.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.core.value()
    }
}

impl From<RawSemaphore> for Semaphore {
    fn from(raw: RawSemaphore) -> Semaphore {
        Semaphore { core: Arc::new(raw) }
    }
}

/// A permit of a [`Semaphore`], given back when it is dropped; though not by a fork child, nor by a
/// process that is killed.
#[must_use = "the permit is given back when it is dropped"]
pub struct Permit<'a> {
    semaphore: &'a RawSemaphore,
    me: Serial,
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("semaphore", self.semaphore).finish_non_exhaustive()
    }
}

impl Permit<'_> {
    /// Keeps the permit for good: somebody else [releases](Semaphore::release) one for it, or nobody.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.semaphore.me() == self.me {
            // Too many only if somebody released more than was taken.
            let _ = self.semaphore.release(1);
        }
    }
}
