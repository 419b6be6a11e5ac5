//! A queue's arguments, and what is said of an object that cannot be put.

use std::num::NonZeroU64;

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::args::Given;

/// What is to be put: `item` is what `queue.Queue`, and so a manager's queue, calls it.
#[inline]
pub(super) fn the_one<'a, 'py>(
    obj: Given<'a, 'py>,
    item: Given<'a, 'py>,
    may_be_item: bool,
) -> PyResult<Borrowed<'a, 'py, PyAny>> {
    match (obj.0, item.0) {
        (Some(obj), None) => Ok(obj),
        (None, Some(item)) if may_be_item => Ok(item),
        (None, None) => {
            Err(PyTypeError::new_err("put() missing 1 required positional argument: 'obj'"))
        }
        _ => Err(PyTypeError::new_err("put() got an unexpected keyword argument 'item'")),
    }
}

/// `maxsize` as the core has it.
pub(crate) fn capacity(maxsize: &Bound<'_, PyAny>) -> PyResult<Option<NonZeroU64>> {
    let index = maxsize.call_method0(intern!(maxsize.py(), "__index__"));
    let Ok(index) = index else {
        let kind = maxsize.get_type();
        return Err(PyTypeError::new_err(format!(
            "'{}' object cannot be interpreted as an integer",
            kind.name()?
        )));
    };
    if index.le(0)? {
        return Ok(None);
    }
    Ok(NonZeroU64::new(index.extract()?))
}

/// The object cannot be pickled. A class that overrides the standard library's hook for that hears
/// of it there.
#[cold]
pub(crate) fn feeder_error(
    slf: &Bound<'_, PyAny>,
    obj: &Bound<'_, PyAny>,
    error: PyErr,
) -> PyResult<()> {
    static USUAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = slf.py();
    let name = intern!(py, "_on_queue_feeder_error");
    if !error.is_instance_of::<PyException>(py) {
        return Err(error);
    }
    let Some(hook) = slf.get_type().getattr_opt(name)? else {
        return Err(error);
    };
    let usual = USUAL.get_or_try_init(py, || {
        let class = py.import("procession.queues")?.getattr("Queue")?;
        class.getattr(name).map(Bound::unbind)
    })?;
    if hook.is(usual) {
        return Err(error);
    }
    slf.call_method1(name, (error.into_value(py), obj))?;
    Ok(())
}
