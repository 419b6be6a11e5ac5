//! Why a lock was not taken, or was, but had been abandoned.

use std::convert::Infallible;
use std::fmt;

use super::who::Abandoned;
use crate::remote::RemoteError;

pub(super) mod sealed {
    use super::Abandoned;

    pub trait Sealed {
        /// Lets go of the lock as of one that `by` has left abandoned.
        fn put_back(self, by: &Abandoned);
    }
}

/// A guard of a lock on a server.
pub trait Guard: sealed::Sealed {}

impl sealed::Sealed for Infallible {
    fn put_back(self, _by: &Abandoned) {
        match self {}
    }
}

impl Guard for Infallible {}

/// A lock was not taken, or there is something to say of it.
#[non_exhaustive]
pub enum LockError<G: Guard> {
    /// Somebody holds it, or did until the time was over.
    Held,
    /// It was taken, but its last holder's lease ran out, or it panicked with the lock.
    Abandoned(AbandonedGuard<G>),
    /// The server, or what stands between: among others [`RemoteError::LeaseLost`].
    Remote(RemoteError),
}

impl<G: Guard> LockError<G> {
    /// The guard, if there is one inside: for who doesn't mind that the lock was abandoned.
    ///
    /// # Errors
    /// The error itself, which has none.
    pub fn into_guard(self) -> Result<G, LockError<Infallible>> {
        match self {
            LockError::Abandoned(left) => Ok(left.into_guard()),
            LockError::Held => Err(LockError::Held),
            LockError::Remote(why) => Err(LockError::Remote(why)),
        }
    }
}

impl<G: Guard> From<RemoteError> for LockError<G> {
    fn from(error: RemoteError) -> Self {
        LockError::Remote(error)
    }
}

impl<G: Guard> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held => f.write_str("Held"),
            LockError::Abandoned(left) => f.debug_tuple("Abandoned").field(left).finish(),
            LockError::Remote(why) => f.debug_tuple("Remote").field(why).finish(),
        }
    }
}

impl<G: Guard> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held => f.write_str("the lock is held"),
            LockError::Abandoned(left) => left.fmt(f),
            LockError::Remote(why) => why.fmt(f),
        }
    }
}

impl<G: Guard> std::error::Error for LockError<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Remote(why) => Some(why),
            _ => None,
        }
    }
}

/// A lock that was taken, but that its last holder had left without letting go of it.
///
/// Dropped, it leaves the lock abandoned as it was, and the next one is told.
#[must_use = "dropped, it leaves the lock abandoned"]
pub struct AbandonedGuard<G: Guard> {
    guard: Option<G>,
    by: Box<Abandoned>,
}

impl<G: Guard> AbandonedGuard<G> {
    pub(super) fn new(guard: G, by: Abandoned) -> Self {
        AbandonedGuard { guard: Some(guard), by: Box::new(by) }
    }

    /// Who left it, and what became of that one.
    #[must_use]
    pub fn holder(&self) -> &Abandoned {
        &self.by
    }

    /// The guard: what it protects has been seen to, or needs nothing.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn into_guard(mut self) -> G {
        self.guard.take().expect("it is only taken here, by value")
    }
}

impl<G: Guard> Drop for AbandonedGuard<G> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.put_back(&self.by);
        }
    }
}

impl<G: Guard> fmt::Debug for AbandonedGuard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbandonedGuard").field("by", &self.by).finish_non_exhaustive()
    }
}

impl<G: Guard> fmt::Display for AbandonedGuard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lock's last holder did not let go of it: {}", self.by)
    }
}

/// A lock was not released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Nobody holds it: it is free, or its last holder's lease ran out and the next one will be told.
    #[error("the lock is not held")]
    NotHeld,
    /// It is reentrant, and this thread does not hold it.
    #[error("the lock is reentrant and not this thread's")]
    NotOwner,
    /// The server, or what stands between: among others [`RemoteError::LeaseLost`].
    #[error(transparent)]
    Remote(#[from] RemoteError),
}
