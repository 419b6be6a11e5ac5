//! Arguments, and what the standard library says to those out of the ordinary.

use std::convert::Infallible;

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt, PyString};

pub(super) use crate::args::Arg;
use crate::blocking::Patience;

/// An argument that may be left out, which is not the same as None.
#[derive(Clone, Copy)]
pub(super) struct Given<'a, 'py>(pub(super) Option<Borrowed<'a, 'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'a, 'py> {
    type Error = Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(Some(object)))
    }
}

impl<'py> Given<'_, 'py> {
    /// Left out.
    pub(super) const NOT: Self = Self(None);

    /// As an offset into a buffer; None if it cannot be one.
    pub(super) fn offset(self) -> Option<usize> {
        self.0.map_or(Some(0), |offset| offset.extract().ok())
    }

    /// `size` bytes from this offset on; None if that is not possible.
    pub(super) fn part_of<'b>(self, all: &'b [u8], size: Arg) -> Option<&'b [u8]> {
        let rest = all.get(self.offset()?..)?;
        match size {
            None => Some(rest),
            Some(size) => rest.get(..size.extract().ok()?),
        }
    }

    /// The argument; all that may be left out are zero then.
    pub(super) fn or_zero(self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.map_or_else(|| PyInt::new(py, 0).into_any(), Borrowed::to_owned)
    }

    /// As `poll`'s time-out. It is added to a clock's time, so that what is no number fails as it
    /// does there.
    pub(super) fn patience(self) -> PyResult<Patience> {
        let Some(timeout) = self.0 else {
            return Ok(Patience::None);
        };
        let is_number = timeout.is_instance_of::<PyFloat>() || timeout.is_instance_of::<PyInt>();
        if timeout.is_none() || is_number {
            return Patience::from_timeout(&timeout);
        }
        Patience::from_timeout(&PyFloat::new(timeout.py(), 0.0).add(timeout)?)
    }
}

/// Calls the standard library's own method.
#[cold]
pub(super) fn theirs<'py>(
    method: &Bound<'py, PyString>,
    args: impl PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(method.py(), "procession._std.connection", "Connection")?;
    class.call_method1(method, args)
}
