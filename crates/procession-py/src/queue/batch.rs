//! Many at once.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PyQueueBase;
use super::get::get_one;
use super::put::put_one;
use super::store::Store;
use crate::blocking::Patience;
use crate::error;

/// Puts each of some objects, in their order.
pub(super) fn put_many(
    slf: &Bound<'_, PyQueueBase>,
    store: &Store,
    objs: &Bound<'_, PyAny>,
    patience: Patience,
) -> PyResult<()> {
    for (done, obj) in objs.try_iter()?.enumerate() {
        if !put_one(slf, store, &obj?, patience)? {
            let message = format!("{done} objects were put, then the queue was full");
            return Err(error::full(slf.py(), Some(message)));
        }
    }
    Ok(())
}

/// Takes what is there, at most so many; waits for the first only.
pub(super) fn get_many<'py>(
    slf: &Bound<'py, PyQueueBase>,
    store: &Store,
    max: Option<usize>,
    patience: Patience,
) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let objects = PyList::empty(py);
    if max == Some(0) {
        return Ok(objects);
    }
    let first = get_one(slf, store, patience)?.ok_or_else(|| error::empty(py))?;
    objects.append(first)?;
    // A producer that never rests must not keep us here.
    let there = store.len() as usize + 1;
    while objects.len() < max.unwrap_or(there).min(there) {
        match get_one(slf, store, Patience::None) {
            Ok(Some(object)) => objects.append(object)?,
            Ok(None) => break,
            Err(error) => {
                error.value(py).setattr(intern!(py, "received"), objects)?;
                return Err(error);
            }
        }
    }
    Ok(objects)
}
