//! Iteration over a list, some values fetched at a time.

use std::sync::{Arc, Mutex, PoisonError};

use procession::collections::Values;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::{List, PyListBase, whole};
use crate::error::Raise;

/// So many values are fetched in one step, unless they are large.
const FETCH: i64 = 32;
const LARGE: usize = 64 << 10;

/// An iterator over a shared list: by index, up to the end that there is when it comes there.
#[pyclass(frozen, name = "ListIterator", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyListIterator {
    list: Py<PyListBase>,
    /// Held for a step of the core's at most: no Python code runs meanwhile.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    index: u64,
    /// Taken as they are only while the list is as it was.
    fetched: Arc<Values>,
    at_end: bool,
}

impl PyListIterator {
    pub(super) fn over(list: &Bound<'_, PyListBase>) -> Self {
        Self { list: list.clone().unbind(), state: Mutex::default() }
    }

    /// Where the next value is.
    fn advance(&self, raw: &List) -> PyResult<Option<(Arc<Values>, usize)>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.at_end {
            return Ok(None);
        }
        let mut i = (state.index - state.fetched.from) as usize;
        if raw.version() != state.fetched.version || i >= state.fetched.items.len() {
            let from = state.index.cast_signed();
            let large = state.fetched.bytes.len() > LARGE;
            let to = from.saturating_add(if large { 1 } else { FETCH });
            state.fetched = Arc::new(raw.slice(from, to).map_err(Raise::raise)?);
            i = 0;
        }
        if i >= state.fetched.items.len() {
            state.at_end = true;
            return Ok(None);
        }
        state.index += 1;
        Ok(Some((Arc::clone(&state.fetched), i)))
    }
}

#[pymethods]
impl PyListIterator {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.list)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let list = self.list.get().list.free(py)?;
        match self.advance(list)? {
            Some((values, i)) => whole::object(py, list, &values, i).map(Some),
            None => Ok(None),
        }
    }
}
