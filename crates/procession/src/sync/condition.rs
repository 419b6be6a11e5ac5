//! A condition.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{common, slot_of};
use crate::arena::estate::owner;
use crate::arena::family::Family;
use crate::arena::layout::sync::ConditionSlot;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::ArenaError;
use crate::lock::Serial;
use crate::ring::fifo::Limits;
use crate::wait::{Futex, SLICE, Spin, Wait};
use crate::words::condition::{Condition, Place};

/// A list of those who wait to be notified: the half of a condition variable that is no lock.
///
/// To wait under a lock: [`enlist`](RawCondition::enlist), release the lock, [wait](Waiter::wait)
/// until [notified](Waiter::is_notified), [leave](Waiter::leave), take the lock again.
///
/// Exactly as many are woken as are notified, those first who have waited longest. A list has room for
/// 102 waiters; those beyond are woken by every notification. If a waiter is killed that had been
/// notified, the notification goes to another one within half a second, and may, if the process that
/// sees to that is killed as well, reach two.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawCondition};
/// let changed = RawCondition::create(Family::current()?)?;
/// let waiter = changed.enlist()?;
/// assert_eq!(changed.notify(5)?, 1);
/// assert!(waiter.leave());
/// # Ok(()) }
/// ```
pub struct RawCondition {
    lease: Lease,
    slot: &'static ConditionSlot,
    spin: Arc<Spin>,
}

common!(RawCondition, Kind::Condition, "RawCondition::create(Family::current()?)?");

impl fmt::Debug for RawCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCondition")
            .field("index", &self.lease.id.index)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl RawCondition {
    /// A new condition, for which nobody waits.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition};
    /// assert_eq!(RawCondition::create(Family::current()?)?.waiting(), 0);
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family) -> Result<RawCondition, ArenaError> {
        let limits = Limits { messages: 0, bytes: 0 };
        RawCondition::over(Lease::create(family, Kind::Condition, limits)?)
    }

    fn over(lease: Lease) -> Result<RawCondition, ArenaError> {
        let slot = slot_of(&lease)?;
        Ok(RawCondition { lease, slot, spin: Arc::new(Spin::new()) })
    }

    /// Puts the caller on the list: from now on it can be notified.
    ///
    /// # Errors
    /// [`ArenaError::Detached`] if this process could not join the family again after a fork.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition};
    /// let changed = RawCondition::create(Family::current()?)?;
    /// let waiter = changed.enlist()?;
    /// assert_eq!(changed.waiting(), 1);
    /// # Ok(()) }
    /// ```
    pub fn enlist(&self) -> Result<Waiter, ArenaError> {
        let me = self.lease.inner.me()?;
        let (lease, spin) = (self.lease.clone(), self.spin.clone());
        let condition = self.slot.condition();
        let place = condition.enlist(owner(me));
        Ok(Waiter { lease, condition, spin, me, place: Some(place) })
    }

    /// Notifies the `n` who have waited longest, of those who waited when it was called; how many it
    /// were. Those for whom the list has no room are notified beside and not counted.
    ///
    /// # Errors
    /// None now.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition};
    /// assert_eq!(RawCondition::create(Family::current()?)?.notify(1)?, 0);
    /// # Ok(()) }
    /// ```
    pub fn notify(&self, n: u32) -> Result<u32, ArenaError> {
        Ok(self.slot.condition().notify(n, &Futex))
    }

    /// How many are on the list and not notified.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition};
    /// assert_eq!(RawCondition::create(Family::current()?)?.waiting(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.slot.condition().waiting()
    }
}

/// One who waits for a [`RawCondition`], until it leaves. Dropped before that, it passes on what it
/// was notified of.
pub struct Waiter {
    lease: Lease,
    condition: Condition<'static>,
    spin: Arc<Spin>,
    me: Serial,
    place: Option<Place<'static>>,
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("index", &self.lease.id.index)
            .field("is_notified", &self.is_notified())
            .finish_non_exhaustive()
    }
}

impl Waiter {
    /// Waits until it may be notified.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition, Wait};
    /// let waiter = RawCondition::create(Family::current()?)?.enlist()?;
    /// assert_eq!(waiter.wait(Some(std::time::Instant::now())), Wait::TimedOut);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait(&self, deadline: Option<Instant>) -> Wait {
        let (inner, index) = (self.lease.inner, self.lease.id.index);
        let Some(place) = self.place else {
            return Wait::Again;
        };
        let ready = || self.condition.is_notified(place);
        inner.wait_at(index, Some(&self.spin), deadline, SLICE, ready, |limit| {
            self.condition.sleep(&Futex, limit, place)
        })
    }

    /// Whether it was notified.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition};
    /// assert!(!RawCondition::create(Family::current()?)?.enlist()?.is_notified());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_notified(&self) -> bool {
        self.place.is_some_and(|place| self.condition.is_notified(place))
    }

    /// Leaves the list. Whether it had been notified: if not, nobody will think that it was.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawCondition};
    /// let changed = RawCondition::create(Family::current()?)?;
    /// assert!(!changed.enlist()?.leave());
    /// assert_eq!(changed.notify(1)?, 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn leave(mut self) -> bool {
        self.take_leave()
    }

    fn take_leave(&mut self) -> bool {
        // In a fork child, the entry is the parent's.
        let place = self.place.take().filter(|_| self.lease.inner.me_or_zero() == self.me);
        place.is_some_and(|place| self.condition.leave(place))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let in_list = matches!(self.place, Some(Place::Entry(..)));
        if self.take_leave() && in_list {
            self.condition.notify(1, &Futex);
        }
    }
}
