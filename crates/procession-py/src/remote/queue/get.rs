//! Get: one step of the server's, or a wait for a message; then decode.

use procession::remote::queue::{GetError, Taken};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PyRemoteQueueBase;
use super::delivery;
use super::put::ender;
use crate::blocking::Patience;
use crate::codec::DecodeError;
use crate::error::{self, Raise};
use crate::remote::{PyRemoteStop, during, message, try_interruptible};

/// A message that was taken, as it came.
#[pyclass(frozen, name = "RemoteTaken", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyRemoteTaken(Taken);

impl PyRemoteTaken {
    pub(super) fn taken(&self) -> &Taken {
        &self.0
    }
}

/// Takes one message; `queue.Empty` if patience ends first.
pub(super) fn take(
    slf: &Bound<'_, PyRemoteQueueBase>,
    patience: Patience,
    stop: Option<&Bound<'_, PyRemoteStop>>,
) -> PyResult<PyRemoteTaken> {
    let queue = slf.get().queue()?;
    let check = ender(slf);
    let taken = during(stop, || {
        try_interruptible(slf.py(), patience, &check, |patience| queue.get(patience))
    })?;
    taken.map(PyRemoteTaken).map_err(|error| raised(slf.py(), error))
}

fn raised(py: Python<'_>, error: GetError) -> PyErr {
    match error {
        GetError::Closed => error::queue_shut_down(py),
        GetError::Remote(error) => error.raise(),
        GetError::Decode(_) => DecodeError::Corrupt("a message that can't be one").into(),
        _ => error::empty(py),
    }
}

/// The object of a message.
pub(super) fn object<'py>(
    slf: &Bound<'py, PyRemoteQueueBase>,
    taken: &Taken,
) -> PyResult<Bound<'py, PyAny>> {
    let server = slf.get().server(slf.py())?;
    message::decode_parts(server, taken.kind(), taken.body(), slf.get().policy())
}

/// Looks at the next object.
pub(super) fn peek<'py>(
    slf: &Bound<'py, PyRemoteQueueBase>,
    patience: Patience,
) -> PyResult<Bound<'py, PyAny>> {
    let queue = slf.get().queue()?;
    let check = ender(slf);
    let taken = try_interruptible(slf.py(), patience, &check, |patience| queue.peek(patience))?;
    object(slf, &taken.map_err(|error| raised(slf.py(), error))?)
}

/// Takes what is there, at most so many; waits for the first only.
pub(super) fn get_many<'py>(
    slf: &Bound<'py, PyRemoteQueueBase>,
    max: Option<usize>,
    patience: Patience,
) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let objects = PyList::empty(py);
    if max == Some(0) {
        return Ok(objects);
    }
    let queue = slf.get().queue()?;
    let check = ender(slf);
    let most = max.unwrap_or(u32::MAX as usize);
    let taken = try_interruptible(py, patience, &check, |patience| queue.get_many(most, patience))?;
    let mut taken = taken.map_err(|error| raised(py, error))?.into_iter().map(PyRemoteTaken);
    while let Some(one) = taken.next() {
        match delivery::opened(slf, &one) {
            Ok(object) => objects.append(object)?,
            Err(error) => {
                // The others stay where they were.
                let rest: Vec<_> = taken.map(|PyRemoteTaken(taken)| taken).collect();
                if !rest.is_empty()
                    && let Err(lost) = super::ask(py, || queue.give_back(&rest))
                {
                    error.set_context(py, Some(lost));
                }
                if !objects.is_empty() {
                    error.value(py).setattr(intern!(py, "received"), objects)?;
                }
                return Err(error);
            }
        }
    }
    Ok(objects)
}
