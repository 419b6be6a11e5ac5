//! Why nothing was put or taken.

use std::fmt;

/// The value was not put; here it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There was no room.
    Full(T),
    /// The queue was shut down.
    ShutDown(T),
}

impl<T> PutError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(value) | PutError::ShutDown(value) => value,
        }
    }

    /// Whether there may be room later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "ShutDown(..)" })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "the queue is full" } else { "the queue was shut down" })
    }
}

impl<T> std::error::Error for PutError<T> {}

/// There was nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Nothing was there, or came in time.
    #[error("the queue is empty")]
    Empty,
    /// The queue was shut down, and is empty.
    #[error("the queue was shut down")]
    ShutDown,
}

/// Every value that was put is done with already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task_done was called more often than values were put")]
pub struct TooManyDone;
