//! A semaphore.

use std::fmt;
use std::time::Instant;

use super::{common, slot_of};
use crate::arena::doorbell::Spot;
use crate::arena::family::Family;
use crate::arena::layout::sync::SemaphoreSlot;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::ArenaError;
use crate::ring::fifo::Limits;
use crate::wait::{Futex, SLICE, Spin, Wait};

/// More permits would have been given than the semaphore may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the semaphore was released too many times")]
pub struct TooManyReleases;

/// A number of permits, between processes and threads.
///
/// Any process may give and take. There is no order among those who wait. The permits of a process
/// that was killed are not given back.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawSemaphore};
/// let places = RawSemaphore::create(Family::current()?, 1, 2)?;
/// assert!(places.try_acquire() && !places.try_acquire());
/// places.release(2)?;
/// assert!(places.release(1).is_err());
/// # Ok(()) }
/// ```
pub struct RawSemaphore {
    lease: Lease,
    slot: &'static SemaphoreSlot,
    max: u32,
    spin: Spin,
}

common!(RawSemaphore, Kind::Semaphore, "RawSemaphore::create(Family::current()?, 1, 1)?");

impl fmt::Debug for RawSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSemaphore")
            .field("index", &self.lease.id.index)
            .field("value", &self.value())
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl RawSemaphore {
    /// A new semaphore with `value` permits, of which there are never more than `max`.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    ///
    /// # Panics
    /// If `value` is more than `max`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Family, RawSemaphore};
    /// assert_eq!(RawSemaphore::create(Family::current()?, 3, 5)?.value(), 3);
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family, value: u32, max: u32) -> Result<RawSemaphore, ArenaError> {
        assert!(value <= max, "{value} permits of at most {max}");
        let limits = Limits { messages: max.into(), bytes: 0 };
        let semaphore = RawSemaphore::over(Lease::create(family, Kind::Semaphore, limits)?)?;
        semaphore.slot.permits.set(value); // nobody else has its handle yet
        Ok(semaphore)
    }

    fn over(lease: Lease) -> Result<RawSemaphore, ArenaError> {
        let slot = slot_of(&lease)?;
        let max = u32::try_from(lease.slot.limits().messages).unwrap_or(u32::MAX);
        Ok(RawSemaphore { lease, slot, max, spin: Spin::new() })
    }

    /// Who this process is; 0: nobody, after a fork.
    pub(crate) fn me(&self) -> crate::lock::Serial {
        self.lease.inner.me_or_zero()
    }

    /// Takes a permit, if there is one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawSemaphore};
    /// assert!(!RawSemaphore::create(Family::current()?, 0, 1)?.try_acquire());
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        self.slot.permits.try_take(&self.lease.inner.ringing())
    }

    /// Waits until there may be a permit: try again then.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawSemaphore, Wait};
    /// let empty = RawSemaphore::create(Family::current()?, 0, 1)?;
    /// assert_eq!(empty.wait(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait(&self, deadline: Option<Instant>) -> Wait {
        let Lease { inner, id, .. } = &self.lease;
        let permits = &self.slot.permits;
        let ready = || permits.value() > 0;
        inner.wait_at(id.index, Some(&self.spin), deadline, SLICE, ready, |limit| {
            permits.sleep(&Futex, limit)
        })
    }

    /// Where an event loop waits for it: see [`Doorbell`](crate::Doorbell).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawSemaphore};
    /// RawSemaphore::create(Family::current()?, 1, 1)?.spot().announce();
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn spot(&self) -> Spot<'_> {
        Spot::of(self.lease.inner, self.slot.permits.word())
    }

    /// Gives `n` permits.
    ///
    /// # Errors
    /// [`TooManyReleases`], and gives none, if there would be too many.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawSemaphore};
    /// let s = RawSemaphore::create(Family::current()?, 0, 5)?;
    /// s.release(5)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn release(&self, n: u32) -> Result<(), TooManyReleases> {
        if self.slot.permits.give(n, self.max, &self.lease.inner.ringing()) {
            Ok(())
        } else {
            Err(TooManyReleases)
        }
    }

    /// How many permits there are at this moment.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawSemaphore};
    /// assert_eq!(RawSemaphore::create(Family::current()?, 1, 1)?.value(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn value(&self) -> u32 {
        self.slot.permits.value()
    }

    /// How many there may be.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawSemaphore};
    /// assert_eq!(RawSemaphore::create(Family::current()?, 1, 9)?.max(), 9);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max
    }
}
