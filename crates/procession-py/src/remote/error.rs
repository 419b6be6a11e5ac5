//! What can go wrong between here and a server, as Python's exceptions.
//!
//! | core | Python |
//! |---|---|
//! | `RemoteError::Address`, `RemoteError::TooLarge` | `ValueError` |
//! | `RemoteError::Unreachable` | `ServerUnreachableError` |
//! | `RemoteError::OutcomeUnknown` | `OutcomeUnknownError` |
//! | `RemoteError::LeaseLost` | `LeaseLost` |
//! | `RemoteError::WrongKind`, `RemoteError::Differs` | `TypeError`, `ValueError` |
//! | `RemoteError::Server`: out of memory, not allowed, anything else | `MemoryError`, `PermissionError`, `OSError` |
//! | `RemoteError::Corrupt` | `CorruptArenaError` |
//! | `RemoteError::Interrupted`, by a `RemoteStop` | `RemoteStopped` |
//! | the others | `RuntimeError` |

use procession::remote::RemoteError;
use pyo3::exceptions::{
    PyConnectionError, PyMemoryError, PyOSError, PyPermissionError, PyRuntimeError, PyTypeError,
    PyValueError,
};
use pyo3::prelude::*;

use super::RemoteStopped;
use crate::error::{CorruptArenaError, Raise};

pyo3::create_exception!(
    procession,
    ServerUnreachableError,
    PyConnectionError,
    "The server was not reached, or did not answer, for as long as its address says (timeout=)."
);
pyo3::create_exception!(
    procession,
    OutcomeUnknownError,
    ServerUnreachableError,
    "The server was lost in the middle of an operation, which may have been done or not."
);
pyo3::create_exception!(
    procession,
    LeaseLost,
    PyRuntimeError,
    "What this process held on a server is not its own any more: it did not renew its lease in time, and others may have it now."
);

/// What the server's own words, or the client library's for them, have in them when it wants a name or password, or
/// another one.
const REFUSALS: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "AuthenticationFailed"];

impl Raise for RemoteError {
    #[cold]
    fn raise(self) -> PyErr {
        let text = self.to_string();
        match self {
            RemoteError::Address(_)
            | RemoteError::Differs { .. }
            | RemoteError::TooLarge { .. } => PyValueError::new_err(text),
            RemoteError::Unreachable { .. } => ServerUnreachableError::new_err(text),
            RemoteError::OutcomeUnknown { .. } => OutcomeUnknownError::new_err(text),
            RemoteError::LeaseLost { .. } => LeaseLost::new_err(text),
            RemoteError::WrongKind { .. } => PyTypeError::new_err(text),
            RemoteError::Corrupt(_) => CorruptArenaError::new_err(text),
            RemoteError::Server { why, .. } if why.contains("OOM") => PyMemoryError::new_err(text),
            RemoteError::Server { why, .. } if REFUSALS.iter().any(|word| why.contains(word)) => {
                PyPermissionError::new_err(text)
            }
            RemoteError::Server { .. } => PyOSError::new_err(text),
            // A signal's handler has raised what its caller raises instead.
            RemoteError::Interrupted => RemoteStopped::new_err(()),
            _ => PyRuntimeError::new_err(text),
        }
    }
}
