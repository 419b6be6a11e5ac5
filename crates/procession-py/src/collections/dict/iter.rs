//! Iteration over a dict's keys, some fetched at a time.

use procession::RawDict;
use procession::collections::Batch;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::PyDictBase;
use crate::codec::Scratch;
use crate::codec::store;
use crate::error::Raise;

/// So many bytes of keys are fetched in one step.
const FETCH: usize = 16 << 10;

/// An iterator over the keys of a shared dict. RuntimeError if a key is added or removed meanwhile.
#[pyclass(name = "DictIterator", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyDictIterator {
    /// None: at the end.
    dict: Option<Py<PyDictBase>>,
    shape: u64,
    batch: Batch,
    at: usize,
}

impl PyDictIterator {
    pub(super) fn over(dict: &Bound<'_, PyDictBase>, raw: &RawDict) -> PyResult<Self> {
        let shape = raw.shape().map_err(Raise::raise)?;
        let dict = Some(dict.clone().unbind());
        let mut batch = Batch::default();
        batch.next = Some(0);
        Ok(Self { dict, shape, batch, at: 0 })
    }

    fn advance<'py>(
        &mut self,
        py: Python<'py>,
        raw: &RawDict,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let same = raw.shape().map_err(Raise::raise)? == self.shape;
        if same && self.at == self.batch.items.len() {
            let Some(next) = self.batch.next else {
                return Ok(None);
            };
            self.batch = raw.key_batch(next, FETCH).map_err(Raise::raise)?;
            self.at = 0;
        }
        if !same || self.batch.shape != self.shape {
            return Err(PyRuntimeError::new_err("dictionary changed size during iteration"));
        }
        let Some(item) = self.batch.items.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        let key = &self.batch.bytes[item.key.clone()];
        Ok(Some(store::load_from(py, item.key_kind, key, &mut Scratch::take())?))
    }
}

#[pymethods]
impl PyDictIterator {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.dict)
    }

    fn __clear__(&mut self) {
        self.dict = None;
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(dict) = &self.dict else {
            return Ok(None);
        };
        let dict = dict.clone_ref(py);
        let next = self.advance(py, dict.get().dict.free(py)?);
        if !matches!(next, Ok(Some(_))) {
            self.dict = None;
        }
        next
    }
}
