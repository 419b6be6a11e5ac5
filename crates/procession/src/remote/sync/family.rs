//! Locks and their kin by their names.

use super::{Barrier, Condition, Event, Lock, RLock, Semaphore};
use crate::remote::{Family, RemoteError};

impl Family {
    /// A lock.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`], and those of the connection. So everywhere below.
    pub fn lock(&self, name: &str) -> Result<Lock, RemoteError> {
        Lock::named(self.server(), name)
    }

    /// A reentrant lock.
    ///
    /// # Errors
    /// As [`Family::lock`].
    pub fn rlock(&self, name: &str) -> Result<RLock, RemoteError> {
        RLock::named(self.server(), name)
    }

    /// A semaphore, with so many permits if it is new.
    ///
    /// # Errors
    /// As [`Family::lock`].
    pub fn semaphore(&self, name: &str, initial: u32) -> Result<Semaphore, RemoteError> {
        Semaphore::named(self.server(), name, initial)
    }

    /// A semaphore that never has more than so many permits; one that is there already must have as many.
    ///
    /// # Errors
    /// As [`Family::lock`]; [`RemoteError::Differs`] if it has another number.
    pub fn bounded_semaphore(&self, name: &str, permits: u32) -> Result<Semaphore, RemoteError> {
        Semaphore::named_bounded(self.server(), name, Some(permits))
    }

    /// An event.
    ///
    /// # Errors
    /// As [`Family::lock`].
    pub fn event(&self, name: &str) -> Result<Event, RemoteError> {
        Event::named(self.server(), name)
    }

    /// A condition, and the reentrant lock that belongs to it.
    ///
    /// # Errors
    /// As [`Family::lock`].
    pub fn condition(&self, name: &str) -> Result<(Condition, RLock), RemoteError> {
        Condition::named_with_lock(self.server(), name)
    }

    /// A barrier for so many; one that is there already must be for as many.
    ///
    /// # Errors
    /// As [`Family::lock`]; [`RemoteError::Differs`] if it is for another number.
    ///
    /// # Panics
    /// If there are no parties.
    pub fn barrier(&self, name: &str, parties: u32) -> Result<Barrier, RemoteError> {
        Barrier::named(self.server(), name, parties)
    }
}
