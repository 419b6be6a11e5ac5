//! Arguments, as CPython's own methods take them.

use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;

/// An optional argument.
pub(crate) type Arg<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// An argument that may be missing, and may be None.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a, 'py>(pub(crate) Option<Borrowed<'a, 'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'a, 'py> {
    type Error = std::convert::Infallible;

    #[inline]
    fn extract(obj: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(obj)))
    }
}

/// An integer argument, as an index that a method takes.
pub(crate) fn number(index: &Bound<'_, PyAny>) -> PyResult<i64> {
    index.extract::<i64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(index.py()) {
            return PyOverflowError::new_err("Python int too large to convert to C ssize_t");
        }
        error
    })
}

/// What stands in brackets behind a list.
#[inline]
pub(crate) fn subscript(index: &Bound<'_, PyAny>) -> PyResult<i64> {
    match index.extract::<i64>() {
        Ok(index) => Ok(index),
        Err(error) => Err(no_subscript(index, error)),
    }
}

#[cold]
fn no_subscript(index: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let class = index.get_type();
    let Ok(name) = class.name() else { return error };
    if error.is_instance_of::<PyOverflowError>(index.py()) {
        return PyIndexError::new_err(format!("cannot fit '{name}' into an index-sized integer"));
    }
    if !class.hasattr("__index__").unwrap_or(true) {
        return PyTypeError::new_err(format!(
            "list indices must be integers or slices, not {name}"
        ));
    }
    error
}

/// A bound of a slice: any integer, also beyond what an index can be.
pub(crate) fn bound(bound: &Bound<'_, PyAny>) -> PyResult<i64> {
    if let Ok(bound) = bound.extract::<i64>() {
        return Ok(bound);
    }
    let py = bound.py();
    if !bound.get_type().hasattr("__index__")? {
        let text = "slice indices must be integers or have an __index__ method";
        return Err(PyTypeError::new_err(text));
    }
    let whole = py.import(intern!(py, "operator"))?.call_method1("index", (bound,))?;
    Ok(if whole.lt(0)? { i64::MIN } else { i64::MAX })
}
