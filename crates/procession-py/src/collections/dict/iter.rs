//! Iteration over a dict's keys, some fetched at a time.

use std::sync::{Arc, Mutex, PoisonError};

use procession::collections::Batch;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::{Dict, PyDictBase};
use crate::codec::Scratch;
use crate::codec::store;
use crate::error::Raise;

/// So many bytes of keys are fetched in one step.
const FETCH: usize = 16 << 10;

/// An iterator over the keys of a shared dict. RuntimeError if a key is added or removed meanwhile.
#[pyclass(frozen, name = "DictIterator", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyDictIterator {
    dict: Py<PyDictBase>,
    shape: u64,
    /// Held for a step of the core's at most: no Python code runs meanwhile.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    batch: Arc<Batch>,
    at: usize,
    at_end: bool,
}

impl PyDictIterator {
    pub(super) fn over(dict: &Bound<'_, PyDictBase>, raw: &Dict) -> PyResult<Self> {
        let shape = raw.shape().map_err(Raise::raise)?;
        let mut batch = Batch::default();
        batch.next = Some(0);
        let state = State { batch: Arc::new(batch), at: 0, at_end: false };
        Ok(Self { dict: dict.clone().unbind(), shape, state: Mutex::new(state) })
    }

    /// Where the next key is.
    fn advance(&self, raw: &Dict) -> PyResult<Option<(Arc<Batch>, usize)>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.at_end {
            return Ok(None);
        }
        let same = raw.shape().map_err(Raise::raise)? == self.shape;
        if same && state.at == state.batch.items.len() {
            let Some(next) = state.batch.next else {
                state.at_end = true;
                return Ok(None);
            };
            state.batch = Arc::new(raw.key_batch(next, FETCH).map_err(Raise::raise)?);
            state.at = 0;
        }
        if !same || state.batch.shape != self.shape {
            return Err(PyRuntimeError::new_err("dictionary changed size during iteration"));
        }
        if state.batch.items.is_empty() {
            state.at_end = true;
            return Ok(None);
        }
        state.at += 1;
        Ok(Some((Arc::clone(&state.batch), state.at - 1)))
    }
}

#[pymethods]
impl PyDictIterator {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.dict)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let dict = self.dict.get().dict.free(py)?;
        let Some((batch, i)) = self.advance(dict)? else {
            return Ok(None);
        };
        let item = &batch.items[i];
        let key = &batch.bytes[item.key.clone()];
        Ok(Some(store::load_from(py, item.key_kind, key, dict.policy(), &mut Scratch::take())?))
    }
}
