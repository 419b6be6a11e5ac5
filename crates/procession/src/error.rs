//! Every public error, one per operation; those that took a value give it back.

use std::fmt;

/// A family could not be made or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// The kernel, a sandbox or a limit refused a system call that shared memory needs.
    #[error("{call} was refused ({source}): {hint}")]
    Refused {
        /// The system call.
        call: &'static str,
        /// What it answered.
        source: std::io::Error,
        /// Which setting allows it.
        hint: &'static str,
    },
    /// The file is no arena, or one of another layout version.
    #[error("not an arena of this version: {0}")]
    Layout(String),
    /// This process has a family already.
    #[error("this process is already a member of another family")]
    AlreadyMember,
    /// All places for processes are taken.
    #[error("the family is full: {0} processes are attached")]
    TooManyParticipants(usize),
}

/// The arena could not do what was asked; it is whole, and the object that was used goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArenaError {
    /// No memory: the limit, the machine or the address space is used up.
    #[error("the arena is full: {requested} bytes were asked for, about {free} are free ({why})")]
    Full {
        /// Bytes that were asked for.
        requested: u64,
        /// Bytes that may still be used.
        free: u64,
        /// Which limit it was.
        why: &'static str,
    },
    /// Shared memory holds what no correct program writes.
    #[error("the arena is corrupt: {0}")]
    Corrupt(String),
    /// This process could not join the family again after a fork.
    #[error("this process is not attached to the family: {0}")]
    Detached(String),
}

/// A handle could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The bytes are no handle.
    #[error("these bytes are no handle of a Procession object")]
    Malformed,
    /// The object was destroyed: nobody held it any more.
    #[error("the object is gone: its last handle was dropped before this one was opened")]
    Gone,
    /// The descriptor is not the one that travelled with the handle.
    #[error("the descriptor is not an end of the pipe that the handle names")]
    WrongSocket,
    /// The family of the handle cannot be reached from this process.
    #[error(
        "the handle belongs to a family of which no member can be reached from this process \
         (pid {pid}: {why}); processes that share no ancestor need a named family"
    )]
    Outside {
        /// A member at the time when the handle was made.
        pid: u32,
        /// Why it could not be reached.
        why: String,
    },
    /// The family could not be joined.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// The arena refused.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// A pipe could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// There can be no family.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// There is no memory in the arena.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// There are no descriptors left, or the sandbox refuses `socketpair`.
    #[error("no pair of sockets could be made: {0}")]
    Socket(#[source] std::io::Error),
}

/// A `put` or `send` did not happen; the value comes back.
#[non_exhaustive]
pub enum PutError<T> {
    /// There was no room.
    Full(T),
    /// The queue was closed, or nobody has the connection's other end any more.
    Closed(T),
    /// There is no memory for the message, or the arena is damaged.
    Arena(T, ArenaError),
    /// The value could not be serialised.
    Encode(T, String),
}

impl<T> PutError<T> {
    /// The value that was not put.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded(1)?;
    /// q.put(1)?;
    /// assert_eq!(q.try_put(2).unwrap_err().into_inner(), 2);
    /// # Ok(()) }
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(v)
            | PutError::Closed(v)
            | PutError::Arena(v, _)
            | PutError::Encode(v, _) => v,
        }
    }

    #[cfg(all(feature = "async", feature = "bytemuck"))]
    pub(crate) fn without_value(self) -> PutError<()> {
        match self {
            PutError::Full(_) => PutError::Full(()),
            PutError::Closed(_) => PutError::Closed(()),
            PutError::Arena(_, e) => PutError::Arena((), e),
            PutError::Encode(_, e) => PutError::Encode((), e),
        }
    }

    /// Whether there was no room.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let q = procession::Queue::bounded(1)?;
    /// q.put('a')?;
    /// assert!(q.try_put('b').unwrap_err().is_full());
    /// # Ok(()) }
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("Full(..)"),
            PutError::Closed(_) => f.write_str("Closed(..)"),
            PutError::Arena(_, e) => write!(f, "Arena(.., {e:?})"),
            PutError::Encode(_, e) => write!(f, "Encode(.., {e:?})"),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("there is no room"),
            PutError::Closed(_) => f.write_str("closed: nobody will take the value"),
            PutError::Arena(_, e) => e.fmt(f),
            PutError::Encode(_, e) => write!(f, "the value could not be serialised: {e}"),
        }
    }
}

impl<T> std::error::Error for PutError<T> {}

/// A `get` or `recv` brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// Nothing was there, or came in time.
    #[error("there is nothing to take")]
    Empty,
    /// Closed, by whoever could put or send, and empty.
    #[error("closed, and nothing is left to take")]
    Closed,
    /// The message is not what was expected; it was taken.
    #[error("the message could not be decoded: {0}")]
    Decode(String),
    /// The arena is damaged, or there is no address space for the message (which stays).
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// `done` was called more often than messages were put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("done() was called more often than messages were put")]
pub struct TooManyDone;
