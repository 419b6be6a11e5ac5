//! An event.

use std::fmt;
use std::time::Instant;

use super::{common, slot_of};
use crate::arena::doorbell::Spot;
use crate::arena::family::Family;
use crate::arena::layout::sync::EventSlot;
use crate::arena::lease::Lease;
use crate::arena::objects::Kind;
use crate::error::ArenaError;
use crate::ring::fifo::Limits;
#[cfg(feature = "async")]
use crate::task::{Key, Source, Waiter, Way, What};
use crate::wait::{Futex, SLICE, Spin, Wait};

/// A flag that processes and threads can wait for.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Family, RawEvent};
/// let ready = RawEvent::create(Family::current()?)?;
/// let before = ready.epoch();
/// ready.set();
/// ready.clear();
/// assert!(!ready.is_set() && ready.epoch() != before); // who waited has been let through
/// # Ok(()) }
/// ```
pub struct RawEvent {
    lease: Lease,
    slot: &'static EventSlot,
    spin: Spin,
}

common!(RawEvent, Kind::Event, "RawEvent::create(Family::current()?)?");

impl fmt::Debug for RawEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEvent")
            .field("index", &self.lease.id.index)
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}

impl RawEvent {
    /// A new event, not set.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no place for it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent};
    /// assert!(!RawEvent::create(Family::current()?)?.is_set());
    /// # Ok(()) }
    /// ```
    pub fn create(family: Family) -> Result<RawEvent, ArenaError> {
        RawEvent::over(Lease::create(family, Kind::Event, Limits { messages: 0, bytes: 0 })?)
    }

    fn over(lease: Lease) -> Result<RawEvent, ArenaError> {
        let slot = slot_of(&lease)?;
        Ok(RawEvent { lease, slot, spin: Spin::new() })
    }

    /// Sets it, and lets everyone through who waits.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent};
    /// let event = RawEvent::create(Family::current()?)?;
    /// event.set();
    /// assert!(event.is_set());
    /// # Ok(()) }
    /// ```
    pub fn set(&self) {
        self.slot.words.set(&self.lease.inner.ringing());
    }

    /// Unsets it: who comes from now on waits. Who waited when it was set goes on all the same.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent};
    /// RawEvent::create(Family::current()?)?.clear();
    /// # Ok(()) }
    /// ```
    pub fn clear(&self) {
        self.slot.words.clear();
    }

    /// Whether it is set.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent};
    /// assert!(!RawEvent::create(Family::current()?)?.is_set());
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.slot.words.is_set()
    }

    /// How often it was set (not counting when it was set already), modulo 2³¹.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent};
    /// assert_eq!(RawEvent::create(Family::current()?)?.epoch(), 0);
    /// # Ok(()) }
    /// ```
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.slot.words.epoch()
    }

    /// Waits until it may be set, or has been since `epoch` was the caller's.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent, Wait};
    /// let event = RawEvent::create(Family::current()?)?;
    /// let since = event.epoch();
    /// assert_eq!(event.wait(since, Some(std::time::Instant::now())), Wait::TimedOut);
    /// event.set();
    /// event.clear();
    /// assert_eq!(event.wait(since, None), Wait::Again);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait(&self, since: u32, deadline: Option<Instant>) -> Wait {
        let Lease { inner, id, .. } = &self.lease;
        let words = &self.slot.words;
        let ready = || words.has_passed(since);
        inner.wait_at(id.index, Some(&self.spin), deadline, SLICE, ready, |limit| {
            words.sleep(&Futex, limit, since)
        })
    }

    /// Where an event loop waits for it: see [`Doorbell`](crate::Doorbell).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Family, RawEvent};
    /// RawEvent::create(Family::current()?)?.spot().announce();
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn spot(&self) -> Spot<'_> {
        Spot::of(self.lease.inner, self.slot.words.word())
    }

    /// Waits, as a future, until it is set, or was since the call.
    ///
    /// For any executor. A thread sleeps for the event meanwhile.
    ///
    /// # Errors
    /// [`ArenaError`] if there can be no such thread.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # pollster::block_on(async {
    /// # use procession::{Family, RawEvent};
    /// let event = RawEvent::create(Family::current()?)?;
    /// let other = RawEvent::from_handle(&event.handle())?;
    /// std::thread::spawn(move || other.set());
    /// event.wait_async().await?;
    /// assert!(event.is_set());
    /// # Ok(()) }) }
    /// ```
    #[cfg(feature = "async")]
    pub async fn wait_async(&self) -> Result<(), ArenaError> {
        let since = self.epoch();
        let mut waiter = Waiter::new(SetSince(self, since));
        let passed = || self.slot.words.has_passed(since).then_some(());
        std::future::poll_fn(|cx| waiter.poll(cx, passed)).await
    }
}

/// That it was set since this epoch.
#[cfg(feature = "async")]
struct SetSince<'a>(&'a RawEvent, u32);

#[cfg(feature = "async")]
impl Source for SetSince<'_> {
    fn key(&self) -> Key {
        let Lease { inner, id, .. } = &self.0.lease;
        let family = std::ptr::from_ref(*inner).addr();
        Key { family, object: id.pack(), what: What::Set(self.1) }
    }

    fn way(&self) -> Result<Way, ArenaError> {
        let (event, since) = (RawEvent::over(self.0.lease.clone())?, self.1);
        Ok(Way::Sleep(Box::new(move || {
            let _ = event.wait(since, None);
            event.slot.words.has_passed(since)
        })))
    }

    fn is_ready(&self) -> bool {
        self.0.slot.words.has_passed(self.1)
    }

    fn prepare(&self) -> Result<bool, ArenaError> {
        Ok(!self.is_ready())
    }
}
