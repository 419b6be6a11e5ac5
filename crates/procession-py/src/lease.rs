//! `Lease`: an opaque object that keeps a queue alive while it is referenced.

use procession::RawQueue;
use pyo3::prelude::*;

/// Keeps a queue alive while it is referenced.
#[pyclass(frozen, name = "Lease", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyLease {
    /// Counted in the arena; given back when the lease is collected.
    queue: RawQueue,
}

impl PyLease {
    /// A lease on `queue`.
    pub(crate) fn on(queue: &RawQueue) -> Self {
        Self { queue: queue.clone() }
    }
}

#[pymethods]
impl PyLease {
    fn __repr__(&self) -> String {
        format!("<Lease on a queue of {}>", self.queue.family().id())
    }
}
