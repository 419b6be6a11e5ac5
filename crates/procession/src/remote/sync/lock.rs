//! A plain lock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Relock;
use super::error::sealed::Sealed;
use super::error::{AbandonedGuard, Guard, LockError, ReleaseError};
use super::raw::{Acquired, RawLock, State};
use super::who::Abandoned;
use crate::remote::{Patience, RemoteError, Server};
use crate::sys::thread;

/// A lock between processes on any number of machines. There is no order among those who wait.
#[derive(Clone)]
pub struct Lock {
    raw: Arc<RawLock>,
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("key", &self.raw.key()).finish_non_exhaustive()
    }
}

impl Lock {
    /// The lock of that name, which is made if there is none.
    pub fn named(server: &Server, name: &str) -> Result<Lock, RemoteError> {
        Ok(Lock { raw: Arc::new(RawLock::named(server, name, false)?) })
    }

    /// A new lock without a name.
    pub fn anonymous(server: &Server) -> Result<Lock, RemoteError> {
        Ok(Lock { raw: Arc::new(RawLock::anonymous(server, false)?) })
    }

    /// The lock with that key.
    pub fn attach(server: &Server, key: &str) -> Result<Lock, RemoteError> {
        Ok(Lock { raw: Arc::new(RawLock::attach(server, key, false)?) })
    }

    /// The lock without guards beneath.
    #[must_use]
    pub fn raw(&self) -> &RawLock {
        &self.raw
    }

    /// Takes the lock; waits until it can be had.
    ///
    /// # Errors
    /// [`LockError::Abandoned`], with the guard; [`LockError::Remote`].
    pub fn acquire(&self) -> Result<LockGuard, LockError<LockGuard>> {
        acquire(&self.raw, &Patience::forever())
    }

    /// Takes the lock, if it can be had at once.
    ///
    /// # Errors
    /// As [`Lock::acquire`], and [`LockError::Held`].
    pub fn try_acquire(&self) -> Result<LockGuard, LockError<LockGuard>> {
        acquire(&self.raw, &Patience::none())
    }

    /// Takes the lock; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Lock::acquire`], and [`LockError::Held`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<LockGuard, LockError<LockGuard>> {
        acquire(&self.raw, &Patience::of(timeout))
    }

    /// Releases the lock, whoever has it, if his lease goes on.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.raw.release(&Patience::forever()).map(drop)
    }

    /// Who holds it, and whether that one lives; `None` if nobody does.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn state(&self) -> Result<Option<State>, RemoteError> {
        self.raw.state(&Patience::forever())
    }
}

fn acquire(raw: &Arc<RawLock>, patience: &Patience<'_>) -> Result<LockGuard, LockError<LockGuard>> {
    taken(raw, raw.acquire(patience)?)
}

/// The guard of a lock that was taken just now, or not.
pub(super) fn taken<G: Relock>(
    raw: &Arc<RawLock>,
    acquired: Option<Acquired>,
) -> Result<G, LockError<G>> {
    match acquired {
        None => Err(LockError::Held),
        Some(Acquired::Clean) => Ok(G::begin(raw)),
        Some(Acquired::Abandoned(by)) => {
            Err(LockError::Abandoned(AbandonedGuard::new(G::begin(raw), by)))
        }
    }
}

/// A hold, as a guard has it.
#[derive(Debug)]
pub(super) struct Held {
    /// Until it is let go of.
    raw: Option<Arc<RawLock>>,
    /// Whose it is. The guard may be another thread's by now.
    thread: u64,
    token: u64,
    process: u32,
    panicking: bool,
}

impl Held {
    /// Of a lock that this thread has just taken.
    pub(super) fn new(raw: &Arc<RawLock>) -> Held {
        let thread = thread::token();
        Held {
            thread,
            token: raw.token_of(thread).unwrap_or(0),
            raw: Some(Arc::clone(raw)),
            process: std::process::id(),
            panicking: std::thread::panicking(),
        }
    }

    pub(super) fn token(&self) -> u64 {
        match &self.raw {
            // Nobody else releases it, and its hold becomes another while it is waited for a condition.
            Some(raw) if raw.is_reentrant() => raw.token_of(self.thread).unwrap_or(self.token),
            _ => self.token,
        }
    }

    /// The hold stays.
    pub(super) fn leak(&mut self) {
        self.raw = None;
    }

    /// The lock, which the caller lets go of now. `None` in a fork child, and if somebody else has released it for this
    /// thread, which has taken it anew.
    pub(super) fn end(&mut self) -> Option<(Arc<RawLock>, u64)> {
        let token = self.token();
        let raw = self.raw.take()?;
        let is_this =
            self.process == std::process::id() && raw.token_of(self.thread) == Some(token);
        is_this.then_some((raw, self.thread))
    }

    pub(super) fn check(&self) -> Result<(), RemoteError> {
        let Some(raw) = &self.raw else { return Ok(()) };
        match raw.check_of(self.thread, &Patience::forever()) {
            Err(ReleaseError::Remote(why)) => Err(why),
            Err(_) => Err(raw.lost()),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn release(&mut self) -> Result<(), RemoteError> {
        let Some((raw, thread)) = self.end() else { return Ok(()) };
        match raw.release_of(thread, false, true, &Patience::forever()) {
            Err(ReleaseError::Remote(why)) => Err(why),
            // Somebody else has released it: that is no matter of a lease.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn put_back(&mut self, by: &Abandoned) {
        if let Some((raw, thread)) = self.end() {
            let _ = raw.abandon(thread, by, &Patience::forever());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.put_back(&Abandoned::here());
        } else {
            let _ = self.release();
        }
    }
}

/// That a [`Lock`] is held: released when it is dropped, by whichever thread.
///
/// Dropping can't say that the lease was lost: who must know calls [`release`](LockGuard::release), or
/// [`check`](LockGuard::check) before what matters, or gives the [token](LockGuard::token) to what the lock protects.
#[must_use = "the lock is released when it is dropped"]
#[derive(Debug)]
pub struct LockGuard(Held);

impl LockGuard {
    /// The number of this hold, greater than that of every one before.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.token()
    }

    /// Asks the server whether the lock is held still.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if not.
    pub fn check(&self) -> Result<(), RemoteError> {
        self.0.check()
    }

    /// Releases it.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if it was lost before.
    pub fn release(mut self) -> Result<(), RemoteError> {
        self.0.release()
    }

    /// Leaves the lock held: somebody will [release](Lock::release) it.
    pub fn leak(mut self) {
        self.0.leak();
    }
}

impl Sealed for LockGuard {
    fn put_back(mut self, by: &Abandoned) {
        self.0.put_back(by);
    }
}

impl Guard for LockGuard {}

impl Relock for LockGuard {
    fn end(mut self) -> Option<(Arc<RawLock>, u64)> {
        self.0.end()
    }

    fn begin(raw: &Arc<RawLock>) -> LockGuard {
        LockGuard(Held::new(raw))
    }
}

impl super::Waitable for LockGuard {}
