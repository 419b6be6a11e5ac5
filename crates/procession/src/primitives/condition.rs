//! A condition.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Guard, LockError};
use super::primitive;
use crate::arena::family::Family;
use crate::channel::message::Patience;
use crate::error::{ArenaError, HandleError};
use crate::sync::RawCondition;

/// A guard that one can wait with: its lock can be let go of, and taken again.
pub trait Relock: Guard + Sized {
    /// The same guard, as one that borrows nothing.
    type Owned: Guard;

    /// Lets go of the lock, waits, and takes it again. If it can't let go, it has not waited.
    fn let_go_while(self, wait: impl FnOnce()) -> Result<Self, LockError<Self::Owned>>;
}

/// A guard that one can wait with: [`LockGuard`](super::LockGuard), [`RLockGuard`](super::RLockGuard),
/// [`MutexGuard`](super::MutexGuard).
pub trait Waitable: Relock {}

/// Where those wait who have a lock, and need something to change that others change under it.
///
/// A lock of any kind of this crate, and not always the same one; a Python process has the same as the half of
/// `procession.Condition()` that is no lock. Exactly as many are woken as are notified, those first who
/// have waited longest. If one that was notified is killed, another is notified in its place.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use procession::{Condition, Mutex};
/// let (jobs, changed) = (Mutex::new(&Vec::<u32>::new())?, Condition::new()?);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         jobs.lock().unwrap().push(7);
///         changed.notify_one();
///     });
///     let mut guard = changed.wait_while(jobs.lock()?, |jobs| jobs.is_empty())?;
///     assert_eq!(guard.pop(), Some(7));
///     Ok(())
/// })
/// # }
/// ```
pub struct Condition {
    core: Arc<RawCondition>,
}

primitive!(Condition, "a condition", |it| it.core);

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Condition {
    /// A new one in this process's family.
    ///
    /// # Errors
    /// [`HandleError::Family`] if there can be no family, [`HandleError::Arena`] if there is no memory.
    pub fn new() -> Result<Condition, HandleError> {
        Ok(Condition::new_in(Family::current()?)?)
    }

    /// The same in a family.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no memory.
    pub fn new_in(family: Family) -> Result<Condition, ArenaError> {
        Ok(RawCondition::create(family)?.into())
    }

    /// Opens the condition that a handle names.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn from_handle(handle: &[u8]) -> Result<Condition, HandleError> {
        Ok(RawCondition::from_handle(handle)?.into())
    }

    /// The list of waiters beneath.
    #[must_use]
    pub fn raw(&self) -> &RawCondition {
        &self.core
    }

    /// Lets go of the lock (a reentrant one however often the thread has it), waits for a notification,
    /// and takes the lock again.
    ///
    /// # Errors
    /// Of taking the lock again: [`LockError::Abandoned`], with the guard, [`LockError::Decode`],
    /// [`LockError::Arena`]; the last two without the lock. [`LockError::Unsaved`] if a mutex's value could
    /// not be written before: the caller has the lock still, and has not waited.
    pub fn wait<G: Waitable>(&self, guard: G) -> Result<G, LockError<G::Owned>> {
        self.wait_with(guard, Patience::Endless).map(|(guard, _)| guard)
    }

    /// The same, at most so long; and whether there was a notification. Taking the lock again is waited
    /// for however long it takes.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use procession::{Condition, Lock};
    /// let (lock, condition) = (Lock::new()?, Condition::new()?);
    /// let moment = std::time::Duration::from_millis(1);
    /// let (guard, notified) = condition.wait_timeout(lock.acquire()?, moment)?;
    /// assert!(!notified && lock.is_held());
    /// # Ok(()) }
    /// ```
    pub fn wait_timeout<G: Waitable>(
        &self,
        guard: G,
        timeout: Duration,
    ) -> Result<(G, bool), LockError<G::Owned>> {
        self.wait_with(guard, Patience::of(timeout))
    }

    /// Waits as long as `condition` is true.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    pub fn wait_while<G: Waitable>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<G, LockError<G::Owned>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same, at most so long; and whether the condition has become false.
    ///
    /// # Errors
    /// As [`Condition::wait`].
    pub fn wait_timeout_while<G: Waitable>(
        &self,
        mut guard: G,
        timeout: Duration,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<(G, bool), LockError<G::Owned>> {
        let patience = Patience::of(timeout);
        while condition(&mut guard) {
            let (again, notified) = self.wait_with(guard, patience)?;
            guard = again;
            if !notified {
                let is_false = !condition(&mut guard);
                return Ok((guard, is_false));
            }
        }
        Ok((guard, true))
    }

    fn wait_with<G: Waitable>(
        &self,
        guard: G,
        patience: Patience,
    ) -> Result<(G, bool), LockError<G::Owned>> {
        let (waiter, mut notified) = (self.core.enlist()?, false);
        let guard = guard.let_go_while(|| {
            while !waiter.is_notified() && patience.wait(|deadline| waiter.wait(deadline)) {}
            notified = waiter.leave();
        })?;
        Ok((guard, notified))
    }

    /// Notifies the one who has waited longest. Whether there was one.
    #[allow(clippy::must_use_candidate, reason = "how many is seldom of interest")]
    pub fn notify_one(&self) -> bool {
        self.notify(1) == 1
    }

    /// Notifies all who wait. How many there were.
    #[allow(clippy::must_use_candidate, reason = "how many is seldom of interest")]
    pub fn notify_all(&self) -> u32 {
        self.notify(u32::MAX)
    }

    /// Notifies the `n` who have waited longest. How many there were.
    #[allow(clippy::must_use_candidate, reason = "how many is seldom of interest")]
    pub fn notify(&self, n: u32) -> u32 {
        let notified: Result<u32, ArenaError> = self.core.notify(n);
        notified.unwrap_or(0) // there is no error of it now
    }

    /// How many wait and are not notified.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.core.waiting()
    }
}

impl From<RawCondition> for Condition {
    fn from(raw: RawCondition) -> Condition {
        Condition { core: Arc::new(raw) }
    }
}
