//! What can go wrong between here and a server.

use std::time::Duration;

/// An operation on a server's object did not happen, or nobody knows whether it did.
///
/// No message says a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address can't be one.
    #[error("{0}")]
    Address(String),
    /// The server was not reached, or did not answer, for as long as there was patience. Nothing was done.
    #[error("the server at {address} can't be reached (tried for {:.1} s): {why}", waited.as_secs_f64())]
    Unreachable {
        /// The server's address, without credentials.
        address: String,
        /// For how long.
        waited: Duration,
        /// What the last attempt gave.
        why: String,
    },
    /// The operation was sent, and then the server was lost before it answered: it may have been done or not.
    #[error(
        "the server at {address} was lost in the middle of {what}, which may have been done or not: {why}"
    )]
    OutcomeUnknown {
        /// The server's address, without credentials.
        address: String,
        /// The operation.
        what: &'static str,
        /// What the last attempt gave.
        why: String,
    },
    /// What this client held is not its own any more: it did not renew its lease in time.
    #[error("the lease of {what} is over: this client did not reach the server for {:.1} s or more, and others may have it now", lease.as_secs_f64())]
    LeaseLost {
        /// What was held.
        what: String,
        /// How long a lease is.
        lease: Duration,
    },
    /// The object was removed, or its time is over because nobody had it.
    #[error(
        "the object {0} is gone: it was removed, or nobody had it for longer than its server keeps it"
    )]
    Gone(String),
    /// The name is that of something else.
    #[error("{name:?} is a {is}, and no {asked}")]
    WrongKind {
        /// The object's name.
        name: String,
        /// What it is.
        is: String,
        /// What was asked for.
        asked: &'static str,
    },
    /// The object of that name was made otherwise.
    #[error("{name:?} has {what} {found}, and not {wanted}")]
    Differs {
        /// The object's name.
        name: String,
        /// What differs.
        what: &'static str,
        /// What it is.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The server refused.
    #[error("the server at {address} refused {what}: {why}")]
    Server {
        /// The server's address, without credentials.
        address: String,
        /// The operation.
        what: &'static str,
        /// The server's own words.
        why: String,
    },
    /// It is more than the server takes at once. Nothing was done.
    #[error("the server at {address} does not take {bytes} bytes at once for {what}: {setting}")]
    TooLarge {
        /// The server's address, without credentials.
        address: String,
        /// The operation.
        what: &'static str,
        /// How many there are.
        bytes: usize,
        /// The setting of the server's that bounds them, and its value if that is known.
        setting: String,
    },
    /// The server holds what no correct client writes.
    #[error("what stands on the server is not Procession's: {0}")]
    Corrupt(String),
    /// A signal came, and the caller wants to go.
    #[error("interrupted by a signal")]
    Interrupted,
}
