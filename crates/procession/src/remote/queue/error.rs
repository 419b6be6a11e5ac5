//! Why nothing was put or taken.

use std::fmt;

use crate::remote::RemoteError;

/// A `put` did not happen; the value comes back.
///
/// Where it is [`RemoteError::OutcomeUnknown`] it may have happened nevertheless.
#[non_exhaustive]
pub enum PutError<T> {
    /// There was no room in time.
    Full(T),
    /// The queue was shut down.
    Closed(T),
    /// The value could not be serialised.
    Encode(T, String),
    /// The value has no place in the order of what is in the queue: a text among numbers, say.
    Unordered(T, String),
    /// The server was not reached, or refused.
    Remote(T, RemoteError),
}

impl<T> PutError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(value)
            | PutError::Closed(value)
            | PutError::Encode(value, _)
            | PutError::Unordered(value, _)
            | PutError::Remote(value, _) => value,
        }
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }

    /// The same with another value.
    pub fn map<V>(self, make: impl FnOnce(T) -> V) -> PutError<V> {
        match self {
            PutError::Full(value) => PutError::Full(make(value)),
            PutError::Closed(value) => PutError::Closed(make(value)),
            PutError::Encode(value, why) => PutError::Encode(make(value), why),
            PutError::Unordered(value, why) => PutError::Unordered(make(value), why),
            PutError::Remote(value, error) => PutError::Remote(make(value), error),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("Full(..)"),
            PutError::Closed(_) => f.write_str("Closed(..)"),
            PutError::Encode(_, why) => write!(f, "Encode(.., {why:?})"),
            PutError::Unordered(_, why) => write!(f, "Unordered(.., {why:?})"),
            PutError::Remote(_, error) => write!(f, "Remote(.., {error:?})"),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("there is no room"),
            PutError::Closed(_) => f.write_str("closed: nobody will take the value"),
            PutError::Encode(_, why) => write!(f, "the value could not be serialised: {why}"),
            PutError::Unordered(_, why) => write!(f, "no place in the queue's order: {why}"),
            PutError::Remote(_, error) => error.fmt(f),
        }
    }
}

impl<T> std::error::Error for PutError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PutError::Remote(_, error) => error.source(),
            _ => None,
        }
    }
}

/// A `get` brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// Nothing was there, or came in time.
    #[error("there is nothing to take")]
    Empty,
    /// The queue was shut down, and is empty.
    #[error("closed, and nothing is left to take")]
    Closed,
    /// The message is not what was expected; it was taken.
    #[error("the message could not be decoded: {0}")]
    Decode(String),
    /// The server was not reached, or refused.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}
