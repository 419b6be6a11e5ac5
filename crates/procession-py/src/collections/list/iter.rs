//! Iteration over a list, some values fetched at a time.

use procession::collections::Values;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::{PyListBase, whole};
use crate::error::Raise;

/// So many values are fetched in one step, unless they are large.
const FETCH: i64 = 32;
const LARGE: usize = 64 << 10;

/// An iterator over a shared list: by index, up to the end that there is when it comes there.
#[pyclass(name = "ListIterator", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyListIterator {
    /// None: at the end.
    list: Option<Py<PyListBase>>,
    index: u64,
    /// Taken as they are only while the list is as it was.
    fetched: Values,
}

impl PyListIterator {
    pub(super) fn over(list: &Bound<'_, PyListBase>) -> Self {
        Self { list: Some(list.clone().unbind()), index: 0, fetched: Values::default() }
    }

    fn advance<'py>(
        &mut self,
        py: Python<'py>,
        list: &PyListBase,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let raw = list.list.free(py)?;
        let mut i = (self.index - self.fetched.from) as usize;
        if raw.version() != self.fetched.version || i >= self.fetched.items.len() {
            let from = self.index.cast_signed();
            let large = self.fetched.bytes.len() > LARGE;
            let to = from.saturating_add(if large { 1 } else { FETCH });
            self.fetched = raw.slice(from, to).map_err(Raise::raise)?;
            i = 0;
        }
        if i >= self.fetched.items.len() {
            return Ok(None);
        }
        self.index += 1;
        whole::object(py, &self.fetched, i).map(Some)
    }
}

#[pymethods]
impl PyListIterator {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.list)
    }

    fn __clear__(&mut self) {
        self.list = None;
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(list) = &self.list else {
            return Ok(None);
        };
        let list = list.clone_ref(py);
        let next = self.advance(py, list.get());
        if matches!(next, Ok(None)) {
            self.list = None;
        }
        next
    }
}
