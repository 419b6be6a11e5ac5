//! Core errors → Python exceptions: the one table.
//!
//! | core | Python |
//! |---|---|
//! | `ArenaError::Full` | `MemoryError` |
//! | `ArenaError::Corrupt` | `CorruptArenaError` |
//! | `FamilyError::Refused` | `OSError` |
//! | `FamilyError::Layout` | `LayoutError` |
//! | the others of `ArenaError`, `FamilyError` and `HandleError` | `RuntimeError` |
//! | `TooManyDone` | `ValueError` |
//! | a queue that is full, empty, closed | `queue.Full`, `queue.Empty`, `ValueError` |

use procession::{ArenaError, FamilyError, HandleError, TooManyDone};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

pyo3::create_exception!(
    procession,
    CorruptArenaError,
    PyRuntimeError,
    "Shared memory holds what no Procession wrote there."
);
pyo3::create_exception!(
    procession,
    LayoutError,
    PyOSError,
    "The arena was made by a version of Procession whose memory layout is another one."
);

/// Turns a core error into the exception that Python's users expect for it.
pub(crate) trait Raise {
    /// The exception, not yet raised.
    fn raise(self) -> PyErr;
}

impl Raise for ArenaError {
    #[cold]
    fn raise(self) -> PyErr {
        let text = self.to_string();
        match self {
            ArenaError::Full { .. } => PyMemoryError::new_err(text),
            ArenaError::Corrupt(_) => CorruptArenaError::new_err(text),
            _ => PyRuntimeError::new_err(text),
        }
    }
}

impl Raise for FamilyError {
    #[cold]
    fn raise(self) -> PyErr {
        let text = self.to_string();
        match self {
            FamilyError::Layout(_) => LayoutError::new_err(text),
            FamilyError::Refused { source, .. } => match source.raw_os_error() {
                Some(errno) => PyOSError::new_err((errno, text)),
                None => PyOSError::new_err(text),
            },
            _ => PyRuntimeError::new_err(text),
        }
    }
}

impl Raise for HandleError {
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            HandleError::Family(error) => error.raise(),
            HandleError::Arena(error) => error.raise(),
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }
}

impl Raise for TooManyDone {
    #[cold]
    fn raise(self) -> PyErr {
        PyValueError::new_err("task_done() called too many times")
    }
}

fn from_queue_module(
    py: Python<'_>,
    cache: &PyOnceLock<Py<PyType>>,
    name: &str,
    message: Option<String>,
) -> PyErr {
    match cache.import(py, "queue", name) {
        Ok(kind) => match message {
            Some(text) => PyErr::from_type(kind.clone(), text),
            None => PyErr::from_type(kind.clone(), ()),
        },
        Err(error) => error,
    }
}

/// `queue.Full`.
#[cold]
pub(crate) fn full(py: Python<'_>, message: Option<String>) -> PyErr {
    static FULL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    from_queue_module(py, &FULL, "Full", message)
}

/// `queue.Empty`.
#[cold]
pub(crate) fn empty(py: Python<'_>) -> PyErr {
    static EMPTY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    from_queue_module(py, &EMPTY, "Empty", None)
}

/// What the standard library says about a queue that this process has closed.
#[cold]
pub(crate) fn closed(queue: &Bound<'_, PyAny>) -> PyErr {
    match queue.repr() {
        Ok(name) => PyValueError::new_err(format!("Queue {name} is closed")),
        Err(error) => error,
    }
}
