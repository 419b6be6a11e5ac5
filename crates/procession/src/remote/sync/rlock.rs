//! A reentrant lock.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Relock;
use super::error::sealed::Sealed;
use super::error::{Guard, LockError};
use super::lock::{Held, taken};
use super::raw::{RawLock, State};
use super::who::Abandoned;
use crate::remote::{Patience, RemoteError, Server};

/// A lock between processes on any number of machines, which the thread that has it may take again.
#[derive(Clone)]
pub struct RLock {
    raw: Arc<RawLock>,
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock").field("raw", &self.raw).finish()
    }
}

impl RLock {
    /// The lock of that name, which is made if there is none.
    ///
    /// # Errors
    /// [`RemoteError::WrongKind`], and those of the connection.
    pub fn named(server: &Server, name: &str) -> Result<RLock, RemoteError> {
        Ok(RLock { raw: Arc::new(RawLock::named(server, name, true)?) })
    }

    /// A new lock without a name.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn anonymous(server: &Server) -> Result<RLock, RemoteError> {
        Ok(RLock { raw: Arc::new(RawLock::anonymous(server, true)?) })
    }

    /// The lock with that [key](RawLock::key).
    ///
    /// # Errors
    /// [`RemoteError::Gone`], and those of the connection.
    pub fn attach(server: &Server, key: &str) -> Result<RLock, RemoteError> {
        Ok(RLock { raw: Arc::new(RawLock::attach(server, key, true)?) })
    }

    /// The lock without guards beneath.
    #[must_use]
    pub fn raw(&self) -> &RawLock {
        &self.raw
    }

    /// Takes the lock; waits until it can be had.
    ///
    /// # Errors
    /// [`LockError::Abandoned`], with the guard; [`LockError::Remote`], and with
    /// [`RemoteError::LeaseLost`] if this thread had it and has lost it.
    pub fn acquire(&self) -> Result<RLockGuard, LockError<RLockGuard>> {
        taken(&self.raw, self.raw.acquire(&Patience::forever())?)
    }

    /// Takes the lock, if it can be had at once.
    ///
    /// # Errors
    /// As [`RLock::acquire`], and [`LockError::Held`].
    pub fn try_acquire(&self) -> Result<RLockGuard, LockError<RLockGuard>> {
        taken(&self.raw, self.raw.acquire(&Patience::none())?)
    }

    /// Takes the lock; waits at most `timeout`.
    ///
    /// # Errors
    /// As [`RLock::acquire`], and [`LockError::Held`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<RLockGuard, LockError<RLockGuard>> {
        taken(&self.raw, self.raw.acquire(&Patience::of(timeout))?)
    }

    /// How often this thread has taken it, so far as it knows.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.raw.depth()
    }

    /// Whether this thread holds it, so far as it knows.
    #[must_use]
    pub fn is_mine(&self) -> bool {
        self.raw.is_mine()
    }

    /// Who holds it, and whether that one lives; `None` if nobody does.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn state(&self) -> Result<Option<State>, RemoteError> {
        self.raw.state(&Patience::forever())
    }
}

/// That this thread holds an [`RLock`], once or once more. It stays with the thread. See
/// [`LockGuard`](super::LockGuard) for what dropping it can't say.
#[must_use = "the lock is released when it is dropped"]
#[derive(Debug)]
pub struct RLockGuard {
    held: Held,
    not_send: PhantomData<*const ()>,
}

impl RLockGuard {
    /// The number of this thread's hold, greater than that of every one before.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.held.token()
    }

    /// Asks the server whether the lock is held still.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if not.
    pub fn check(&self) -> Result<(), RemoteError> {
        self.held.check()
    }

    /// Releases it, once.
    ///
    /// # Errors
    /// [`RemoteError::LeaseLost`] if it was lost before.
    pub fn release(mut self) -> Result<(), RemoteError> {
        self.held.release()
    }
}

impl Sealed for RLockGuard {
    fn put_back(mut self, by: &Abandoned) {
        self.held.put_back(by);
    }
}

impl Guard for RLockGuard {}

impl Relock for RLockGuard {
    fn end(mut self) -> Option<(Arc<RawLock>, u64)> {
        self.held.end()
    }

    fn begin(raw: &Arc<RawLock>) -> RLockGuard {
        RLockGuard { held: Held::new(raw), not_send: PhantomData }
    }
}

impl super::Waitable for RLockGuard {}
