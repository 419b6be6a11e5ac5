//! Core errors → Python exceptions: the one table.
//!
//! | core | Python |
//! |---|---|
//! | `ArenaError::Full` | `MemoryError` |
//! | `ArenaError::Corrupt` | `CorruptArenaError` |
//! | `FamilyError::Refused`, `PipeError::Socket` | `OSError` with its number |
//! | `FamilyError::Layout` | `LayoutError` |
//! | `FamilyError::OtherVersion` | `LayoutError` |
//! | `FamilyError::Name`, `FamilyError::Meeting` | `ValueError`, `OSError` |
//! | `NamedError::Kind`, `NamedError::Differs` | `TypeError`, `ValueError` |
//! | the others of `ArenaError`, `FamilyError`, `HandleError` and `PipeError` | `RuntimeError` |
//! | `TooManyDone`, `NotInFlight` | `ValueError` |
//! | a queue that is full, empty, closed | `queue.Full`, `queue.Empty`, `ValueError` |
//! | a pipe whose other end is gone, to send and to receive | `BrokenPipeError`, `EOFError` |
//! | a queue that was shut down, for all processes | `queue.ShutDown` |
//! | an object of a manager that was shut down | `BrokenPipeError` |
//! | a message too long for its buffer | `multiprocessing.BufferTooShort` |

use std::io;

use procession::collections::{FindError, NotInFlight, OfferError};
use procession::{ArenaError, FamilyError, HandleError, NamedError, PipeError, TooManyDone};
use pyo3::exceptions::{
    PyBaseException, PyBrokenPipeError, PyMemoryError, PyOSError, PyRuntimeError, PyTypeError,
    PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

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

/// Reports an exception that nobody can catch, as `sys.unraisablehook` has it: what `by` raised.
#[pyfunction]
pub(crate) fn write_unraisable(error: &Bound<'_, PyBaseException>, by: &Bound<'_, PyAny>) {
    PyErr::from_value(error.clone().into_any()).write_unraisable(by.py(), Some(by));
}

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
            FamilyError::Layout(_) | FamilyError::OtherVersion { .. } => LayoutError::new_err(text),
            FamilyError::Name(_) => PyValueError::new_err(text),
            FamilyError::Meeting { .. } => PyOSError::new_err(text),
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

impl Raise for NamedError {
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            NamedError::Kind { .. } => PyTypeError::new_err(self.to_string()),
            NamedError::Differs { .. } | NamedError::Encode(_) => {
                PyValueError::new_err(self.to_string())
            }
            NamedError::Handle(error) => error.raise(),
            NamedError::Arena(error) => error.raise(),
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }
}

impl Raise for NotInFlight {
    #[cold]
    fn raise(self) -> PyErr {
        PyValueError::new_err(self.to_string())
    }
}

impl Raise for PipeError {
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            PipeError::Family(error) => error.raise(),
            PipeError::Arena(error) => error.raise(),
            PipeError::Socket(error) => error.raise(),
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }
}

impl Raise for io::Error {
    /// With the system's text alone, as Python has it.
    #[cold]
    fn raise(self) -> PyErr {
        let Some(errno) = self.raw_os_error() else {
            return PyOSError::new_err(self.to_string());
        };
        let text = self.to_string();
        let plain = text.split(" (os error").next().unwrap_or(&text);
        PyOSError::new_err((errno, plain.to_owned()))
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

/// `multiprocessing.TimeoutError`.
#[cold]
pub(crate) fn timed_out(py: Python<'_>) -> PyErr {
    static TIMED_OUT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match TIMED_OUT.import(py, "multiprocessing.context", "TimeoutError") {
        Ok(kind) => PyErr::from_type(kind.clone(), ()),
        Err(error) => error,
    }
}

const EPIPE: i32 = 32;

/// Nobody has the other end any more.
#[cold]
pub(crate) fn broken_pipe() -> PyErr {
    PyBrokenPipeError::new_err((EPIPE, "Broken pipe"))
}

/// The message does not fit into the buffer that it was to be received into; here it is.
#[cold]
pub(crate) fn buffer_too_short(message: &Bound<'_, PyBytes>) -> PyErr {
    static TOO_SHORT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match TOO_SHORT.import(message.py(), "multiprocessing", "BufferTooShort") {
        Ok(kind) => PyErr::from_type(kind.clone(), message.clone().unbind()),
        Err(error) => error,
    }
}

mod own {
    pyo3::create_exception!(
        procession.queue,
        ShutDown,
        pyo3::exceptions::PyException,
        "Raised when put/get with shut-down queue."
    );
}

/// Finds the three exceptions of queues, for whoever may need them when nothing can be imported any
/// more: a destructor at the interpreter's end.
pub(crate) fn find_queue_errors(py: Python<'_>) -> PyResult<()> {
    static FOUND: PyOnceLock<()> = PyOnceLock::new();
    FOUND.get_or_try_init(py, || {
        drop((empty(py), full(py, None)));
        shut_down_class(py).map(drop)
    })?;
    Ok(())
}

/// The class `queue.ShutDown`; Procession's own where Python has none yet.
pub(crate) fn shut_down_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class =
        CLASS.get_or_try_init(py, || match py.import("queue")?.getattr_opt("ShutDown")? {
            Some(class) => PyResult::Ok(class.cast_into::<PyType>()?.unbind()),
            None => Ok(py.get_type::<own::ShutDown>().unbind()),
        })?;
    Ok(class.bind(py))
}

/// `ShutDown`, of any queue.
#[cold]
pub(crate) fn queue_shut_down(py: Python<'_>) -> PyErr {
    match shut_down_class(py) {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

/// The manager that the object belongs to was shut down.
#[cold]
pub(crate) fn shut_down() -> PyErr {
    PyBrokenPipeError::new_err((EPIPE, "the manager was shut down"))
}

/// What the standard library says about a queue that this process has closed.
#[cold]
pub(crate) fn closed(queue: &Bound<'_, PyAny>) -> PyErr {
    match queue.repr() {
        Ok(name) => PyValueError::new_err(format!("Queue {name} is closed")),
        Err(error) => error,
    }
}

impl Raise for FindError {
    /// [`FindError::Unsure`] must not come here: it asks for a comparison.
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            FindError::Arena(error) => error.raise(),
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }
}

impl Raise for OfferError {
    /// `Full` and `Closed` must not come here: what they are called is the caller's matter.
    #[cold]
    fn raise(self) -> PyErr {
        match self {
            OfferError::Arena(error) => error.raise(),
            other => PyRuntimeError::new_err(other.to_string()),
        }
    }
}
