//! What a program gives a thread queue as attributes, and finds there again as it was.

use pyo3::PyTraverseError;
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::PyVisit;

/// The objects of attributes; none is what the attribute is by itself.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) maxsize: Option<Py<PyAny>>,
    /// What is no bool; its truth is in the state.
    pub(super) is_shutdown: Option<Py<PyAny>>,
}

impl Kept {
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.maxsize)?;
        visit.call(&self.is_shutdown)
    }
}

/// How many objects have room.
pub(super) enum Room {
    /// As many as memory has.
    Any,
    For(usize),
    /// Only the object itself can tell, again and again.
    Ask,
}

/// As the standard library compares with a `maxsize`: full is who has as many or more, so a fraction counts as
/// the next whole number.
pub(super) fn room(maxsize: &Bound<'_, PyAny>) -> PyResult<Room> {
    let py = maxsize.py();
    if !maxsize.gt(0)? {
        return Ok(Room::Any);
    }
    let whole = maxsize.extract::<usize>().or_else(|error| {
        if error.is_instance_of::<PyOverflowError>(py) {
            return Err(error);
        }
        let ceil = py.import(intern!(py, "math"))?.getattr(intern!(py, "ceil"))?;
        ceil.call1((maxsize,))?.extract()
    });
    match whole {
        Ok(whole) => Ok(Room::For(whole)),
        // Infinity as well. Beyond what memory holds it is no bound.
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => Ok(Room::Any),
        Err(_) => Ok(Room::Ask),
    }
}
