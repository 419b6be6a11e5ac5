//! An event.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::primitive;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError};
use crate::sync::RawEvent;

/// A flag that processes and threads wait for. A Python process has the same as `procession.Event()`.
///
/// Who waits when it is set goes on, also if it is cleared at once. It does not mind deaths.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::Event;
/// let ready = Event::new()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.wait());
///     ready.set();
/// });
/// # Ok(()) }
/// ```
pub struct Event {
    core: Arc<RawEvent>,
}

primitive!(Event, "an event", |it| it.core);

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

impl Event {
    /// A new one in this process's family, not set.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn new() -> Result<Event, HandleError> {
        Ok(Event::new_in(Family::current()?)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn new_in(family: Family) -> Result<Event, ArenaError> {
        Ok(RawEvent::create(family)?.into())
    }

    /// Opens the event that a handle names.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<Event, HandleError> {
        Ok(RawEvent::from_handle(handle)?.into())
    }

    /// The event without blocking beneath.
    #[must_use]
    pub fn raw(&self) -> &RawEvent {
        &self.core
    }

    /// Sets it, and lets everyone go on who waits.
    pub fn set(&self) {
        self.core.set();
    }

    /// Unsets it.
    pub fn clear(&self) {
        self.core.clear();
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.core.is_set()
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        self.wait_with(Patience::Endless);
    }

    /// Waits until it is set, at most `timeout`. Whether it was.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::Event;
    /// assert!(!Event::new()?.wait_timeout(std::time::Duration::from_millis(1)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_with(Patience::of(timeout))
    }

    fn wait_with(&self, patience: Patience) -> bool {
        let since = self.core.epoch();
        let passed = || self.core.is_set() || self.core.epoch() != since;
        while !passed() {
            if !patience.wait(|deadline| self.core.wait(since, deadline)) {
                return passed();
            }
        }
        true
    }
}

impl From<RawEvent> for Event {
    fn from(raw: RawEvent) -> Event {
        Event { core: Arc::new(raw) }
    }
}
