//! Why a lock was not taken, or was, but had been abandoned.

use std::convert::Infallible;
use std::fmt;

use crate::error::ArenaError;
use crate::sync::Abandoned;

pub(super) mod sealed {
    use crate::sync::Abandoned;

    pub trait Sealed {
        /// Lets go of the lock as of one that `by` has left abandoned.
        fn put_back(self, by: &Abandoned);
    }
}

/// A guard of one of this crate's locks.
pub trait Guard: sealed::Sealed {}

/// A lock was not taken, or there is something to say of it.
#[non_exhaustive]
pub enum LockError<G: Guard> {
    /// Somebody holds it, or did until the time was over.
    Held,
    /// It was taken, but its last holder died or panicked with it.
    Abandoned(AbandonedGuard<G>),
    /// The value is not of this type: it was made by a program that thinks otherwise. The lock is not
    /// held.
    Decode(String),
    /// The change was not saved, so the lock was not let go of to [wait](super::Condition::wait): here
    /// is the guard, as it was.
    Unsaved(G, ValueError),
    /// The arena is damaged, or there is no memory.
    Arena(ArenaError),
}

impl<G: Guard> LockError<G> {
    /// The guard, if there is one inside: for who doesn't mind that the lock was abandoned.
    ///
    /// # Errors
    /// The error itself, which has none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use procession::{Lock, LockError};
    /// let lock = Lock::new()?;
    /// let guard = lock.acquire().or_else(LockError::into_guard)?;
    /// # Ok(()) }
    /// ```
    pub fn into_guard(self) -> Result<G, LockError<Infallible>> {
        match self {
            LockError::Abandoned(left) => Ok(left.into_guard()),
            LockError::Unsaved(guard, _) => Ok(guard),
            LockError::Held => Err(LockError::Held),
            LockError::Decode(why) => Err(LockError::Decode(why)),
            LockError::Arena(why) => Err(LockError::Arena(why)),
        }
    }
}

/// Of an error that has no guard.
impl sealed::Sealed for Infallible {
    fn put_back(self, _by: &Abandoned) {
        match self {}
    }
}

impl Guard for Infallible {}

impl<G: Guard> From<ArenaError> for LockError<G> {
    fn from(error: ArenaError) -> Self {
        LockError::Arena(error)
    }
}

impl<G: Guard> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held => f.write_str("Held"),
            LockError::Abandoned(left) => f.debug_tuple("Abandoned").field(left).finish(),
            LockError::Decode(why) => f.debug_tuple("Decode").field(why).finish(),
            LockError::Unsaved(_, why) => write!(f, "Unsaved(.., {why:?})"),
            LockError::Arena(why) => f.debug_tuple("Arena").field(why).finish(),
        }
    }
}

impl<G: Guard> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held => f.write_str("the lock is held"),
            LockError::Abandoned(left) => left.fmt(f),
            LockError::Decode(why) => write!(f, "the value could not be decoded: {why}"),
            LockError::Unsaved(_, why) => why.fmt(f),
            LockError::Arena(why) => why.fmt(f),
        }
    }
}

impl<G: Guard> std::error::Error for LockError<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Arena(why) => Some(why),
            _ => None,
        }
    }
}

/// A lock that was taken, but that its last holder had left without letting go of it.
///
/// Dropped, it leaves the lock abandoned as it was, and the next one is told. See
/// [the module](crate::primitives).
#[must_use = "dropped, it leaves the lock abandoned"]
pub struct AbandonedGuard<G: Guard> {
    guard: Option<G>,
    by: Abandoned,
}

impl<G: Guard> AbandonedGuard<G> {
    pub(super) fn new(guard: G, by: Abandoned) -> Self {
        AbandonedGuard { guard: Some(guard), by }
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

/// A lock's value was not read or written; it is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It could not be serialised.
    #[error("the value could not be serialised: {0}")]
    Encode(String),
    /// It is not of this type: it was made by a program that thinks otherwise.
    #[error("the value could not be decoded: {0}")]
    Decode(String),
    /// There is no memory for it, or the arena is damaged.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl<G: Guard> From<ValueError> for LockError<G> {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Arena(error) => LockError::Arena(error),
            ValueError::Decode(why) | ValueError::Encode(why) => LockError::Decode(why),
        }
    }
}
